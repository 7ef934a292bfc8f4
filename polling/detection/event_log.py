"""The event log: changes become events and notifications, within the transaction of the page that found them.

Events of one record arrive in order. The changes of a poll are grouped by the undelivered notification that their
records wait for, so that a notification follows one other at most; it becomes due when that one is delivered or given
up.

Where an instance has no callback URL, or its first subscription is off or reads the log, no notification is made with
its events: who is to be notified all the same reads the log (delivery/fan_out).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import F, OuterRef, QuerySet, Subquery

from cwconnect.core.bulk_sql import db_timestamp, insert, insert_new, keys
from cwconnect.core.statements import GIVEN, rows_of
from cwconnect.tracing import is_on
from instances.models import ResourcePoll
from polling.delivery.fan_out.served import Served, how_served
from polling.delivery.fan_out.waits import still_undelivered
from polling.delivery.notifications import batches, notification_of
from polling.detection.event_spans import begin_event_spans
from polling.detection.snapshots import of_records
from polling.log.event_ids import take_ids
from polling.models import Event, NewEvent, Notification, PollRun, RecordSnapshot
from polling.workers.queue import wake_on_commit
from polling.workers.wakeups import Kind

EVENT = (
    *("instance_id", "resource_poll_id", "run_id", "id", "notification_id"),
    *("object_type", "object_id", "record_id", "kind", "occurred_at", "polled_at", "record", "changes"),
    *("title", "changes_for_filters"),
)

# The head of an index, whatever the statistics say. Asked by equality, PostgreSQL with those of when nearly all
# were undelivered walks all notifications by id for each instance that has none, and SQLite all those of the instance.
_OLDEST = """SELECT given.value, (
    SELECT id FROM polling_notification
    WHERE COALESCE(subscription_id, instance_id) BETWEEN given.value AND given.value
        AND NOT state IN ('delivered', 'failed', 'discarded')
    ORDER BY COALESCE(subscription_id, instance_id), id LIMIT 1
) FROM {given}
"""


@dataclass(frozen=True)
class PollEvents:
    """What a run of a poll found changed, in order."""

    poll: ResourcePoll
    run: PollRun
    events: Sequence[NewEvent]

    @property
    def records(self) -> set[int]:
        """The ids of the records concerned."""
        return {event.record_id for event in self.events}


@dataclass(frozen=True)
class _Batch:
    """The events of one notification, and the notification that it waits for; or those that nobody is notified of."""

    found: PollEvents
    events: Sequence[NewEvent]
    follows: int | None = None
    notified: bool = True


def record_events(found: Sequence[PollEvents], *, now: datetime) -> int:
    """Write events, and the notifications that carry them; return their number. `found` names a poll once.

    To be called inside a transaction, after their records were remembered.
    """
    if not any(of_poll.events for of_poll in found):
        return 0
    served = how_served([of_poll.poll.instance for of_poll in found])
    ready = list(_ordered_batches(found, served))
    ids = iter(take_ids(sum(len(batch.events) for batch in ready)))
    for event in (event for batch in ready for event in batch.events):
        event.id = next(ids)
    made = [_notification(batch, now, rests=batch.found.poll.instance_id in served.resting) for batch in ready]
    if is_on():
        recorded = zip(ready, made, strict=True)
        begin_event_spans((batch.found.poll, batch.found.run, batch.events, row) for batch, row in recorded)
    notifications = [notification for notification in made if notification is not None]
    insert_new(notifications)
    if served.read or any(notification.next_attempt_at for notification in notifications):
        wake_on_commit(Kind.DELIVER)
    rows = [row for batch in ready for row in _rows(batch)]
    insert(Event, EVENT, rows)
    return len(rows)


def _notification(batch: _Batch, now: datetime, *, rests: bool) -> Notification | None:
    if not batch.notified:
        return None
    poll = batch.found.poll
    notification = notification_of(poll.instance, poll.name, batch.events, now)
    notification.follows_id = batch.follows
    if rests or batch.follows is not None:
        notification.next_attempt_at = None
    return notification


def _rows(batch: _Batch) -> Iterable[tuple[object, ...]]:
    poll = batch.found.poll
    shared = (poll.instance_id, poll.pk, batch.found.run.pk)
    carried_by = batch.events[0].id if batch.notified else None
    for event in batch.events:
        yield (
            *shared,
            event.id,
            carried_by,
            event.object_type,
            event.object_id,
            event.record_id,
            event.kind,
            db_timestamp(event.occurred_at),
            db_timestamp(event.polled_at),
            event.record,
            event.changes,
            event.title,
            event.changes_for_filters,
        )


def _ordered_batches(found: Sequence[PollEvents], served: Served) -> Iterable[_Batch]:
    waits = _waited_for([of_poll for of_poll in found if of_poll.poll.instance_id not in served.without])
    for of_poll in found:
        if of_poll.poll.instance_id in served.without:
            if of_poll.events:
                yield _Batch(of_poll, of_poll.events, notified=False)
            continue
        groups: dict[int | None, list[NewEvent]] = {}
        for event in of_poll.events:
            groups.setdefault(waits.get((of_poll.poll.pk, event.record_id)), []).append(event)
        for follows, group in groups.items():
            for batch in batches(group):
                yield _Batch(of_poll, batch, follows)


def _waited_for(found: Sequence[PollEvents]) -> Mapping[tuple[int, int], int]:
    """Return, by poll and record, the last undelivered notification that carries an event of it."""
    oldest = _oldest_undelivered({of_poll.poll.instance_id for of_poll in found})
    records = {of_poll.poll.pk: of_poll.records for of_poll in found if of_poll.poll.instance_id in oldest}
    if not records:
        return {}
    # A notification has the id of its first event, so no event before the oldest matters, however long the log is.
    earlier = Event.objects.filter(pk__gte=min(oldest.values()), record_id=OuterRef("record_id"))
    waits = _last_undelivered(records, earlier.filter(resource_poll=OuterRef("resource_poll")))
    # What a resource that was removed and added again had recorded before is of no poll, and earlier than all of this.
    others = {poll: rest for poll, ids in records.items() if (rest := {key for key in ids if (poll, key) not in waits})}
    of_no_poll = earlier.annotate(whose=F("instance_id") + 0).filter(  # no index goes by it: a record has few events
        resource_poll=None, whose=OuterRef("resource_poll__instance"), object_type=OuterRef("resource_poll__name")
    )
    waits |= _last_undelivered(others, of_no_poll)
    still = still_undelivered(set(waits.values()))
    return {record: notification for record, notification in waits.items() if notification in still}


def _last_undelivered(records: Mapping[int, Collection[int]], earlier: QuerySet[Event]) -> dict[tuple[int, int], int]:
    """Return the last undelivered notification of those that carry the `earlier` events of each record."""
    if not records:
        return {}
    # By a scalar subquery, which PostgreSQL can't turn around: joined, it went through all undelivered for each record.
    state = Notification.objects.filter(pk=OuterRef("notification")).values("state")
    earlier = earlier.annotate(state=Subquery(state)).filter(state__in=Notification.UNDELIVERED)
    last = earlier.order_by("-notification_id").values("notification_id")[:1]
    # Asked record by record, of the rows that are remembered by now: as one join PostgreSQL, while it has no statistics
    # of a log that grows quickly, goes through all that the poll ever recorded, for each notification that waits.
    known = RecordSnapshot.objects.filter(of_records(records)).annotate(last=Subquery(last))
    rows = list(known.values_list("resource_poll_id", "record_id", "last"))
    if len(rows) < sum(map(len, records.values())):
        raise ValueError("An event was to be recorded of a record that is not remembered: its order would not be kept.")
    return {(poll_id, record_id): notification for poll_id, record_id, notification in rows if notification}


def _oldest_undelivered(instance_ids: Collection[int]) -> dict[int, int]:
    """Return the oldest undelivered notification of those of these instances whose first subscription has one."""
    statement = _OLDEST.format(given=GIVEN[connection.vendor])
    return {instance_id: first for instance_id, first in rows_of(statement, [keys(instance_ids)]) if first is not None}
