"""Whether ConnectWise refuses an instance's login at present, for the page on which it is mended."""

from __future__ import annotations

from typing import Any

from instances.models import Instance
from polling.models import Health, PollState


def refusing_words(sender: object, *, instance: Instance, **_: Any) -> str | None:
    """Return the words of the refusal that stands, None where there is none (receiver of `login_refused`)."""
    del sender
    states = PollState.objects.filter(resource_poll__instance=instance, health=Health.UNAUTHORIZED)
    return states.order_by("pk").values_list("last_error", flat=True).first()
