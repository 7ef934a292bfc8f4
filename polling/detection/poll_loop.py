"""The worker's loop over due polls and sweeps, and registered jobs: pages committed as they come, each under a lease.

A poll goes before a sweep, and the two of one resource never run at a time; other jobs (verifications, repairs) run
beside both. No more is claimed per ConnectWise company and per host than may run now, so one slow site holds up nobody
else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from cwconnect.connectwise.errors import ConnectWiseError
from cwconnect.core.logs import about
from cwconnect.core.statements import condition_of
from cwconnect.tracing import is_on
from polling.detection.claimed_states import read_claimed
from polling.detection.claiming import Due, claim_due
from polling.detection.deletes.sweeps import SweepJob
from polling.detection.job_sources import JobSource, registered
from polling.detection.jobs import Job, Work
from polling.detection.outcomes import fail_run, fail_sweep
from polling.detection.poll_spans import begin_spans, end_spans, fail_span, traced
from polling.detection.polls.runs import PollJob
from polling.detection.polls.whole_polls import WholePoll, batches, end_polls, is_whole
from polling.models import PollRun, PollState, Site
from polling.workers.leases import (
    DATABASE_DOWN,
    LeaseLostError,
    release,
    release_or_owe,
)
from polling.workers.loop import Loop, never

log = logging.getLogger(__name__)

THREADS = 64  # a claim and an end cost much the same for one poll as for many, so many are under way at a time
SCAN_EVERY = 0.2  # seconds, while polls are under way: so that what comes due one by one is claimed together

Report = Callable[[Job, PollRun], None]
POLLS: tuple[Due, ...] = ("next_poll_at",)
POLLS_AND_SWEEPS: tuple[Due, ...] = ("next_poll_at", "next_sweep_at")


def poll_due(*, deadline: float, overtime: float = 0.0, stopping: Callable[[], bool] = never) -> int:
    """Run what is due until none is left, `deadline` (monotonic seconds) has come, or `stopping()`.

    That is polls, sweeps, and the jobs of registered sources. Returns the number of jobs that ended. What is under way
    then is written up to its page and freed, for the next worker to carry on. `overtime`: see `Loop`.
    """
    first, sources = registered()
    loop = PollLoop(
        PollState.objects.all(),
        deadline=deadline,
        overtime=overtime,
        stopping=stopping,
        kinds=POLLS_AND_SWEEPS,
        sources=sources,
        first=first,
    )
    return loop.run()


def poll_these(polls: Iterable[int], *, report: Report | None = None, stopping: Callable[[], bool] = never) -> int:
    """Run the polls of these resource poll ids as far as they are due, in the foreground; give how many ended.

    `report` hears of the run after every page.
    """
    these = PollState.objects.filter(pk__in=list(polls))
    return PollLoop(these, deadline=float("inf"), stopping=stopping, report=report).run()


def sweep_these(polls: Iterable[int], *, report: Report | None = None, stopping: Callable[[], bool] = never) -> int:
    """Run the sweeps of these resource poll ids as far as they are due, in the foreground, and polls that come due.

    `report` hears of the run after every page and step; gives how many jobs ended.
    """
    these = PollState.objects.filter(pk__in=list(polls))
    return PollLoop(these, deadline=float("inf"), stopping=stopping, report=report, kinds=POLLS_AND_SWEEPS).run()


class PollLoop(Loop[Work, Any]):
    """One worker's polls under way; `due` states what may be claimed, `kinds` by which due times, the first first.

    `sources`: where further jobs come from, of whatever poll; those in `first` are asked before polls are claimed.
    """

    threads = THREADS
    gather, gather_most = 0.05, 0.2

    def __init__(
        self,
        due: QuerySet[PollState],
        *,
        deadline: float,
        overtime: float = 0.0,
        stopping: Callable[[], bool] = never,
        report: Report | None = None,
        kinds: tuple[Due, ...] = POLLS,
        sources: Iterable[JobSource] = (),
        first: Iterable[JobSource] = (),
    ) -> None:
        super().__init__(deadline=deadline, overtime=overtime, stopping=stopping)
        self._due, self._report, self._kinds = condition_of(due), report, kinds
        self._first, self._sources = first, sources
        self._scan_at: dict[str, float] = {}

    def claim(self, capacity: int, running: Collection[Work]) -> list[Work]:
        """Claim due polls, then due sweeps, that have room at their company and host, the longest due first.

        After the deadline none of a company that is still waited for, and nothing of other sources: their requests may
        be two in one, and take twice as long.
        """
        jobs: list[Work] = []
        try:
            self._ask("first", self._first, capacity, running, jobs)
            for kind in self._kinds:
                if self._is_time(kind, [*running, *jobs]):
                    jobs += self._claim(kind, capacity - len(jobs), [*running, *jobs])
            if not self.overdue():
                self._ask("sources", self._sources, capacity, running, jobs)
            if is_on():
                begin_spans(jobs)
        except DATABASE_DOWN:
            self.release(jobs)
            raise
        return jobs

    def _ask(
        self, what: str, sources: Iterable[JobSource], capacity: int, running: Collection[Work], jobs: list[Work]
    ) -> None:
        """Add to `jobs` what these sources have for the room that is left."""
        if self._is_time(what, [*running, *jobs]):
            for source in sources:
                jobs += source(capacity - len(jobs), [*running, *jobs])

    def _is_time(self, what: str, running: Collection[Work]) -> bool:
        """Whether to look for this now: not so often while other work is under way."""
        now = time.monotonic()
        if running and now < self._scan_at.get(what, 0.0):
            return False
        self._scan_at[what] = now + SCAN_EVERY
        return True

    def _claim(self, kind: Due, capacity: int, running: Collection[Work]) -> list[Job]:
        slow = {job.site for job in self.overdue()}
        claim = claim_due(self._due, kind, capacity, running, now=timezone.now(), slow=slow)
        if not claim.drained:
            del self._scan_at[kind]
        if not claim.keys:
            return []
        try:
            states = read_claimed(claim.keys)
            return [job for state in states if (job := _start(state, claim.token, kind)) is not None]
        except DATABASE_DOWN:
            release_or_owe(PollState, claim.keys, claim.token)
            raise

    def request(self, job: Work) -> Callable[[], Any]:
        """Return the next page's request."""
        return job.request() if job.span is None else traced(job, job.span)

    def settle(self, done: list[tuple[Work, Future[Any]]]) -> list[Work]:
        """Commit what came in: polls that one page is all of together, each other page by itself."""
        whole = [] if self._report is not None else _whole(done)
        ended = {job for batch in batches(whole) for job in _end_together(batch)}
        going_on = [job for job, future in done if job not in ended and self._settle(job, future)]
        held = _at_blocked_sites(going_on)
        self.release(held)
        further = [job for job in going_on if job not in held]
        if is_on():
            end_spans(job for job, _ in done if job not in further)
        return further

    def release(self, jobs: Collection[Work]) -> None:
        """Free the rows; their runs stay open at the page committed."""
        for job in jobs:
            if job.span is not None:
                job.span.end()
            release_or_owe(job.row, [job.key], job.token)

    def _settle(self, job: Work, future: Future[Any]) -> bool:
        with about(**job.about, trace_id=job.span.trace_id if job.span else None):
            try:
                goes_on = _commit(job, future)
            except LeaseLostError as lost:
                log.info("%s", lost)
                self.release([job])  # a run that was widened beneath us may have left us the lease
                return False
        if self._report is not None and isinstance(job, Job):
            self._report(job, job.progress)
        return goes_on


def _whole(done: list[tuple[Work, Future[Any]]]) -> list[WholePoll]:
    return [
        (job, future.result())
        for job, future in done
        if isinstance(job, PollJob) and future.exception() is None and is_whole(job, future.result())
    ]


def _end_together(polls: list[WholePoll]) -> Collection[Work]:
    """End these polls; return the jobs that are done with. After a fault of ours each is to be tried by itself."""
    try:
        lost = end_polls(polls)
    except DATABASE_DOWN:
        raise
    except Exception:  # one that can't be written must not stop the others
        log.exception("%s polls could not be ended together", len(polls))
        for job, _ in polls:
            traceparent = job.run.traceparent
            job.run = job.open_run()  # anew: what stored it was rolled back
            job.run.traceparent = traceparent
        return []
    for job in lost:
        log.info("PollState %s was taken over.", job.key)
    return [job for job, _ in polls]


def _at_blocked_sites(jobs: Collection[Work]) -> list[Work]:
    """Return those jobs whose company has to wait meanwhile: after an answer to another poll, of any worker's."""
    if not jobs:
        return []
    blocked = Site.objects.filter(key__in={job.site for job in jobs}, blocked_until__gt=timezone.now())
    keys = set(blocked.values_list("key", flat=True))
    return [job for job in jobs if job.site in keys]


def _commit(job: Work, future: Future[Any]) -> bool:
    try:
        return job.commit(future.result())
    except ConnectWiseError as error:
        log.warning("%s failed: %s", job.subject, error)
        fail_span(job, error)
        job.fail(error)
    except (LeaseLostError, *DATABASE_DOWN):
        raise
    except Exception as error:  # a fault of ours in one poll must not stop the others
        log.exception("%s failed", job.subject)
        fail_span(job, error)
        job.fail(error)
    return False


def _start(state: PollState, token: str, kind: Due) -> Job | None:
    polls = kind == "next_poll_at"
    at = {"instance_id": state.resource_poll.instance_id}
    try:
        return PollJob(state, token) if polls else SweepJob(state, token)
    except LeaseLostError as lost:
        log.warning("%s", lost, extra=at)
        PollState.objects.filter(pk=state.pk, lease_token=token).update(**{kind: None})
        release(PollState, [state.pk], token)
    except DATABASE_DOWN:
        raise
    except Exception as error:  # a poll that can't start (a secret no key opens, say) must not stop the others
        log.exception("Poll %s can't start", state.pk, extra=at)
        if polls:
            fail_run(state, token, None, error)
        else:
            fail_sweep(state, token, None, error)
    return None
