"""One run of a poll, from window to commit: what to ask next, and what each answer leads to.

The worker's loop (poller.py) claims the poll, makes a `PollJob` and carries its requests to threads; everything here
runs in the loop's own thread, and every write is fenced by the lease. A page is one transaction: events, notifications,
known records and the page reached are there together or not at all. The cursor moves in the transaction that ends the
run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from cwconnect.connectwise.hub import read_page
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from cwconnect.connectwise.client import Client, Page
from instances.connections import client_for
from instances.models import ResourcePoll
from instances.poll_configuration import plan_of
from polling.changes import Verdict, Watch, field_changes, judge
from polling.eventlog import record_changes
from polling.known import Remembered, known_bodies, known_records, remember
from polling.leases import LeaseLostError, fence
from polling.models import PollRun, PollState
from polling.notifications import Change
from polling.outcomes import fail_run, finish_run
from polling.reading import Reading, RecordRead, read_records

LEASE = timedelta(seconds=150)  # the longest request, 120 s, and 30 s to write what it brought
MOST_NOTES = 20


@dataclass(frozen=True)
class PageRequest:
    """One request, ready for a thread: it touches no database."""

    client: Client
    read: Callable[[], Page]

    def __call__(self) -> Page:
        return self.read()


class PollJob:
    """A claimed poll and its open run. `commit` and `fail` raise LeaseLostError when the poll was taken over."""

    def __init__(self, state: PollState, token: str) -> None:
        self.poll: ResourcePoll = state.resource_poll
        self.instance = self.poll.instance
        self.site, self.host = state.site, state.host
        self.key, self.token = state.pk, token
        self._state = state
        if self.poll.since is None:
            raise LeaseLostError(f"{self.poll} has not begun to watch.")
        self._since = self.poll.since
        self._plan = plan_of(self.poll.name, self.poll.configuration)
        self._client = client_for(self.instance)
        self._started_at = timezone.now()
        self._run = self._open_run()

    def _open_run(self) -> PollRun:
        """Give the run to carry on: an open backfill first, then an open poll, else a new one, not yet stored."""
        found = PollRun.objects.filter(resource_poll=self.poll, status=PollRun.Status.OPEN).exclude(
            kind=PollRun.Kind.SWEEP
        )
        if run := found.order_by("kind").first():  # "backfill" sorts before "poll"
            return run
        cursor = self._state.cursor or self._since
        return PollRun(
            resource_poll=self.poll,
            kind=PollRun.Kind.POLL,
            opening=self._plan.opening(cursor),
            started_at=self._started_at,
        )

    @property
    def progress(self) -> PollRun:
        """The run as far as it has come."""
        return self._run

    def request(self) -> PageRequest:
        """Give the next request of the run."""
        client, plan, run = self._client, self._plan, self._run
        opening, after_id = run.opening or self._since, run.reached_id
        needed = (plan.id_field, plan.updated.field, *((plan.created.field,) if plan.created else ()))

        def read() -> Page:
            return read_page(
                client, plan.hub, opening=opening, after_id=after_id, page_size=plan.page_size, needed_fields=needed
            )

        return PageRequest(client, read)

    def commit(self, page: Page) -> bool:
        """Write what a page brought; give whether the run goes on."""
        now = timezone.now()
        run = self._run
        first_date = page.date if run.page == 0 else run.first_date
        opening = run.opening or self._since
        reading = read_records(
            page.records,
            self._plan,
            opening=opening,
            closing=first_date,
            filter_nulls=self.instance.filter_nulls,
        )
        ended = not page.records and not page.skipped
        with transaction.atomic():
            fence(PollState, self.key, self.token, lease_until=now + LEASE)
            advanced = self._advance(page, reading, first_date)
            advanced.events += self._record(reading, advanced, now=now, seen=page.date or now)
            if ended:
                advanced.status, advanced.finished_at, advanced.error = PollRun.Status.COMPLETE, now, ""
            advanced.save()
            if ended:
                finish_run(self._state, self.token, advanced, started_at=self._started_at)
        self._run = advanced
        return not ended

    def _advance(self, page: Page, reading: Reading, first_date: datetime | None) -> PollRun:
        """Count the page in, if it is the next one of the run as stored."""
        run = self._run
        if run.pk is None:
            run = PollRun.objects.create(
                resource_poll=self.poll, kind=run.kind, opening=run.opening, started_at=run.started_at
            )
        elif not PollRun.objects.filter(pk=run.pk, status=PollRun.Status.OPEN, page=run.page).update(page=F("page")):
            raise LeaseLostError(f"Run {run.pk} has gone on without us.")
        else:
            run = PollRun.objects.get(pk=run.pk)
        if run.page == 0:
            # Of the first page alone: what is edited behind the reader later on has a stamp after it.
            run.first_date, run.newest_stamp = first_date, reading.newest
        run.page += 1
        run.reached_id = max(run.reached_id, page.last_id)
        run.records += len(page.records)
        run.skipped += reading.skipped + len(page.skipped)
        run.notes = _more_notes(run.notes, [*page.skipped, *reading.problems])
        return run

    def _record(self, reading: Reading, run: PollRun, *, now: datetime, seen: datetime) -> int:
        """Judge each record against what is known of it; remember, and give the number of events."""
        known = known_records(self.poll.pk, [read.seen.record_id for read in reading.records])
        watch = self._watch(run)
        judged = [(read, judge(read.seen, known.get(read.seen.record_id), watch)) for read in reading.records]
        changes = self._changes(judged, seen)
        remember(self.poll.pk, [self._remembered(read) for read, verdict in judged if verdict.remember])
        return record_changes(poll=self.poll, run=run, changes=changes, now=now, seen=seen)

    def _watch(self, run: PollRun) -> Watch:
        since = self._since
        if run.kind == PollRun.Kind.BACKFILL and run.opening is not None:
            since = min(since, run.opening)
        return Watch(since, self.poll.mark, self._plan.created_tolerance, self._plan.ignore_empty_changes)

    def _changes(self, judged: list[tuple[RecordRead, Verdict]], seen: datetime) -> list[Change]:
        told = [(read, verdict) for read, verdict in judged if verdict.kind is not None]
        earlier: Mapping[int, str] = {}
        if self._plan.track_changes:
            earlier = known_bodies(self.poll.pk, [read.seen.record_id for read, verdict in told])
        return [
            Change(
                record_id=read.seen.record_id,
                object_id=read.object_id,
                kind=verdict.kind or "",
                occurred_at=read.seen.updated or seen,
                record=read.text,
                changes=self._field_changes(read, verdict, earlier.get(read.seen.record_id)),
            )
            for read, verdict in told
        ]

    def _field_changes(self, read: RecordRead, verdict: Verdict, earlier: str | None) -> bytes | None:
        if not self._plan.track_changes or verdict.kind != "UPDATED":
            return None
        if verdict.same_content:
            return b"[]"
        if earlier is None:
            return b"null"
        return orjson.dumps(field_changes(orjson.loads(earlier), read.record))

    def _remembered(self, read: RecordRead) -> Remembered:
        keep = self._plan.track_changes or self._plan.detect_deletes
        return Remembered(read.seen.record_id, read.seen.stamp, read.seen.digest, read.text.decode() if keep else None)

    def fail(self, error: Exception) -> None:
        """Write that the run did not go on."""
        fail_run(self._state, self.token, self._run, error)


def _more_notes(notes: str, problems: list[str]) -> str:
    lines = notes.splitlines() + [problem.replace("\x00", "\\0").replace("\n", " ") for problem in problems]
    if len(lines) > MOST_NOTES:
        lines = [*lines[:MOST_NOTES], "… and more of the kind."]
    return "\n".join(lines)
