"""Which events a notification carries: of those made with their events, and of those made of the log."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import BigIntegerField, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from polling.models import Event, SubscriptionEvent


def carried_by(notification_ids: Collection[int], *columns: str) -> list[tuple[Any, ...]]:
    """Return notification, subscription and these columns of each event that the notifications carry, in order.

    One query, each half of it by an index.
    """
    asked = {"notification__in": list(notification_ids)}
    return records_of(asked, asked, *columns)


def records_of(of_event: dict[str, Any], of_judged: dict[str, Any], *columns: str) -> list[tuple[Any, ...]]:
    """Return likewise what meets conditions on events, and those on what was judged for subscriptions."""
    own = Event.objects.filter(**of_event, notification__isnull=False)
    judged = SubscriptionEvent.objects.filter(**of_judged, notification__isnull=False)
    of_own = own.values_list("notification_id", F("instance_id"), "pk", *columns)
    of_log = judged.values_list(
        "notification_id", "subscription_id", "event_id", *(f"event__{name}" for name in columns)
    )
    rows = of_own.union(of_log, all=True)
    return [(notification, to, *row) for notification, to, _, *row in sorted(rows, key=lambda row: (row[0], row[2]))]


def events_of(notification_ids: Iterable[int]) -> dict[int, list[Event]]:
    """Return by notification the events that it carries, in order, their records left where they are: one query."""
    keys = list(notification_ids)
    own = _carriers(Event.objects.filter(notification__in=keys), "notification_id")
    judged = Event.objects.filter(judged__notification__in=keys)
    found: dict[int, list[Event]] = {}
    for event in sorted(own.union(_carriers(judged, "judged__notification_id"), all=True), key=lambda each: each.pk):
        found.setdefault(event.carrier, []).append(event)
    return found


def first_events_of(notification_ids: Iterable[int]) -> dict[int, Event]:
    """Return by notification the first event that it carries, its record left where it is: one query."""
    keys = list(notification_ids)
    own = _carriers(Event.objects.filter(pk__in=keys), "pk")  # which has its notification's id
    first = SubscriptionEvent.objects.filter(notification=OuterRef("judged__notification")).order_by("event")
    judged = Event.objects.filter(judged__notification__in=keys, pk=Subquery(first.values("event")[:1]))
    return {event.carrier: event for event in own.union(_carriers(judged, "judged__notification_id"), all=True)}


def first_carried(notification: str) -> Coalesce:
    """Return the id of the first event that the notification in a column carries, as an expression. By indexes."""
    judged = SubscriptionEvent.objects.filter(notification=OuterRef(notification)).order_by("event")
    return Coalesce(Subquery(judged.values("event")[:1]), F(notification), output_field=BigIntegerField())


def carries(**of_event: Any) -> Q:
    """Return the condition of notifications that carry an event of which this holds."""
    own = Event.objects.filter(notification=OuterRef("pk"), **of_event)
    of_judged = {f"event__{name}": value for name, value in of_event.items()}
    judged = SubscriptionEvent.objects.filter(notification=OuterRef("pk"), **of_judged)
    return Q(Exists(own)) | Q(Exists(judged))


def _carriers(events: QuerySet[Event], column: str) -> QuerySet[Any]:
    """Say in `carrier` which notification each of these is carried by."""
    return events.annotate(carrier=F(column)).defer("record", "changes").order_by()
