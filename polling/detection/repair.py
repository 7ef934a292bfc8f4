"""Repairs what verification found: reads just the missing rows, and sends again what has not arrived.

Rows pass the same judgement and the same commit as a poll's, under the poll's lease. What was known of a missed row is
taken from the event log, since its known row is lost or says more than was told: so what was told is not told again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import orjson
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from cwconnect.connectwise.client import Page
from instances.models import ResourcePoll
from instances.plans import Plan
from polling.delivery.notifications import Change, batches, notification_of
from polling.delivery.pausing import rearm, release_delivery
from polling.delivery.replay import Selection, replay_now
from polling.detection.changes import Known, Watch, digest
from polling.detection.jobs import LEASE, Claimed, more_notes
from polling.detection.known import known_records
from polling.detection.reading import read_records
from polling.detection.recording import Recorder
from polling.detection.rereading import lots, read_rows
from polling.detection.sweeps import EVER
from polling.detection.verification import Finding, undelivered_events
from polling.models import DeliveryState, Event, Notification, PollRun, PollState
from polling.runtime.leases import claim, fence, release

WRAPPED_AT_ONCE = 1000
PATIENCE = timedelta(minutes=3)  # a worker that died holds its lease for no longer


class BusyError(Exception):
    """A worker was at the poll all the time, so nothing was read; to be tried again."""


@dataclass(frozen=True)
class Repaired:
    """What a repair did: rows read, events told, and whether what has not arrived is on its way again."""

    rows: int
    events: int
    resent: int


def repair(finding: Finding, *, patience: timedelta = PATIENCE) -> Repaired:
    """Read what the finding misses and tell it, and make what has not arrived due; deliveries are the worker's.

    Raises ConnectWiseError, LeaseLostError, or BusyError when no worker let go of the poll within `patience`; done
    twice it does no harm.
    """
    run = _poll_again(finding, patience) if finding.missed or finding.stale else None
    resent = _send_again(finding.poll, timezone.now()) if finding.undelivered else 0
    return Repaired(run.records if run else 0, run.events if run else 0, resent)


def _poll_again(finding: Finding, patience: timedelta) -> PollRun:
    state, token = _claim(finding.poll.pk, patience)
    try:
        return _Repair(state, token, finding).carry_out()
    finally:
        release(PollState, [state.pk], token)


def _claim(key: int, patience: timedelta) -> tuple[PollState, str]:
    begun = time.monotonic()
    states = PollState.objects.filter(pk=key)
    while True:
        token, keys = claim(states, [key], now=timezone.now(), length=LEASE)
        if keys:
            return states.select_related("resource_poll__instance__organization").get(), token
        if time.monotonic() - begun > patience.total_seconds():
            raise BusyError("A worker is polling this resource; try again when it has finished.")
        time.sleep(0.2)


class _Repair(Claimed):
    """A claimed poll, and the rows that are to be read."""

    def __init__(self, state: PollState, token: str, finding: Finding) -> None:
        self._missed = frozenset(finding.missed)
        self._ids: Sequence[int] = sorted({*finding.missed, *finding.stale})
        super().__init__(state, token)

    def open_run(self) -> PollRun:
        """Give a new run; one that was cut off is closed, since what it left is found anew."""
        PollRun.objects.filter(resource_poll=self.poll, kind=PollRun.Kind.REPAIR, status=PollRun.Status.OPEN).update(
            status=PollRun.Status.ABANDONED, finished_at=self.started_at
        )
        opening = self.plan.opening(self.since)
        return PollRun(resource_poll=self.poll, kind=PollRun.Kind.REPAIR, opening=opening, started_at=self.started_at)

    def carry_out(self) -> PollRun:
        """Read and write, lot by lot; give the run."""
        opening = self.plan.opening(self.since)
        for lot in lots(self.plan, self._ids, opening=opening, filtered=True):
            self._commit(read_rows(self.client, self.plan, lot, opening=opening, filtered=True), last=lot[-1])
        return self.run

    def _commit(self, page: Page, *, last: int) -> None:
        """Write what a lot brought, in one fenced transaction."""
        now = timezone.now()
        nulls = self.instance.filter_nulls
        reading = read_records(page.records, self.plan, opening=EVER, closing=None, filter_nulls=nulls)
        watch = Watch(self.since, self.poll.mark, self.plan.created_tolerance, self.plan.ignore_empty_changes)
        with transaction.atomic():
            fence(PollState, self.key, self.token, lease_until=now + LEASE)
            run = self.current_run()
            run.page += 1
            run.reached_id = last
            run.records += len(page.records)
            run.skipped += reading.skipped + len(page.skipped)
            run.notes = more_notes(run.notes, [*page.skipped, *reading.problems])
            known = self._known([read.seen.record_id for read in reading.records])
            recorder = Recorder(self.poll, self.plan, watch)
            run.events += recorder.record(reading, run, now=now, seen=page.date or now, known=known)
            if last == self._ids[-1]:
                run.status, run.finished_at = PollRun.Status.COMPLETE, now
            run.save()
        self.run = run

    def _known(self, ids: Sequence[int]) -> dict[int, Known]:
        kept = known_records(self.poll.pk, [record_id for record_id in ids if record_id not in self._missed])
        return kept | _known_from_log(self.poll, self.plan, [number for number in ids if number in self._missed])


def _known_from_log(poll: ResourcePoll, plan: Plan, ids: Collection[int]) -> dict[int, Known]:
    """Give what the last event of each of these rows told, as if it had been remembered then."""
    log = Event.objects.filter(resource_poll=poll, record_id__in=ids)
    last = log.order_by().values("record_id").annotate(last=Max("pk")).values("last")
    found = {}
    for event in Event.objects.filter(pk__in=list(last.values_list("last", flat=True))):
        record = orjson.loads(event.record)
        stamp = plan.updated.read(record)
        seconds = None if stamp is None else int(stamp.timestamp())
        found[event.record_id] = Known(seconds, digest(record), gone=event.kind == Event.Kind.DELETED)
    return found


def _send_again(poll: ResourcePoll, now: datetime) -> int:
    """Make what has not arrived due, a paused delivery too, since a person asked; give the number of events."""
    undelivered = undelivered_events(poll)
    count = undelivered.count()
    if DeliveryState.objects.filter(instance=poll.instance, paused_at__isnull=False).exists():
        release_delivery(poll.instance, now)
    with transaction.atomic():
        _wrap_lost(poll, now)
    if undelivered.filter(notification__state=Notification.State.FAILED).exists():
        replay_now(poll.instance, Selection(failed=True, resource=poll.name), now)
    rearm(poll.instance, now)
    return count


def _wrap_lost(poll: ResourcePoll, now: datetime) -> None:
    """Give events whose notification is lost another one."""
    lost = iter(undelivered_events(poll).filter(notification=None))
    while events := list(islice(lost, WRAPPED_AT_ONCE)):
        rest = iter(events)
        for lot in batches([_change(event) for event in events]):
            carried = [next(rest) for _ in lot]
            notification = notification_of(poll.instance, poll.name, carried, now)
            notification.next_attempt_at = None  # rearm() sets it, unless the instance rests
            notification.save(force_insert=True)
            Event.objects.filter(pk__in=[event.pk for event in carried]).update(notification=notification)


def _change(event: Event) -> Change:
    changes = None if event.changes is None else event.changes.encode()
    return Change(event.record_id, event.object_id, event.kind, event.occurred_at, event.record.encode(), changes)
