"""Polls that one page is all of, ended by the batch: what nearly every poll comes to, be there a change or none.

One by one, an end costs a dozen statements and a commit, and with changes twice as many; by the batch, that and one
commit for all of them. What is written is what `PollJob.commit` would write, and each end is fenced by its own lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from cwconnect.connectwise.client import Page
from cwconnect.core.bulk_sql import db_timestamp, insert_new, keys, update
from cwconnect.core.one_statement import time_of
from cwconnect.core.statements import AMONG, rows_of
from polling.detection.deletes.missing_records import calm_healths
from polling.detection.outcomes import next_cursor, next_poll
from polling.detection.polls.runs import PollJob
from polling.detection.recording import ReadPage, judge_pages, note_missing_fields, write_pages
from polling.models import PollRun, PollState
from polling.models.leased import FREED

MOST_RECORDS = 2000  # of one transaction: what it holds in memory, and how long others may wait for its rows
ENDED = (*FREED, "failures", "last_error", "health", "last_good_at", "cursor", "next_poll_at")
_HELD = """SELECT resource_poll_id, lease_token, CAST(next_poll_at AS text) FROM polling_pollstate
WHERE resource_poll_id {among} AND lease_token IN ({tokens}) ORDER BY resource_poll_id{lock}
"""
_LOCK = {"postgresql": " FOR UPDATE", "sqlite": ""}

WholePoll = tuple[PollJob, Page]


def is_whole(job: PollJob, page: Page) -> bool:
    """Whether the page is a poll's first and its last, and the poll has nothing else to write but its end.

    A poll that failed before has siblings to wake, and takes the way of all others.
    """
    return job.run.pk is None and page.is_last and not job.state.failures


def batches(polls: Iterable[WholePoll]) -> Iterator[list[WholePoll]]:
    """Cut polls into batches of at most `MOST_RECORDS`, unless one has more by itself."""
    batch: list[WholePoll] = []
    size = 0
    for job, page in polls:
        if batch and size + len(page.records) > MOST_RECORDS:
            yield batch
            batch, size = [], 0
        batch.append((job, page))
        size += len(page.records)
    if batch:
        yield batch


@dataclass(frozen=True)
class _End:
    """A poll that is still ours: its run as it ends, and what its page has shown."""

    job: PollJob
    run: PollRun
    read: ReadPage


def end_polls(polls: Sequence[WholePoll]) -> list[PollJob]:
    """End these polls in one transaction; return those that were taken over, for which nothing was written."""
    with transaction.atomic():
        now = timezone.now()
        due = _still_ours([job for job, _ in polls])
        ends = [_end(job, page, now) for job, page in polls if job.key in due]
        _write(ends, now)
        _free(ends, due, now)
    return [job for job, _ in polls if job.key not in due]


def _still_ours(jobs: Sequence[PollJob]) -> dict[int, datetime | None]:
    """The fence: lock the rows that still carry our tokens; return when each is due as it stands now."""
    tokens = {job.key: job.token for job in jobs}
    vendor, claims = connection.vendor, sorted(set(tokens.values()))
    statement = _HELD.format(among=AMONG[vendor], tokens=", ".join(["%s"] * len(claims)), lock=_LOCK[vendor])
    held = rows_of(statement, [keys(tokens), *claims])
    return {key: time_of(due) for key, token, due in held if token == tokens[key]}


def _end(job: PollJob, page: Page, now: datetime) -> _End:
    run, reading = job.run, job.read(page, now)
    job.count_in(run, page, reading, now)
    run.status, run.finished_at = PollRun.Status.COMPLETE, now
    return _End(job, run, job.read_page(run, page, reading, now))


def _write(ends: Sequence[_End], now: datetime) -> None:
    """Store the runs, and what they found: judged first, for a run holds the number of its events."""
    changed = [end for end in ends if end.read.reading.records]
    pages = list(zip(judge_pages([end.read for end in changed]), [end.run for end in changed], strict=True))
    for page, run in pages:
        run.events = len(page.events)
    # Events name their run, so the database has to tell its key; that costs, and most polls have none.
    PollRun.objects.bulk_create([end.run for end in ends if end.run.events])
    insert_new([end.run for end in ends if not end.run.events])
    write_pages(pages, now=now)
    for end in changed:
        note_missing_fields(end.job.poll, end.read.reading.fields)


def _free(ends: Sequence[_End], due: Mapping[int, datetime | None], now: datetime) -> None:
    health = calm_healths([end.job.key for end in ends])
    rows = [
        (
            *(*FREED.values(), 0, ""),
            health[end.job.key],
            db_timestamp(now),
            db_timestamp(next_cursor(end.job.state, end.run)),
            db_timestamp(next_poll(end.job.state, due[end.job.key], end.job.started_at, now)),
            end.job.key,
        )
        for end in ends
    ]
    update(PollState, ENDED, rows, key="resource_poll_id")
