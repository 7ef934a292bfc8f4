"""From when on of the log a subscription may begin."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from cwconnect.core.errors import DomainError
from cwconnect.core.time import parse_time
from instances.models import Instance
from polling.models import Subscription

NOW, WHERE_IT_WAS = "now", "where_it_was"


def read_beginning(text: str, instance: Instance, now: datetime) -> datetime | None:
    """Read from when on a new subscription is sent what polls saw; None: from now on. DomainError.

    What is older than the log is kept may be gone, and nobody is to begin with half of it.
    """
    if text == NOW:
        return None
    since, days = parse_time(text, "begin"), days_kept(instance)
    if since > now:
        raise DomainError("begin: is in the future; now begins with what comes.")
    if since < now - timedelta(days=days):
        raise DomainError(f"begin: lies before the log, which is kept for {days} days.")
    return since


def days_kept(instance: Instance) -> int:
    """Return for how many days events are kept: as long as one of the subscriptions wants them."""
    own = Subscription.objects.filter(instance=instance, deleted_at=None).values_list("retention_days", flat=True)
    return max((settings.RETENTION_DAYS if days is None else days for days in own), default=settings.RETENTION_DAYS)
