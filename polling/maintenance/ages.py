"""For how many days what was recorded and delivered is kept: by the setting, or as subscriptions want it.

A subscription's notifications are kept for its own days; events for the most that one of their instance's subscriptions
asks for. Notifications that were made with their events go with those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from polling.models import Subscription


@dataclass(frozen=True)
class Ages:
    """From when on things are kept at `now`.

    `of_notifications` are subscriptions that keep them for another time than usual, `of_events` instances of which a
    subscription has a time of its own, if the longest is the usual or not.
    """

    now: datetime
    usual: datetime
    of_notifications: Mapping[int, datetime]
    of_events: Mapping[int, datetime]

    def wants(self, instance_id: int, at: datetime) -> bool:
        """Whether events of this time are still kept by an instance whose subscriptions have times of their own."""
        before = self.of_events.get(instance_id)
        return before is not None and at >= before


def read_ages(now: datetime) -> Ages:
    """Return from when on things are kept."""
    usual = settings.RETENTION_DAYS
    rows = list(_concerned().values_list("pk", "instance_id", "reads_log", "retention_days"))
    days = {key: own or usual for key, _, _, own in rows}
    longest: dict[int, int] = {}
    for key, instance_id, _, _ in rows:
        longest[instance_id] = max(longest.get(instance_id, 0), days[key])
    with_events = {key: longest[instance] for key, instance, reads, _ in rows if key == instance and not reads}
    others = {key: kept for key, kept in (days | with_events).items() if kept != usual}
    return Ages(now, now - timedelta(days=usual), _before(others, now), _before(longest, now))


def _concerned() -> QuerySet[Subscription]:
    """Return the subscriptions of those instances of which one has a retention of its own."""
    live = Subscription.objects.filter(deleted_at=None)
    return live.filter(instance__in=live.filter(retention_days__isnull=False).values("instance"))


def _before(days: Mapping[int, int], now: datetime) -> dict[int, datetime]:
    return {key: now - timedelta(days=kept) for key, kept in days.items()}
