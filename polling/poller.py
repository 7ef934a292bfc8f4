"""The worker's loop over due polls: claimed by lease, pages committed as they come.

No more is claimed per ConnectWise company and per host than may run now, so one slow site holds up nobody else.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future

from django.db.models import QuerySet
from django.utils import timezone

from cwconnect.connectwise.client import Page
from cwconnect.connectwise.errors import ConnectWiseError
from polling.leases import LeaseLostError, claim, free, release
from polling.loop import DATABASE_DOWN, Loop, never
from polling.models import PollRun, PollState, Site
from polling.outcomes import fail_run
from polling.runs import LEASE, PageRequest, PollJob

log = logging.getLogger(__name__)

PER_SITE = 3
PER_HOST = 8

Report = Callable[[PollJob, PollRun], None]


def poll_due(*, deadline: float, stopping: Callable[[], bool] = never) -> int:
    """Run due polls until none is left, `deadline` (monotonic seconds) has come, or `stopping()`; give their number.

    What is under way then is written up to its page and freed, for the next worker to carry on.
    """
    due = PollState.objects.filter(next_poll_at__isnull=False)
    return PollLoop(due, deadline=deadline, stopping=stopping).run()


def poll_these(polls: Iterable[int], *, report: Report | None = None, stopping: Callable[[], bool] = never) -> int:
    """Run the polls of these resource poll ids as far as they are due, in the foreground; give how many ended.

    `report` hears of the run after every page.
    """
    due = PollState.objects.filter(pk__in=list(polls), next_poll_at__isnull=False)
    return PollLoop(due, deadline=float("inf"), stopping=stopping, report=report).run()


class PollLoop(Loop[PollJob, Page]):
    """One worker's polls under way; `due` states what may be claimed."""

    def __init__(
        self,
        due: QuerySet[PollState],
        *,
        deadline: float,
        stopping: Callable[[], bool] = never,
        report: Report | None = None,
    ) -> None:
        super().__init__(deadline=deadline, stopping=stopping)
        self._due, self._report = due, report

    def claim(self, room: int, running: Collection[PollJob]) -> list[PollJob]:
        """Claim due polls that have room at their company and host, the longest due first."""
        now = timezone.now()
        due = self._due.filter(next_poll_at__lte=now)
        chosen = _choose(due, room, running)
        if not chosen:
            return []
        token, keys = claim(due, chosen, now=now, length=LEASE)
        states = PollState.objects.filter(pk__in=keys).select_related("resource_poll__instance__organization")
        return [job for state in states if (job := _start(state, token)) is not None]

    def request(self, job: PollJob) -> PageRequest:
        """Give the next page's request."""
        return job.request()

    def settle(self, done: list[tuple[PollJob, Future[Page]]]) -> list[PollJob]:
        """Commit each page that came in."""
        return [job for job, future in done if self._settle(job, future)]

    def release(self, jobs: Collection[PollJob]) -> None:
        """Free the polls; their runs stay open at the page committed."""
        for job in jobs:
            release(PollState, [job.key], job.token)

    def _settle(self, job: PollJob, future: Future[Page]) -> bool:
        try:
            goes_on = _commit(job, future)
        except LeaseLostError as lost:
            log.info("%s", lost)
            return False
        if self._report is not None:
            self._report(job, job.progress)
        return goes_on


def _commit(job: PollJob, future: Future[Page]) -> bool:
    try:
        return job.commit(future.result())
    except ConnectWiseError as error:
        job.fail(error)
    except (LeaseLostError, *DATABASE_DOWN):
        raise
    except Exception as error:  # a fault of ours in one poll must not stop the others
        log.exception("Poll %s failed", job.key)
        job.fail(error)
    return False


def _choose(due: QuerySet[PollState], room: int, running: Collection[PollJob]) -> list[int]:
    now = timezone.now()
    sites = Counter(job.site for job in running)
    hosts = Counter(job.host for job in running)
    blocked = Site.objects.filter(blocked_until__gt=now).values("key")
    look = (
        due.filter(free(now))
        .exclude(site__in=blocked)
        .exclude(site__in=[site for site, count in sites.items() if count >= PER_SITE])
        .exclude(host__in=[host for host, count in hosts.items() if count >= PER_HOST])
    )
    chosen: list[int] = []
    for key, site, host in look.order_by("next_poll_at").values_list("pk", "site", "host")[: 4 * room]:
        if len(chosen) < room and sites[site] < PER_SITE and hosts[host] < PER_HOST:
            chosen.append(key)
            sites[site] += 1
            hosts[host] += 1
    return chosen


def _start(state: PollState, token: str) -> PollJob | None:
    try:
        return PollJob(state, token)
    except LeaseLostError as lost:
        log.warning("%s", lost)
        PollState.objects.filter(pk=state.pk, lease_token=token).update(next_poll_at=None)
        release(PollState, [state.pk], token)
    except DATABASE_DOWN:
        raise
    except Exception as error:  # a poll that can't start (a secret no key opens, say) must not stop the others
        log.exception("Poll %s can't start", state.pk)
        fail_run(state, token, None, error)
    return None
