"""Old events and notifications: which of them may go, and their deletion with all that hangs on them.

A notification goes that was delivered or discarded and is not being sent again; with it the events that were made with
it. An event stays, and the notification that it was made with, as long as a subscription's notification that carries it
is on its way or was given up, as long as a subscription that reads the log has not come to it, and for as long as its
instance's subscriptions want.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson
from django.db import connection
from django.db.models import Exists, Min, OuterRef, Q, QuerySet

from cwconnect.core.bulk_sql import any_of
from polling.log.readers import READING
from polling.maintenance.ages import Ages
from polling.models import (
    DeliveryAttempt,
    Event,
    Notification,
    NotificationBody,
    Subscription,
    SubscriptionEvent,
)

DONE = Q(state__in=(Notification.State.DELIVERED, Notification.State.DISCARDED), replay=None)
"""The notifications whose delivery is over for good."""
BODIES_FOR = timedelta(days=1)
"""For so long a body stays that no notification has: one that is being made may take it."""
# By a scalar subquery for each record, which PostgreSQL can't turn around into a scan of all events.
_FORGET = {
    "postgresql": """DELETE FROM polling_recordword USING unnest(%s::bigint[], %s::bigint[]) AS given (poll, record)
WHERE resource_poll_id = given.poll AND record_id = given.record AND (
    SELECT id FROM polling_event
    WHERE polling_event.resource_poll_id = given.poll AND polling_event.record_id = given.record LIMIT 1
) IS NULL
""",
    "sqlite": """DELETE FROM polling_recordword
WHERE (resource_poll_id, record_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(%s)) AND NOT EXISTS (
    SELECT 1 FROM polling_event WHERE polling_event.resource_poll_id = polling_recordword.resource_poll_id
        AND polling_event.record_id = polling_recordword.record_id
)
""",
}


class OldEvent(NamedTuple):
    """What is to be known of an event to delete it."""

    key: int
    notification_id: int | None
    instance_id: int
    resource_poll_id: int | None
    record_id: int
    polled_at: datetime


def read_events(events: QuerySet[Event]) -> list[OldEvent]:
    """Return what is to be known of these events."""
    columns = ("pk", "notification_id", "instance_id", "resource_poll_id", "record_id", "polled_at")
    return [OldEvent(*row) for row in events.values_list(*columns)]


def carried_by(keys: Collection[int]) -> list[OldEvent]:
    """Return the events that were made with these notifications."""
    return read_events(Event.objects.filter(notification_id__in=keys).order_by())


def staying(events: Collection[OldEvent], ages: Ages) -> set[int]:
    """Return the ids of those of these events that stay, whatever becomes of the notification they were made with.

    Two queries.
    """
    if not events:
        return set()
    reading = Subscription.objects.filter(READING, instance__in={event.instance_id for event in events})
    reached = dict(reading.order_by().values_list("instance_id").annotate(reached=Min("reached_id")))
    keys = [event.key for event in events]
    carrying = SubscriptionEvent.objects.filter(event__in=any_of(keys), notification__isnull=False)
    undone = carrying.filter(Exists(Notification.objects.exclude(DONE).filter(pk=OuterRef("notification"))))
    return {
        *undone.values_list("event_id", flat=True),
        *(event.key for event in events if event.key > reached.get(event.instance_id, event.key)),
        *(event.key for event in events if ages.wants(event.instance_id, event.polled_at)),
    }


def delete_events(events: Collection[OldEvent]) -> int:
    """Delete events with what became of them for subscriptions, and the names of records of which none is left.

    Give how many. In a transaction.
    """
    if not events:
        return 0
    keys = [event.key for event in events]
    SubscriptionEvent.objects.filter(event__in=any_of(keys)).delete()
    count, _ = Event.objects.filter(pk__in=any_of(keys)).delete()
    _forget_names(events)
    return count


def delete_notifications(keys: Collection[int], *, now: datetime, carried: Collection[OldEvent] | None = None) -> int:
    """Delete notifications with their attempts, the events made with them and bodies that none has any more.

    `carried` are those events, where they are known. Give how many events. In a transaction.
    """
    if not keys:
        return 0
    shared = Notification.objects.filter(pk__in=keys, shared_body__isnull=False)
    bodies = set(shared.values_list("shared_body_id", flat=True))
    DeliveryAttempt.objects.filter(notification_id__in=keys).delete()
    SubscriptionEvent.objects.filter(notification_id__in=keys).delete()
    events = delete_events(carried_by(keys) if carried is None else carried)
    Notification.objects.filter(pk__in=keys).only("pk").delete()  # without reading their bodies
    if bodies:
        delete_unused(NotificationBody.objects.filter(pk__in=bodies, used_at__lt=now - BODIES_FOR))
    return events


def delete_unused(bodies: QuerySet[NotificationBody]) -> int:
    """Delete those of these bodies that no notification has; give how many."""
    return bodies.exclude(Exists(Notification.objects.filter(shared_body=OuterRef("pk")))).delete()[0]


def _forget_names(events: Collection[OldEvent]) -> None:
    """Delete the words of those of these events' records of which no event is left."""
    records = sorted({(event.resource_poll_id, event.record_id) for event in events if event.resource_poll_id})
    given = [list(column) for column in zip(*records, strict=True)] or [[], []]
    values = [orjson.dumps(records).decode()] if connection.vendor == "sqlite" else given
    with connection.cursor() as cursor:
        cursor.execute(_FORGET[connection.vendor], values)
