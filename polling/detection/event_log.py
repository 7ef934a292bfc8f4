"""The event log: changes become events and notifications, within the transaction of the page that found them.

Events of one record arrive in order. The changes of a page are grouped by the undelivered notification that their
records wait for, so that a notification follows one other at most; it becomes due when that one is delivered or given
up.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.db.models import F, OuterRef, Subquery

from cwconnect.core.bulk_sql import db_timestamp, insert, insert_new
from instances.models import ResourcePoll
from polling.delivery.notifications import batches, notification_of
from polling.delivery.pausing import is_resting
from polling.models import Event, LogPosition, NewEvent, Notification, PollRun, RecordSnapshot
from polling.workers.queue import wake_on_commit
from polling.workers.wakeups import Kind

IDS_SKIPPED = 1_000_000_000  # ids that a database put back leaves out: none that was given since the backup comes again
EVENT = (
    *("id", "notification_id", "object_type", "object_id", "record_id", "kind"),
    *("occurred_at", "polled_at", "record", "changes"),
)


def record_events(*, poll: ResourcePoll, run: PollRun, events: Sequence[NewEvent], now: datetime) -> int:
    """Write `events` and the notifications that carry them; return their number.

    To be called inside a transaction, after everything that can fail, and after their records were remembered: the
    log's position stays locked from here to the commit.
    """
    if not events:
        return 0
    ordered_batches = list(_ordered_batches(poll, events))
    ids = itertools.count(_take_ids(len(events)))
    resting = is_resting(poll.instance)
    notifications: list[Notification] = []
    rows: list[tuple[NewEvent, int]] = []
    for follows, batch in ordered_batches:
        for event in batch:
            event.id = next(ids)
        notification = notification_of(poll.instance, poll.name, batch, now)
        notification.follows_id = follows
        if resting or follows is not None:
            notification.next_attempt_at = None
        notifications.append(notification)
        rows += [(event, notification.pk) for event in batch]
    insert_new(notifications)
    if any(notification.next_attempt_at for notification in notifications):
        wake_on_commit(Kind.DELIVER)
    _insert_events(poll, run, rows)
    return len(rows)


def _insert_events(poll: ResourcePoll, run: PollRun, events: Sequence[tuple[NewEvent, int]]) -> None:
    shared = {"instance_id": poll.instance_id, "resource_poll_id": poll.pk, "run_id": run.pk}
    rows = [
        (
            *shared.values(),
            event.id,
            notification_id,
            event.object_type,
            event.object_id,
            event.record_id,
            event.kind,
            db_timestamp(event.occurred_at),
            db_timestamp(event.polled_at),
            event.record,
            event.changes,
        )
        for event, notification_id in events
    ]
    insert(Event, (*shared, *EVENT), rows)


def _ordered_batches(poll: ResourcePoll, events: Sequence[NewEvent]) -> Iterable[tuple[int | None, list[NewEvent]]]:
    waits = _waited_for(poll, {event.record_id for event in events})
    groups: dict[int | None, list[NewEvent]] = {}
    for event in events:
        groups.setdefault(waits.get(event.record_id), []).append(event)
    for follows, group in groups.items():
        for batch in batches(group):
            yield follows, batch


def _waited_for(poll: ResourcePoll, record_ids: Collection[int]) -> dict[int, int]:
    """Give, by record, the last undelivered notification with an event of it."""
    undelivered = Notification.objects.filter(instance_id=poll.instance_id, state__in=Notification.UNDELIVERED)
    oldest = undelivered.order_by("pk").values_list("pk", flat=True).first()
    if oldest is None:
        return {}
    # A notification has the id of its first event, so no event before the oldest matters, however long the log is.
    events = Event.objects.filter(
        pk__gte=oldest, resource_poll=OuterRef("resource_poll"), record_id=OuterRef("record_id")
    )
    # By a scalar subquery, which PostgreSQL can't turn around: joined, it went through all undelivered for each record.
    state = Notification.objects.filter(pk=OuterRef("notification")).values("state")
    events = events.annotate(state=Subquery(state)).filter(state__in=Notification.UNDELIVERED)
    last = events.order_by("-notification_id").values("notification_id")[:1]
    # Asked record by record, of the rows that are remembered by now: as one join PostgreSQL, while it has no statistics
    # of a log that grows quickly, goes through all that the poll ever recorded, for each notification that waits.
    known = RecordSnapshot.objects.filter(resource_poll_id=poll.pk, record_id__in=record_ids)
    found = dict(known.annotate(last=Subquery(last)).values_list("record_id", "last"))
    if len(found) < len(record_ids):
        raise ValueError(
            "A change was to be recorded of a record that is not remembered, so its order would not be kept."
        )
    waits = {record_id: notification for record_id, notification in found.items() if notification is not None}
    # Locked, and looked at again: a delivery that commits now either sees our follower or is seen by us.
    locked = undelivered.filter(pk__in=set(waits.values())).order_by("pk").select_for_update()
    still = set(locked.values_list("pk", flat=True))
    return {record_id: notification for record_id, notification in waits.items() if notification in still}


def skip_ids() -> None:
    """Have the ids of events go on far beyond any recorded since the backup which this database was made from."""
    _take_ids(IDS_SKIPPED)


def _take_ids(count: int) -> int:
    """Take `count` consecutive ids; give the first."""
    if not LogPosition.objects.filter(pk=1).update(last=F("last") + count):
        LogPosition.objects.bulk_create([LogPosition(pk=1)], ignore_conflicts=True)
        LogPosition.objects.filter(pk=1).update(last=F("last") + count)
    return LogPosition.objects.values_list("last", flat=True).get(pk=1) - count + 1
