"""One run of a poll, from window to commit: what to ask next, and what each answer leads to.

A page is one transaction: events, notifications, snapshots and the page reached are there together or not at all.
The cursor moves in the transaction that ends the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from cwconnect.connectwise.client import Client, Page
from cwconnect.connectwise.hub_url import read_page
from instances.plans import AHEAD
from polling.detection.changes import Watch
from polling.detection.jobs import LEASE, Job, more_notes, open_runs
from polling.detection.outcomes import fail_run, finish_run, next_cursor, rest_run, usable_date
from polling.detection.reading import Reading, read_records
from polling.detection.recording import ReadPage, note_missing_fields, record_page, watch_of
from polling.models import PollRun, PollState
from polling.workers.leases import LeaseLostError, fence

__all__ = ["LEASE", "PageRequest", "PollJob"]

MOST_EXTRA_REQUESTS = 60  # of a poll, to find records that can't be read: each takes two, and one for each halving
RESTS = "So many records can't be read that the run goes on with the next poll."


@dataclass(frozen=True)
class PageRequest:
    """One request, ready for a thread: it touches no database."""

    client: Client
    read: Callable[[], Page]

    def __call__(self) -> Page:
        return self.read()


class PollJob(Job):
    """A claimed poll and its open run. `commit` and `fail` raise LeaseLostError when the poll was taken over."""

    _extra_requests = 0

    def open_run(self) -> PollRun:
        """Return the run to carry on: an open backfill first, then an open poll, else a new one, not yet stored.

        A backfill that failed last lets the poll pass: a window that is too much for the site holds up no news.
        """
        found = {run.kind: run for run in open_runs(self.poll)}
        backfill = found.get(PollRun.Kind.BACKFILL)
        if backfill is not None and not (backfill.error and self.state.failures % 2):
            return backfill
        if run := found.get(PollRun.Kind.POLL):
            return run
        cursor = self.state.cursor or self.since
        return PollRun(
            resource_poll=self.poll,
            kind=PollRun.Kind.POLL,
            opening=self.plan.opening(cursor),
            started_at=self.started_at,
        )

    def request(self) -> PageRequest:
        """Return the next request of the run."""
        client, plan, run = self.client, self.plan, self.run
        opening, after_id, needed = run.opening or self.since, run.reached_id, plan.needed_fields

        def read() -> Page:
            return read_page(
                client, plan.hub, opening=opening, after_id=after_id, page_size=plan.page_size, needed_fields=needed
            )

        return PageRequest(client, read)

    def commit(self, page: Page) -> bool:
        """Write what a page brought; give whether the run goes on."""
        now = timezone.now()
        reading = self.read(page, now)
        ended = page.is_last
        self._extra_requests += page.requests - 1
        rests = not ended and self.run.kind == PollRun.Kind.POLL and self._extra_requests > MOST_EXTRA_REQUESTS
        with transaction.atomic():
            fence(PollState, self.key, self.token, lease_until=now + LEASE)
            advanced = self.current_run()
            if advanced.opening != self.run.opening:
                raise LeaseLostError(
                    f"Run {advanced.pk} was widened; what was read of its old window does not begin it."
                )
            self.count_in(advanced, page, reading, now)
            advanced.events += record_page(self.read_page(advanced, page, reading, now), advanced, now=now)
            if ended:
                advanced.status, advanced.finished_at, advanced.error = PollRun.Status.COMPLETE, now, ""
            if rests:
                advanced.notes = more_notes(advanced.notes, [RESTS])
            advanced.save()
            note_missing_fields(self.poll, reading.fields)
            if ended:
                finish_run(self.state, self.token, advanced, started_at=self.started_at)
            elif rests:
                rest_run(self.state, self.token, started_at=self.started_at)
        self.run = advanced
        return not (ended or rests)

    def read(self, page: Page, now: datetime) -> Reading:
        """Read the records of the next page of the run."""
        run = self.run
        return read_records(
            page.records,
            self.plan,
            opening=run.opening or self.since,
            closing=usable_date(page.date, now) if run.page == 0 else run.first_date,
            filter_nulls=self.instance.filter_nulls,
            latest=now + AHEAD,  # a later stamp is an error of one record, and no clock
        )

    def count_in(self, run: PollRun, page: Page, reading: Reading, now: datetime) -> None:
        """Have the run say what the page, its next one, brought."""
        if run.page == 0:
            # Of the first page alone: what is edited behind the reader later on has a stamp after it.
            run.first_date, run.newest_stamp = usable_date(page.date, now), reading.newest
        run.page += 1
        run.reached_id = max(run.reached_id, page.last_id)
        run.records += len(page.records)
        run.skipped += reading.skipped + len(page.skipped)
        run.notes = more_notes(run.notes, [*page.skipped, *page.notes, *reading.problems])

    def read_page(self, run: PollRun, page: Page, reading: Reading, now: datetime) -> ReadPage:
        """Return what a page has shown, to be judged as of the run that it is counted in."""
        return ReadPage(self.poll, self.plan, self._watch(run), reading, page.date or now)

    def _watch(self, run: PollRun) -> Watch:
        # Once ConnectWise's clock was set back, what is written after watching began can have a stamp before it.
        clocks = (self.state.cursor, next_cursor(self.state, run))
        since = min([self.since, *(clock for clock in clocks if clock is not None)])
        if run.kind == PollRun.Kind.BACKFILL and run.opening is not None:
            since = min(since, run.opening)
        return watch_of(self.poll, self.plan, since, vouched=self.plan.hub.windowed)

    def fail(self, error: Exception) -> None:
        """Write that the run did not go on."""
        fail_run(self.state, self.token, self.run, error)
