"""How long a loop waits for more answers before it writes what came in: by how long writing takes, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty

import pytest

from polling.detection.poll_loop import PollLoop
from polling.workers.loop import Loop


class Clock:
    """A clock, and a queue of answers that come at its times; it notes how long each was waited for."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, list[float]()
        self.answers: list[Future[int]] = []

    def monotonic(self) -> float:
        return self.now

    def get(self, timeout: float) -> Future[int]:
        self.waits.append(timeout)
        if not self.answers:
            raise Empty
        return self.answers.pop(0)


class Gathering(Loop[str, int]):
    """A loop that waits as polls do, and whose every writing takes `writing` seconds of the clock."""

    gather, gather_most = PollLoop.gather, PollLoop.gather_most
    writing = 0.0

    def __init__(self, clock: Clock) -> None:
        super().__init__(deadline=0.0)
        self.clock = clock
        self.__dict__["_answered"] = clock

    def claim(self, capacity: int, running: Collection[str]) -> list[str]:
        return []

    def request(self, job: str) -> Callable[[], int]:
        return lambda: 0

    def settle(self, done: list[tuple[str, Future[int]]]) -> list[str]:
        self.clock.now += self.writing
        return []

    def release(self, jobs: Collection[str]) -> None:
        pass

    def second_wait(self) -> float:
        """Collect two answers of three that are under way at once; return how long the second was waited for."""
        self.clock.answers = [Future[int](), Future[int]()]
        self._running = dict.fromkeys((*self.clock.answers, Future[int]()), "job")
        self._begun = dict.fromkeys(self._running, self.clock.now)
        self.clock.waits.clear()
        with ThreadPoolExecutor(1) as pool:
            assert self._collect(pool) == 2
        return self.clock.waits[1]


@pytest.mark.parametrize(
    ("writing", "waited"),
    [(0.0, PollLoop.gather), (0.01, PollLoop.gather), (0.12, 0.12), (9.0, PollLoop.gather_most)],
)
def test_more_answers_are_waited_for_as_long_as_writing_took(
    monkeypatch: pytest.MonkeyPatch, writing: float, waited: float
) -> None:
    clock = Clock()
    monkeypatch.setattr("polling.workers.loop.time", clock)
    loop = Gathering(clock)
    loop.writing = writing
    assert loop.second_wait() == pytest.approx(PollLoop.gather)
    assert loop.second_wait() == pytest.approx(waited)


def test_no_answer_waits_for_what_has_been_slow_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have come by then are written together all the same."""
    clock = Clock()
    monkeypatch.setattr("polling.workers.loop.time", clock)
    loop = Gathering(clock)
    loop.slow_after = 1.0
    slow, *quick = (Future[int]() for _ in range(3))
    loop._running = dict.fromkeys((slow, *quick), "job")
    loop._begun = {slow: 0.0, **dict.fromkeys(quick, 2.0)}
    clock.now, clock.answers = 2.0, quick[:1]
    with ThreadPoolExecutor(1) as pool:
        assert loop._collect(pool) == 1
        assert clock.waits == pytest.approx([PollLoop.scan_every, PollLoop.gather])  # for the other quick one
        clock.answers, clock.now = [slow, *quick[1:]], 9.0
        clock.waits.clear()
        assert loop._collect(pool) == 2
        assert clock.waits == [PollLoop.scan_every, 0.0]
