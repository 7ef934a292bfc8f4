"""Polls that found nothing new, ended by the batch: what most polls of most instances come to.

One by one, an end costs a dozen statements and a commit; by the batch, six statements and one commit for all of them.
What is written is what `PollJob.commit` would write, and each end is fenced by its own lease.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from cwconnect.connectwise.client import Page
from cwconnect.core.bulk_sql import db_timestamp, insert_new, update
from polling.detection.deletes.missing_records import calm_healths
from polling.detection.outcomes import next_cursor, next_poll, usable_date
from polling.detection.polls.runs import PollJob
from polling.models import PollRun, PollState
from polling.models.leased import FREED

ENDED = (*FREED, "failures", "last_error", "health", "last_good_at", "cursor", "next_poll_at")

Idle = tuple[PollJob, Page]


def is_idle(job: PollJob, page: Page) -> bool:
    """Whether the page ends a poll that has nothing to write but its end: a first page without an element.

    A poll that failed before has siblings to wake, and takes the way of all others.
    """
    return job.run.pk is None and page.is_empty and not job.state.failures


def end_idle(ends: Sequence[Idle]) -> list[PollJob]:
    """End these polls in one transaction; give those that were taken over, for which nothing was written."""
    with transaction.atomic():
        now = timezone.now()
        held = _still_ours([job for job, _ in ends])
        ours = [(job, page) for job, page in ends if job.key in held]
        runs = [_run_of(job, page, now) for job, page in ours]
        insert_new(runs)
        _free([job for job, _ in ours], runs, held, now)
    return [job for job, _ in ends if job.key not in held]


def _still_ours(jobs: Sequence[PollJob]) -> dict[int, datetime | None]:
    """The fence: lock the rows that still carry our tokens; give when each is due as it stands now."""
    by_token: dict[str, list[int]] = defaultdict(list)
    for job in jobs:
        by_token[job.token].append(job.key)
    held: dict[int, datetime | None] = {}
    for token, keys in by_token.items():
        rows = PollState.objects.filter(pk__in=keys, lease_token=token).order_by("pk").select_for_update()
        held.update(rows.values_list("pk", "next_poll_at"))
    return held


def _run_of(job: PollJob, page: Page, now: datetime) -> PollRun:
    run = job.run
    run.page, run.first_date, run.reached_id = 1, usable_date(page.date, now), page.last_id
    run.status, run.finished_at = PollRun.Status.COMPLETE, now
    return run


def _free(
    jobs: Collection[PollJob], runs: Sequence[PollRun], due: Mapping[int, datetime | None], now: datetime
) -> None:
    health = calm_healths([job.key for job in jobs])
    rows = [
        (
            *(*FREED.values(), 0, ""),
            health[job.key],
            db_timestamp(now),
            db_timestamp(next_cursor(job.state, run)),
            db_timestamp(next_poll(job.state, due[job.key], job.started_at, now)),
            job.key,
        )
        for job, run in zip(jobs, runs, strict=True)
    ]
    update(PollState, ENDED, rows, key="resource_poll_id")
