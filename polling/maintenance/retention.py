"""Retention: what has been delivered is forgotten after CWCONNECT_RETENTION_DAYS; what is undelivered never is.

Deleted are delivered or discarded notifications with their events and attempts, those that are being sent again
excepted, ended runs that hold nothing back, ended verifications and bulk jobs, and warnings that are over. What
callbacks said is deleted after a week, and counts of them after eight days, whatever the setting: the pages look back a
week.
Kept for as long as their resource is polled are snapshots, and their texts where the poll asks for texts: the next
change is recorded by them.

Work goes in short transactions, each followed by a pause as long as it took: what polls write meanwhile comes between
them, also on SQLite, where one writes at a time. Each begins where the one before it ended, so that what stays, failed
notifications above all, is walked past once and not by each. A worker prunes for half of each minute at most, so that
its task ends in time, and goes on in the next; asked to stop, it ends with the batch under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from instances.models import ResourcePoll
from polling.detection.titles import any_record
from polling.maintenance.old_copies import end_stale_copies, prune_copies
from polling.models import (
    Alert,
    BulkJob,
    CallbackCount,
    CallbackHint,
    DeliveryAttempt,
    Event,
    Notification,
    PollRun,
    RecordWord,
    SnapshotBody,
    Verification,
)
from polling.workers.stopping import stopping

BATCH = 200
STRETCH = timedelta(seconds=30)
EARLIEST = datetime.min.replace(tzinfo=UTC)
HINTS_FOR, COUNTS_FOR = timedelta(days=7), timedelta(days=8)
DONE = (Notification.State.DELIVERED, Notification.State.DISCARDED)

Progress = Callable[[str, int], None]
Batch = Callable[[datetime], tuple[int, datetime]]
"""Deletes some of what there is from a time on; gives how many, and from when on there may be more."""


@dataclass
class Pruned:
    """How many rows of each kind were deleted."""

    notifications: int = 0
    events: int = 0
    runs: int = 0
    bodies: int = 0
    callbacks: int = 0


def silent(what: str, count: int) -> None:
    """Show nobody."""


def prune(now: datetime, *, progress: Progress = silent) -> Pruned:
    """Apply retention; `progress` hears of each batch. Safe to interrupt, and to run beside everything else."""
    pruned = Pruned()
    _prune_delivered(now, pruned, progress, until=inf)
    _prune_the_rest(now, pruned, progress, until=inf)
    return pruned


def prune_delivered(now: datetime) -> Pruned:
    """Delete what was recorded too long ago, for a STRETCH at most: what is left is for the next time."""
    pruned = Pruned()
    _prune_delivered(now, pruned, silent, until=stretch())
    return pruned


def prune_the_rest(now: datetime) -> Pruned:
    """Delete old verifications, warnings and callbacks, and texts that nobody asks for, for a STRETCH at most."""
    pruned = Pruned()
    _prune_the_rest(now, pruned, silent, until=stretch())
    return pruned


def stretch() -> float:
    """Return until when (monotonic seconds) a worker may go on."""
    return time.monotonic() + STRETCH.total_seconds()


def _prune_delivered(now: datetime, pruned: Pruned, progress: Progress, *, until: float) -> None:
    before = now - timedelta(days=settings.RETENTION_DAYS)
    for count in unhurried(lambda since: _prune_notifications(since, before, pruned), until):
        progress("notifications", count)
    for count in unhurried(lambda since: _prune_runs(since, before), until):
        pruned.runs += count
        progress("runs", count)


def _prune_the_rest(now: datetime, pruned: Pruned, progress: Progress, *, until: float) -> None:
    before = now - timedelta(days=settings.RETENTION_DAYS)
    Verification.objects.filter(finished_at__lt=before).delete()  # few: each was asked for by a person
    BulkJob.objects.filter(finished_at__lt=before).delete()  # so are these
    end_stale_copies(now)
    for count in unhurried(lambda _: (prune_copies(now), EARLIEST), until):
        progress("copies", count)
    for count in unhurried(lambda _: (_prune_alerts(before), EARLIEST), until):
        progress("warnings", count)
    for count in unhurried(lambda _: (_prune_bodies(), EARLIEST), until):
        pruned.bodies += count
        progress("texts", count)
    for count in unhurried(lambda since: _prune_hints(since, now - HINTS_FOR), until):
        pruned.callbacks += count
        progress("callbacks", count)
    for count in unhurried(lambda _: (_prune_counts(now - COUNTS_FOR), EARLIEST), until):
        progress("counts of callbacks", count)


def unhurried(batch: Batch, until: float) -> Iterator[int]:
    """Do batch after batch, and leave the database to others for as long as each took; give how many each deleted."""
    since = EARLIEST
    while time.monotonic() < until and not stopping():
        began = time.monotonic()
        count, since = batch(since)
        if not count:
            return
        yield count
        time.sleep(time.monotonic() - began)


def _prune_notifications(since: datetime, before: datetime, pruned: Pruned) -> tuple[int, datetime]:
    old = Notification.objects.filter(state__in=DONE, created_at__gte=since, created_at__lt=before, replay=None)
    with transaction.atomic():
        rows = list(old.order_by("created_at").values_list("pk", "created_at")[:BATCH])
        pruned.events += delete_notifications([key for key, _ in rows])
    pruned.notifications += len(rows)
    return len(rows), rows[-1][1] if rows else since


def delete_notifications(keys: Collection[int]) -> int:
    """Delete notifications with their attempts and events; give how many events. In a transaction."""
    DeliveryAttempt.objects.filter(notification_id__in=keys).delete()
    records = Event.objects.filter(notification_id__in=keys, resource_poll__isnull=False).order_by()
    concerned = set(records.values_list("resource_poll_id", "record_id"))
    events, _ = Event.objects.filter(notification_id__in=keys).delete()
    Notification.objects.filter(pk__in=keys).only("pk").delete()  # without reading their bodies
    _forget_names(concerned)
    return events


def _forget_names(concerned: Collection[tuple[int | None, int]]) -> None:
    """Delete the words of those of these records (by poll and id) of which no event is left: two queries."""
    log = Event.objects.filter(any_record(_by_poll(concerned))).order_by()
    gone = set(concerned).difference(log.values_list("resource_poll_id", "record_id"))
    if gone:
        RecordWord.objects.filter(any_record(_by_poll(gone))).delete()


def _by_poll(records: Collection[tuple[int | None, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for poll, record in records:
        if poll is not None:
            found.setdefault(poll, []).append(record)
    return found


def _prune_runs(since: datetime, before: datetime) -> tuple[int, datetime]:
    events_of_run = Event.objects.filter(run=OuterRef("pk"))
    # What has ended before has begun before, and by their beginning runs are in an index.
    ended = PollRun.objects.filter(started_at__gte=since, started_at__lt=before, finished_at__lt=before)
    old = ended.filter(~Q(status=PollRun.Status.OPEN), ~Exists(events_of_run), held=[])
    rows = list(old.order_by("started_at").values_list("pk", "started_at")[:BATCH])
    PollRun.objects.filter(pk__in=[key for key, _ in rows]).delete()
    return len(rows), rows[-1][1] if rows else since


def _prune_alerts(before: datetime) -> int:
    """Delete warnings that were over before a time, with where they were sent; an open one stays."""
    old = list(Alert.objects.filter(resolved_at__lt=before).values_list("pk", flat=True)[:BATCH])
    Alert.objects.filter(pk__in=old).delete()
    return len(old)


def _prune_bodies() -> int:
    """Delete texts that nobody asks for any more: neither their poll, for deletes or field changes, nor a filter."""
    asked_by_none = ResourcePoll.objects.filter(_off("detectDeletes"), _off("trackChanges"), tracks_for_filters=False)
    silent = asked_by_none.values("pk")
    bodies = SnapshotBody.objects.filter(resource_poll__in=silent)
    poll_id = bodies.values_list("resource_poll_id", flat=True).first()
    if poll_id is None:
        return 0
    records = list(bodies.filter(resource_poll_id=poll_id).values_list("record_id", flat=True)[:BATCH])
    SnapshotBody.objects.filter(resource_poll_id=poll_id, record_id__in=records).delete()
    return len(records)


def _prune_hints(since: datetime, before: datetime) -> tuple[int, datetime]:
    old = CallbackHint.objects.filter(received_at__gte=since, received_at__lt=before)
    rows = list(old.order_by("received_at").values_list("pk", "received_at")[:BATCH])
    CallbackHint.objects.filter(pk__in=[key for key, _ in rows]).delete()
    return len(rows), rows[-1][1] if rows else since


def _prune_counts(before: datetime) -> int:
    """Delete the counts of the oldest hour, if it is that old: a few for each instance with callbacks."""
    hour = CallbackCount.objects.filter(hour__lt=before).order_by("hour").values_list("hour", flat=True).first()
    return CallbackCount.objects.filter(hour=hour).delete()[0] if hour is not None else 0


def _off(key: str) -> Q:
    return Q(**{f"configuration__{key}__isnull": True}) | Q(**{f"configuration__{key}": False})
