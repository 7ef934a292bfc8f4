"""Threads that work off what is due: each lane is one thread with a bounded queue, sorted by when its jobs are due."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
import traceback
from collections.abc import Callable

from cwconnect.sandbox.callbacks.connections import Connections

LANES = 4
_STOP_SECONDS = 1.0
Job = Callable[[Connections], None]


class Lane:
    """One thread, begun with the first job. A job may add others, also to run later; it must not raise."""

    def __init__(self, number: int) -> None:
        self._jobs: list[tuple[float, int, Job]] = []
        self._sequence = itertools.count()
        self._wake = threading.Condition()
        self._stopping = False
        self._connections = Connections()
        self._thread = threading.Thread(target=self._run, name=f"sandbox-callbacks-{number}", daemon=True)

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job, delay: float) -> None:
        """Run `job` in so many seconds, after those that are due before or were added before."""
        with self._wake:
            heapq.heappush(self._jobs, (time.monotonic() + delay, next(self._sequence), job))
            if self._thread.ident is None and not self._stopping:
                self._thread.start()
            self._wake.notify()

    def stop(self) -> None:
        """End, also in the middle of a job; what waits is not done."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._connections.abort()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job(self._connections)
            except Exception:  # noqa: BLE001  (whatever it was, the jobs behind it are done all the same)
                traceback.print_exc()
        self._connections.close()

    def _next(self) -> Job | None:
        with self._wake:
            while not self._stopping:
                wait = self._jobs[0][0] - time.monotonic() if self._jobs else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._jobs)[2]
                self._wake.wait(wait)
        return None


class Lanes:
    """A few lanes: jobs of one number run in one lane, in turn. No thread runs before there is a job."""

    def __init__(self) -> None:
        self._outstanding = 0
        self._idle = threading.Condition()
        self._lanes = [Lane(number) for number in range(LANES)]

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes)

    def add(self, number: int, job: Job, delay: float = 0.0, *, waited_for: bool = True) -> None:
        """Run `job` in the lane of `number`, in so many seconds; `idle_within` waits for it unless said otherwise."""
        if waited_for:
            with self._idle:
                self._outstanding += 1
            job = self._counted(job)
        self._lanes[number % LANES].add(job, max(delay, 0.0))

    def idle_within(self, seconds: float) -> bool:
        """Wait until nothing waits and nothing runs, delayed jobs too; return whether that came in time."""
        with self._idle:
            return self._idle.wait_for(lambda: self._outstanding == 0, seconds)

    def stop(self) -> None:
        """End all."""
        for lane in self._lanes:
            lane.stop()

    def _counted(self, job: Job) -> Job:
        def run(connections: Connections) -> None:
            try:
                job(connections)
            finally:
                with self._idle:
                    self._outstanding -= 1
                    self._idle.notify_all()

        return run
