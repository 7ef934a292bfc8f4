"""Which events a notification carries: of those made with their events, and of those made of the log."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from polling.models import Event, SubscriptionEvent


def carried_by(notification_ids: Collection[int], *columns: str) -> list[tuple[Any, ...]]:
    """Return notification, subscription and these columns of each event that the notifications carry, in order.

    Two queries, each by an index.
    """
    asked = {"notification__in": list(notification_ids)}
    return records_of(asked, asked, *columns)


def records_of(of_event: dict[str, Any], of_judged: dict[str, Any], *columns: str) -> list[tuple[Any, ...]]:
    """Return likewise what meets conditions on events, and those on what was judged for subscriptions."""
    own = Event.objects.filter(**of_event, notification__isnull=False)
    judged = SubscriptionEvent.objects.filter(**of_judged, notification__isnull=False)
    rows = [
        *own.values_list("notification_id", F("instance_id"), "pk", *columns),
        *judged.values_list("notification_id", "subscription_id", "event_id", *(f"event__{name}" for name in columns)),
    ]
    return [(notification, to, *row) for notification, to, _, *row in sorted(rows, key=lambda row: (row[0], row[2]))]


def carries(**of_event: Any) -> Q:
    """Return the condition of notifications that carry an event of which this holds."""
    own = Event.objects.filter(notification=OuterRef("pk"), **of_event)
    of_judged = {f"event__{name}": value for name, value in of_event.items()}
    judged = SubscriptionEvent.objects.filter(notification=OuterRef("pk"), **of_judged)
    return Q(Exists(own)) | Q(Exists(judged))
