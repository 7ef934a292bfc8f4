"""Which subscriptions send records by a field mapping."""

from __future__ import annotations

from typing import Any

from instances.models import Instance
from polling.models import Subscription


def words_of_use(sender: object, *, instance: Instance, name: str, **_: Any) -> str | None:
    """Return what goes by a field mapping, None where nothing does (receiver of `mapping_in_use`)."""
    del sender
    using = Subscription.objects.filter(instance=instance, mapping=name, deleted_at=None).order_by("pk")
    found = using.values_list("name", flat=True).first()
    return None if found is None else f"The subscription {found}"
