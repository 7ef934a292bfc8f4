"""Work that waits for others, overlapped: claim rows, let threads do their requests, write what comes back.

Threads do HTTP and nothing else; every look at the database happens in the loop's own thread. `poller` and `delivery`
say what is claimed, asked and written. A thread may take several jobs in a batch, one after another: what comes of each
is written as soon as it is known.
"""

from __future__ import annotations

import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import takewhile
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from polling.workers.leases import release_owed

QUICK_SECONDS = 1.0  # what the deadline found under way, and is answered so soon after it, is not slow
GRACE_SECONDS = 7  # what requests in flight get at the end: eight, with the second that it may take to notice

Job = TypeVar("Job")
Answer = TypeVar("Answer")


def never() -> bool:
    """Nobody asks us to stop."""
    return False


@cache
def _freeze() -> None:
    """Have the garbage collector pass over what is there by now, once a process: modules and classes stay.

    To walk over them took 0.1 s every few thousand polls, 6 % of their CPU.
    """
    gc.collect()
    gc.freeze()


class Loop(ABC, Generic[Job, Answer]):
    """One worker's jobs under way, until nothing is due, `deadline` (monotonic seconds) has come, or `stopping()`.

    `stopping` is asked at least once a second. At the deadline nobody has a further request. What is under way is
    waited for, and meanwhile, for `overtime` seconds at most, more is claimed: the worker is occupied in any case, and
    one slow answer must not hold up all others. When asked to stop, nothing more is begun, and what is under way has
    eight seconds; what is left then is released, for the next worker.
    """

    threads = 16
    scan_every = 1.0  # seconds; how long what comes due may wait while all that is in flight is slow
    gather = 0.01  # seconds after an answer, for more of them: writing costs 10 ms and a commit for any number
    gather_most = 0.01  # seconds: so long at most where writing took longer, as it does far from the database
    slow_after = float("inf")  # seconds after which no answer is kept any more to be written together with this one
    linger = 0.0  # seconds for which the loop stays and looks on once nothing is due

    def __init__(self, *, deadline: float, overtime: float = 0.0, stopping: Callable[[], bool] = never) -> None:
        self.deadline, self.overtime, self.stopping = deadline, overtime, stopping
        self.halted = False  # from when on no request begins; threads look at it between two of a batch
        self._running: dict[Future[Answer], Job] = {}
        self._begun: dict[Future[Answer], float] = {}  # when each of these was, the first first
        self._overdue: dict[Future[Answer], Job] | None = None  # what the deadline found under way, once it has come
        self._last: set[Future[Answer]] = set()  # the last of each batch: a thread is counted until that is written
        self._answered: SimpleQueue[Future[Answer]] = SimpleQueue()
        self._writing = 0.0  # seconds that the last writing took
        self._stopped_at: float | None = None
        self._idle_since: float | None = None

    def scan_wait(self) -> float:
        """Return for how many seconds an answer is waited for before the next look at what is due."""
        return self.scan_every

    @abstractmethod
    def claim(self, capacity: int, running: Collection[Job]) -> list[Job]:
        """Claim jobs for at most `capacity` batches, minding who is under way already."""

    @abstractmethod
    def request(self, job: Job) -> Callable[[], Answer]:
        """Return the job's next request; it runs in a thread and touches no database."""

    def batches(self, jobs: Iterable[Job]) -> Iterable[Sequence[Job]]:
        """Deal jobs out: those of one batch are done by one thread, one after another. By default one job a batch."""
        return [[job] for job in jobs]

    @abstractmethod
    def settle(self, done: list[tuple[Job, Future[Answer]]]) -> list[Job]:
        """Write what came in; give the jobs that have a further request."""

    @abstractmethod
    def release(self, jobs: Collection[Job]) -> None:
        """Free jobs that will not be finished here, later if the database is away (`leases.release_or_owe`)."""

    def run(self) -> int:
        """Work; give the number of jobs that came to an end, well or not."""
        _freeze()
        release_owed()
        ended = 0
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix=type(self).__name__)
        try:
            while True:
                if self._open():
                    self._fill(pool)
                late = self._stopped_at is not None and time.monotonic() > self._stopped_at + GRACE_SECONDS
                if late or not (self._running or self._lingers()):
                    return ended
                ended += self._collect(pool)
        finally:
            self.halted = True
            pool.shutdown(wait=False, cancel_futures=True)
            if self._running:  # so that others need not wait for the leases' ends
                self.release(self._running.values())

    def overdue(self) -> Collection[Job]:
        """Return what the deadline found under way, and was not answered within a second after it.

        The end waits for it. What is begun meanwhile should go to nobody who was asked by these, or it may be as slow,
        and be waited for in its turn.
        """
        if self._overdue is None and time.monotonic() >= self.deadline:
            self._overdue = dict(self._running)
        return self._overdue.values() if self._overdue else ()

    def _waits(self) -> bool:
        """Whether something is under way that the deadline found so."""
        return bool(self.overdue()) and not self._running.keys().isdisjoint(self._overdue or ())

    def _open(self) -> bool:
        """Whether more may be claimed; from the first refusal on, never again."""
        if self._goes_on():
            return True
        return self._stopped_at is None and time.monotonic() < self.deadline + self.overtime and self._waits()

    def _goes_on(self) -> bool:
        """Whether what was claimed may have a further request; asks whether to stop."""
        if self._stopped_at is None and self.stopping():
            self._stopped_at = time.monotonic()
            self.halted = True
        return self._stopped_at is None and time.monotonic() < self.deadline

    def _lingers(self) -> bool:
        """Whether to look on, although nothing is under way."""
        now = time.monotonic()
        if self._idle_since is None:
            self._idle_since = now
        return now < self._idle_since + self.linger and self._open()

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        while (capacity := self.threads - len(self._last)) > 0:
            batches = self._begin(pool, self.claim(capacity, self._running.values()))
            if batches < capacity:
                return  # what could be claimed is: a further look would find the same

    def _begin(self, pool: ThreadPoolExecutor, jobs: Collection[Job]) -> int:
        """Have these done; give in how many batches."""
        batches = list(self.batches(jobs))
        for batch in batches:
            requests = [(Future[Answer](), self.request(job)) for job in batch]
            self._running.update(zip((future for future, _ in requests), batch, strict=True))
            self._begun.update(dict.fromkeys((future for future, _ in requests), time.monotonic()))
            self._last.add(requests[-1][0])
            pool.submit(self._do_batch, requests)
            self._idle_since = None
        return len(batches)

    def _do_batch(self, requests: Sequence[tuple[Future[Answer], Callable[[], Answer]]]) -> None:
        """Do requests one after another; in a thread."""
        for future, request in requests:
            try:
                future.set_result(request())
            except BaseException as error:  # noqa: BLE001  (it is the answer: `settle` judges it)
                future.set_exception(error)
            self._answered.put(future)

    def _collect(self, pool: ThreadPoolExecutor) -> int:
        done = self._wait()
        if not done:
            return 0
        began = time.monotonic()
        going_on = self.settle([(self._running[future], future) for future in done])
        self._writing = time.monotonic() - began
        for future in done:
            del self._running[future], self._begun[future]
            if self._overdue and time.monotonic() < self.deadline + QUICK_SECONDS:
                self._overdue.pop(future, None)
        self._last.difference_update(done)
        if self._goes_on():
            self._begin(pool, going_on)
        else:
            self.release(going_on)
        return len(done) - len(going_on)

    def _wait(self) -> list[Future[Answer]]:
        """Wait for an answer, and a little longer for more, unless all that is left is slow; give those that came."""
        done: list[Future[Answer]] = []
        until = time.monotonic() + self.scan_wait()
        try:
            while not done or len(done) < len(self._running):
                done.append(self._answered.get(timeout=max(0.0, until - time.monotonic())))
                if len(done) == 1:
                    until = time.monotonic() + max(self.gather, min(self._writing, self.gather_most))
                if len(done) >= len(self._running) - self._slow():
                    until = 0.0  # what has come by now
        except Empty:
            pass  # nothing more for now
        return done

    def _slow(self) -> int:
        """Return how many have been under way for so long that no other answer waits for theirs."""
        before = time.monotonic() - self.slow_after
        return sum(1 for _ in takewhile(before.__gt__, self._begun.values()))
