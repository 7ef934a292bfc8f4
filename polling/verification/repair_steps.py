"""The steps of a repair: missing rows read again, lost deletes left to a sweep, and what has not arrived sent again.

Rows pass the same judgement and the same commit as a poll's, under the poll's lease. What was known of a missed row is
taken from the event log, since its snapshot is lost or says more than was recorded: so what was recorded is not
recorded again. A delete that was lost is recorded by a sweep, which begins at once (see lost_deletes.py). Done twice,
none does harm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from itertools import islice

import orjson
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from cwconnect.connectwise.client import Page, Record
from instances.models import Instance, ResourcePoll
from instances.plans import Plan
from polling.delivery.first_subscriptions import lost_notifications
from polling.delivery.notifications import batches, notification_of
from polling.delivery.pausing import rearm_all, release_all_of
from polling.delivery.replay.selection import Selection, select
from polling.detection.changes import CONTENT_UNKNOWN, Snapshot, digest
from polling.detection.deletes.sweeps import EVER
from polling.detection.event_shapes import shape_of
from polling.detection.jobs import LEASE, Claimed, abandon, more_notes
from polling.detection.reading import read_records
from polling.detection.reads_by_id import id_batches, read_rows, rows_answered
from polling.detection.recording import ReadPage, record_page, watch_of
from polling.detection.snapshots import NewSnapshot, read_snapshots, remember
from polling.models import DeliveryState, Event, Notification, PollRun, PollState, Replay
from polling.verification.lost_deletes import lost_among
from polling.verification.of_subscriptions import find_again
from polling.verification.report import Finding, undelivered_events
from polling.workers.leases import fence

SWEEP = PollRun.Kind.SWEEP
WRAPPED_AT_ONCE = 1000
Replayer = Callable[[Instance, Selection, datetime], Replay]


def rows_to_read(finding: Finding) -> Sequence[int]:
    """Return the rows that have to be read again, by id."""
    return sorted({*finding.missed, *finding.stale, *finding.undated})


def revive_lost(state: PollState, token: str, finding: Finding) -> None:
    """Have the rows known as living again, for a sweep to miss them; those recorded meanwhile excepted."""
    poll, now = finding.poll, timezone.now()
    with transaction.atomic():
        fence(PollState, state.pk, token, lease_until=now + LEASE)
        # One that is under way may have passed them.
        abandon(PollRun.objects.filter(resource_poll=poll, kind=SWEEP))
        lost = lost_among(poll, finding.deleted, recorded_from=EVER)
        log = Event.objects.filter(resource_poll=poll, record_id__in=lost).order_by("pk")
        texts = dict(log.values_list("record_id", "record"))
        remember(poll.pk, [NewSnapshot(record_id, None, CONTENT_UNKNOWN, texts.get(record_id)) for record_id in lost])


class RowRepair(Claimed):
    """A claimed poll, and the rows beyond the id `after` that are to be read."""

    def __init__(self, state: PollState, token: str, finding: Finding, *, after: int = 0) -> None:
        self._missed = frozenset(finding.missed)
        self._ids = [number for number in rows_to_read(finding) if number > after]
        super().__init__(state, token)
        self.id_batches = id_batches(self.plan, self._ids, opening=self._opening, filtered=True)

    @property
    def _opening(self) -> datetime:
        return self.plan.opening(self.since)

    def open_run(self) -> PollRun:
        """Return a new run; one that was cut off is closed, since what it left is found anew."""
        PollRun.objects.filter(resource_poll=self.poll, kind=PollRun.Kind.REPAIR, status=PollRun.Status.OPEN).update(
            status=PollRun.Status.ABANDONED, finished_at=self.started_at
        )
        return self.new_run()

    def new_run(self) -> PollRun:
        """Return a run, not yet stored."""
        kind = PollRun.Kind.REPAIR
        return PollRun(resource_poll=self.poll, kind=kind, opening=self._opening, started_at=self.started_at)

    def read(self, batch: Sequence[int]) -> Callable[[], Page]:
        """Return the request for a lot, ready for a thread."""
        client, plan, opening = self.client, self.plan, self._opening
        return lambda: read_rows(client, plan, batch, opening=opening, filtered=True)

    def write(self, page: Page, batch: Sequence[int]) -> int:
        """Write what a lot brought, in the caller's transaction, which is fenced here; give how many rows it answers.

        The rest of the lot has to be read again.
        """
        answered = rows_answered(batch, page)
        now = timezone.now()
        nulls = self.instance.filter_nulls
        reading = read_records(page.records, self.plan, opening=EVER, closing=None, filter_nulls=nulls)
        watch = watch_of(self.poll, self.plan, self.since, vouched=self.plan.hub.windowed)
        fence(PollState, self.key, self.token, lease_until=now + LEASE)
        run = self.current_run()
        run.page += 1
        run.reached_id = answered[-1]
        run.records += len(page.records)
        run.skipped += reading.skipped + len(page.skipped)
        run.notes = more_notes(run.notes, [*page.skipped, *page.notes, *reading.problems])
        known = self._known([read.seen.record_id for read in reading.records])
        read = ReadPage(self.poll, self.plan, watch, reading, page.date or now, known)
        run.events += record_page(read, run, now=now)
        if answered[-1] == self._ids[-1]:
            run.status, run.finished_at = PollRun.Status.COMPLETE, now
        run.save()
        self.run = run
        return len(answered)

    def _known(self, ids: Sequence[int]) -> dict[int, Snapshot]:
        stored = read_snapshots(self.poll.pk, ids)
        kept = {record_id: row for record_id, row in stored.items() if record_id not in self._missed}
        # A tombstone whose events are lost was recorded all the same.
        known = {record_id: Snapshot(None, CONTENT_UNKNOWN) for record_id, row in stored.items() if row.gone} | kept
        return known | _known_from_log(self.poll, self.plan, [number for number in ids if number in self._missed])


def _known_from_log(poll: ResourcePoll, plan: Plan, ids: Collection[int]) -> dict[int, Snapshot]:
    """Return what the last event of each of these rows says, as if it had been remembered then."""
    log = Event.objects.filter(resource_poll=poll, record_id__in=ids)
    last = log.order_by().values("record_id").annotate(last=Max("pk")).values("last")
    found, mapped = {}, shape_of(poll, plan).mapping is not None
    for event in Event.objects.filter(pk__in=list(last.values_list("last", flat=True))):
        record, gone = orjson.loads(event.record), event.kind == Event.Kind.DELETED
        if mapped:  # the log has not what is compared: the stamp has to do
            found[event.record_id] = Snapshot(int(event.occurred_at.timestamp()), CONTENT_UNKNOWN, gone)
        else:
            found[event.record_id] = Snapshot(_stamp(plan, record), digest(record), gone)
    return found


def _stamp(plan: Plan, record: Record) -> int | None:
    updated = plan.stamp(record).at
    return None if updated is None else int(updated.timestamp())


def send_again(poll: ResourcePoll, now: datetime, *, replay: Replayer) -> int:
    """Make what has not arrived due, a paused delivery too, since a person asked; give the number of events.

    What is lost for a subscription is judged for it once more. What was given up is sent again by `replay`: all of it
    before this returns, or by the workers.
    """
    count = undelivered_events(poll).count() + find_again(poll, now)
    if DeliveryState.objects.filter(subscription__instance=poll.instance, paused_at__isnull=False).exists():
        release_all_of(poll.instance, now)
    with transaction.atomic():
        _wrap_lost(poll, now)
    failed = Selection(failed=True, resource=poll.name)
    if select(poll.instance, failed).filter(state=Notification.State.FAILED).exists():
        replay(poll.instance, failed, now)
    rearm_all(poll.instance, now)
    return count


def _wrap_lost(poll: ResourcePoll, now: datetime) -> None:
    """Return events whose notification is lost another one."""
    lost = iter(Event.objects.filter(lost_notifications(poll.instance), resource_poll=poll).order_by("pk"))
    while events := list(islice(lost, WRAPPED_AT_ONCE)):
        for batch in batches(events):
            notification = notification_of(poll.instance, poll.name, batch, now)
            notification.next_attempt_at = None  # rearm() sets it, unless the instance rests
            notification.save(force_insert=True)
            Event.objects.filter(pk__in=[event.pk for event in batch]).update(notification=notification)
