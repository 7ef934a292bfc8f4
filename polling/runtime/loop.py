"""Work that waits for others, overlapped: claim rows, let threads do their requests, write what comes back.

Threads do HTTP and nothing else; every look at the database happens in the loop's own thread. `poller` and `delivery`
say what is claimed, asked and written.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from polling.runtime.leases import release_owed

GRACE_SECONDS = 7  # what requests in flight get at the end: eight, with the second that it may take to notice
GATHER_SECONDS = 0.01  # after the first answer, for more of them: a claim and a transaction cost 10 ms for any number

Job = TypeVar("Job")
Answer = TypeVar("Answer")


def never() -> bool:
    """Nobody asks us to stop."""
    return False


class Loop(ABC, Generic[Job, Answer]):
    """One worker's jobs under way, until nothing is due, `deadline` (monotonic seconds) has come, or `stopping()`.

    `stopping` is asked at least once a second. After the deadline what is in flight is waited for; when asked to stop,
    for eight seconds; what is left then is released, for the next worker.
    """

    threads = 16
    look_every = 1.0  # seconds; how long what comes due may wait while all that is in flight is slow

    def __init__(self, *, deadline: float, stopping: Callable[[], bool] = never) -> None:
        self.deadline, self.stopping = deadline, stopping
        self._running: dict[Future[Answer], Job] = {}
        self._stopped_at: float | None = None

    @abstractmethod
    def claim(self, room: int, running: Collection[Job]) -> list[Job]:
        """Claim at most `room` jobs, minding who is under way already."""

    @abstractmethod
    def request(self, job: Job) -> Callable[[], Answer]:
        """Give the job's next request; it runs in a thread and touches no database."""

    @abstractmethod
    def settle(self, done: list[tuple[Job, Future[Answer]]]) -> list[Job]:
        """Write what came in; give the jobs that have a further request."""

    @abstractmethod
    def release(self, jobs: Collection[Job]) -> None:
        """Free jobs that will not be finished here, later if the database is away (`leases.release_or_owe`)."""

    def run(self) -> int:
        """Work; give the number of jobs that came to an end, well or not."""
        release_owed()
        ended = 0
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix=type(self).__name__)
        try:
            while True:
                if self._open():
                    self._fill(pool)
                if not self._running or self._out_of_patience():
                    return ended
                ended += self._collect(pool)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._let_go()

    def _open(self) -> bool:
        """Whether more may be begun; from the first refusal on, never again."""
        if self._stopped_at is None and self.stopping():
            self._stopped_at = time.monotonic()
        return self._stopped_at is None and time.monotonic() < self.deadline

    def _out_of_patience(self) -> bool:
        return self._stopped_at is not None and time.monotonic() > self._stopped_at + GRACE_SECONDS

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        while (room := self.threads - len(self._running)) > 0:
            jobs = self.claim(room, self._running.values())
            if not jobs:
                return
            for job in jobs:
                self._running[pool.submit(self.request(job))] = job
            if len(jobs) < room:
                return  # what could be claimed is: a further look would find the same

    def _collect(self, pool: ThreadPoolExecutor) -> int:
        done, waiting = wait(self._running, timeout=self.look_every, return_when=FIRST_COMPLETED)
        if done and waiting:
            done |= wait(waiting, timeout=GATHER_SECONDS).done
        pairs = [(self._running[future], future) for future in done]
        if not pairs:
            return 0
        going_on = self.settle(pairs)
        for future in done:
            del self._running[future]
        if not self._open():
            self.release(going_on)
            return len(pairs) - len(going_on)
        for job in going_on:
            self._running[pool.submit(self.request(job))] = job
        return len(pairs) - len(going_on)

    def _let_go(self) -> None:
        """Free what is still under way, so that others need not wait for the leases' ends."""
        if self._running:
            self.release(self._running.values())
