"""What is due: the two questions that decide whether a worker is woken, each answered from an index.

A row under a lease is not due before the lease ends: someone works on it, or died on it.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import F, Min, QuerySet
from django.db.models.functions import Greatest
from django.utils import timezone

from instances.models import Instance
from polling.leases import free
from polling.models import Health, Notification, PollState, Site


def poll_due_at(now: datetime) -> datetime | None:
    """Give when the next poll is due (in the past: one is), None if nothing is polled."""
    blocked = Site.objects.filter(blocked_until__gt=now).values("key")
    states = PollState.objects.filter(next_poll_at__isnull=False).exclude(site__in=blocked)
    return _earliest(states, "next_poll_at", now)


def delivery_due_at(now: datetime) -> datetime | None:
    """Give when the next delivery attempt is due (in the past: one is), None if nothing waits."""
    waiting = Notification.objects.filter(state=Notification.State.PENDING, next_attempt_at__isnull=False)
    return _earliest(waiting, "next_attempt_at", now)


def poll_now(instance: Instance) -> int:
    """Make the instance's polls due at once, those that are paused excepted; give how many."""
    return make_due(PollState.objects.filter(resource_poll__instance=instance))


def make_due(states: QuerySet[PollState]) -> int:
    """Make these polls due at once, those stopped by a failure too, those that are paused excepted; give how many."""
    return states.exclude(health=Health.PAUSED).update(next_poll_at=timezone.now())


def _earliest(rows: QuerySet[PollState] | QuerySet[Notification], field: str, now: datetime) -> datetime | None:
    # Two queries, each the head of an index: few rows are leased at a time, so the first skips few.
    first_free = rows.filter(free(now)).order_by(field).values_list(field, flat=True).first()
    leased = rows.filter(lease_token__isnull=False, lease_until__gte=now)
    first_leased = leased.aggregate(at=Min(Greatest(F(field), F("lease_until"))))["at"]
    return min((at for at in (first_free, first_leased) if at is not None), default=None)
