"""One sweep for deletes: all ids of a resource, page by page; then missing records are confirmed and recorded.

A sweep ignores the poll's filter. It is a run like a poll's: fenced by the same lease, resumed at the page committed.
Once all ids are read it goes on in rounds: rows found again are read and recorded; what was missed is asked for by its
id; last in each round a row known to live is asked for, since a role that was lost in between makes every id a 404.
Only then the round's deletes are recorded. A refusal of one id concerns that record alone, if the row known to live
still answers: it is noted on the run, and the next sweep asks again. After each page and round a poll that has come due
goes first.

Requests: one for each page and for each missing record, and one for each round of a hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from cwconnect.connectwise.client import Client, Page
from cwconnect.connectwise.errors import (
    BadAnswer,
    BrokenRecord,
    ConnectWiseError,
    NoPublicAddress,
    NotFound,
    RateLimited,
    Unauthorized,
    Unreachable,
)
from polling.detection.deletes.deletions import judge_missing, record_deletes
from polling.detection.deletes.missing_records import (
    Status,
    compare,
    missing_records,
)
from polling.detection.jobs import LEASE, Job, more_notes
from polling.detection.outcomes import fail_sweep, finish_sweep
from polling.detection.reading import read_records
from polling.detection.reads_by_id import id_batches, read_rows, rows_answered
from polling.detection.recording import ReadPage, record_page, watch_of
from polling.models import PollRun, PollState
from polling.workers.leases import end_lease, fence

ROUND = 100
RELEASED_AT_ONCE = 1000
EVER = datetime.min.replace(tzinfo=UTC)

PATIENT_TRIES = 2  # so often a fault that may pass by itself stops the sweep, before it counts as the record's own
_OF_THE_SITE = (Unauthorized, RateLimited, Unreachable, NoPublicAddress)

Settle = Callable[[Any], bool]


class CanaryGone(BadAnswer):
    """The row that was to answer for the others is gone itself: nothing can be said about them."""


@dataclass
class Round:
    """What one round still has to ask, and what it has found."""

    back: list[int] = field(default_factory=list)
    to_ask: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    refused: dict[int, ConnectWiseError] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not (self.back or self.to_ask or self.gone or self.refused)


def next_round(poll_id: int) -> Round:
    """Return the next round: rows found again, then rows to be asked for by id, then those that a person released."""
    if back := _ids(poll_id, Status.BACK, ROUND):
        return Round(back=back)
    if missed := _ids(poll_id, Status.MISSED, ROUND):
        return Round(to_ask=missed)
    return Round(gone=_ids(poll_id, Status.RELEASED, RELEASED_AT_ONCE))


def _ids(poll_id: int, status: Status, most: int) -> list[int]:
    rows = missing_records(poll_id, status).order_by("record_id")
    return list(rows.values_list("record_id", flat=True)[:most])


class SweepJob(Job):
    """A claimed state and its open sweep. `commit` and `fail` raise LeaseLostError when the state was taken over."""

    def __init__(self, state: PollState, token: str) -> None:
        super().__init__(state, token)
        self._round = Round() if self.run.listed_at is None else next_round(self.poll.pk)
        self._settle: Settle = self._commit_page

    def open_run(self) -> PollRun:
        """Return the sweep to carry on, or a new one, not yet stored."""
        found = PollRun.objects.filter(resource_poll=self.poll, status=PollRun.Status.OPEN, kind=PollRun.Kind.SWEEP)
        return found.first() or PollRun(resource_poll=self.poll, kind=PollRun.Kind.SWEEP, started_at=self.started_at)

    def request(self) -> Callable[[], Any]:
        """Return the next request: a page of ids, rows found again, a row that was missed, or the canary."""
        client, path, reached = self.client, self.plan.hub.path, self.run.reached_id
        if self.run.listed_at is None:
            self._settle = self._commit_page
            return lambda: client.page(path, {"fields": "id"}, after_id=reached)
        if self._round.back:
            self._settle = self._commit_back
            plan = self.plan
            ids = self._round.back = list(next(iter(id_batches(plan, self._round.back, opening=EVER, filtered=False))))
            return lambda: read_rows(client, plan, ids, opening=EVER, filtered=False)
        if self._round.to_ask:
            self._settle = self._note_answer
            record_id, patient = self._round.to_ask[0], self.state.sweep_failures < PATIENT_TRIES
            return lambda: is_there(client, path, record_id, patient=patient)
        self._settle = self._commit_round
        patient = self.state.sweep_failures < PATIENT_TRIES
        return lambda: answers_as_canary(client, path, reached, patient=patient)

    def commit(self, answer: Any) -> bool:
        """Write what a request brought; give whether the sweep goes on here and now."""
        return self._settle(answer)

    def fail(self, error: Exception) -> None:
        """Write that the sweep did not go on; without a canary it begins anew."""
        if isinstance(error, CanaryGone):
            self.run.status, self.run.finished_at = PollRun.Status.FAILED, timezone.now()
        fail_sweep(self.state, self.token, self.run, error)

    def _commit_page(self, page: Page) -> bool:
        def write(run: PollRun, now: datetime) -> None:
            if run.page == 0:
                # What a sweep that was given up had found.
                missing_records(self.poll.pk, Status.MISSED, Status.BACK).delete()
            ids = [record["id"] for record in page.records]
            upto = None if page.is_last else page.last_id
            compare(self.poll.pk, ids, after=run.reached_id, upto=upto, high_water_id=self.poll.high_water_id)
            run.page += 1
            run.reached_id = max(run.reached_id, page.last_id)
            run.records += len(page.records)
            run.skipped += len(page.skipped)
            run.notes = more_notes(run.notes, [*page.skipped, *page.notes])
            if page.is_last:
                run.listed_at = page.date or now
                run.held = judge_missing(self.poll.pk, anyone_left=run.reached_id > 0)
                PollRun.objects.filter(resource_poll=self.poll).exclude(pk=run.pk).exclude(held=[]).update(held=[])

        return self._write(write)

    def _commit_back(self, page: Page) -> bool:
        """Record rows that had been recorded as deleted and live."""
        nulls = self.instance.filter_nulls
        reading = read_records(page.records, self.plan, opening=EVER, closing=None, filter_nulls=nulls)
        watch = watch_of(self.poll, self.plan, self.since, vouched=False)

        def write(run: PollRun, now: datetime) -> None:
            run.skipped += reading.skipped + len(page.skipped)
            run.notes = more_notes(run.notes, [*page.skipped, *page.notes, *reading.problems])
            read = ReadPage(self.poll, self.plan, watch, reading, page.date or now)
            run.events += record_page(read, run, now=now)
            answered = rows_answered(self._round.back, page)
            missing_records(self.poll.pk, Status.BACK).filter(record_id__in=answered).delete()

        return self._write(write)

    def _note_answer(self, answer: bool | ConnectWiseError) -> bool:
        """Note what ConnectWise said of one id; the lease is renewed, since a round can take long."""
        record_id, *rest = self._round.to_ask
        self._round.to_ask = rest
        if isinstance(answer, ConnectWiseError):
            self._round.refused[record_id] = answer
        elif not answer:
            self._round.gone.append(record_id)
        found = missing_records(self.poll.pk, Status.MISSED).filter(record_id=record_id) if answer is True else None
        if found is not None and self._round.empty:
            return self._write(lambda run, now: found.delete())
        with transaction.atomic():
            fence(PollState, self.key, self.token, lease_until=timezone.now() + LEASE)
            if found is not None:
                found.delete()
        return True

    def _commit_round(self, canary: bool) -> bool:
        if not canary:
            raise CanaryGone("The row that was to answer for those missed is gone itself; the sweep begins anew.")
        refused = self._round.refused
        notes = [f"Record {number} may be gone; asked for it, {error}" for number, error in refused.items()]

        def write(run: PollRun, now: datetime) -> None:
            run.notes = more_notes(run.notes, notes)
            missing_records(self.poll.pk, Status.MISSED).filter(record_id__in=refused).delete()
            run.events += record_deletes(self.poll, self.plan, run, self._round.gone, now=now, seen=now)

        return self._write(write)

    def _write(self, write: Callable[[PollRun, datetime], object]) -> bool:
        """Write a step in one fenced transaction; end the sweep, step aside for a poll that is due, or go on."""
        now = timezone.now()
        with transaction.atomic():
            fence(PollState, self.key, self.token, lease_until=now + LEASE)
            run = self.current_run()
            write(run, now)
            following = Round() if run.listed_at is None else next_round(self.poll.pk)
            ended = run.listed_at is not None and following.empty
            if ended:
                run.status, run.finished_at, run.error = PollRun.Status.COMPLETE, now, ""
            run.save()
            if ended:
                finish_sweep(self.state, self.token, next_at=run.started_at + self.plan.sweep_interval)
            steps_aside = not ended and PollState.objects.filter(pk=self.key, next_poll_at__lte=now).exists()
            if steps_aside:
                end_lease(PollState, self.key, self.token)
        self.run, self._round = run, following
        return not (ended or steps_aside)


def is_there(
    client: Client, path: str, record_id: int, *, patient: bool, whole: bool = False
) -> bool | ConnectWiseError:
    """Ask if a record lives; a refusal that concerns this record alone is an answer too.

    Raised is what concerns the site, and while `patient` also what may pass by itself or be said of a moved site. A
    record that can't be read lives as well, unless it is wanted `whole`: then that is the answer.
    """
    try:
        return client.exists(path, record_id, whole=whole)
    except _OF_THE_SITE:
        raise
    except ConnectWiseError as error:
        may_pass = error.retryable or isinstance(error, NotFound)
        if patient and may_pass and not isinstance(error, BrokenRecord):
            raise
        return error


def answers_as_canary(client: Client, path: str, record_id: int, *, patient: bool) -> bool:
    """Ask for a row that the list named last; where it named none, the list must still be empty.

    Where that one row is refused by its id, the list is asked for it: it is the list's rows that are missed.
    """
    if not record_id:
        return client.page(path, {"fields": "id"}, page_size=1).is_empty
    answer = is_there(client, path, record_id, patient=patient, whole=True)
    if isinstance(answer, bool):
        return answer
    if not client.page(path, {"fields": "id", "conditions": f"id = {record_id}"}).records:
        raise answer
    return True
