"""A worker's loop past its deadline: one slow answer, for which the end waits, holds up nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from datetime import timedelta
from threading import Event, Timer

import pytest
from django.utils import timezone

from polling.delivery.breaker import targets_of
from polling.delivery.delivery_loop import DeliveryLoop
from polling.detection.claiming import claim_due
from polling.models import Notification, PollState, Receiver
from polling.workers.loop import QUICK_SECONDS, Loop
from tests.conftest import Tenant
from tests.support.notifications import make_instance, make_notifications
from tests.support.polled_instance import PolledInstance

SLOW, QUICK, OPENED = "http://127.0.0.1:81/", "http://127.0.0.1:82/", "http://127.0.0.1:83/"
EVERYTHING = ("", ())


class Script(Loop[str, str]):
    """A loop whose looks find what `looks` yields; a job waits for its gate, where it has one."""

    scan_every = 0.01

    def __init__(self, *gated: str, overtime: float = 600.0) -> None:
        super().__init__(deadline=float("inf"), overtime=overtime)
        self.gates = {job: Event() for job in gated}
        self.with_more: set[str] = set()  # jobs that have a further request
        self.released: list[str] = []
        self.looks: Iterator[list[str]] = iter(())
        self.settled: list[str] = []
        self.when_settled: Callable[[], object] = int  # nothing

    def pass_deadline(self, seconds: float = 2 * QUICK_SECONDS) -> None:
        """Have the deadline lie so many seconds back."""
        self.deadline = time.monotonic() - seconds

    def claim(self, capacity: int, running: Collection[str]) -> list[str]:
        return next(self.looks)

    def request(self, job: str) -> Callable[[], str]:
        return lambda: job if job not in self.gates or self.gates[job].wait(60) else "its gate did not open"

    def settle(self, done: list[tuple[str, Future[str]]]) -> list[str]:
        self.settled += [future.result() for _, future in done]
        self.when_settled()
        return [job for job, _ in done if job in self.with_more]

    def nothing_until_settled(self) -> Iterator[list[str]]:
        """Find nothing until an answer came, after which there is to be no look."""
        while not self.settled:
            yield []
        raise AssertionError(self.settled)

    def release(self, jobs: Collection[str]) -> None:
        assert self.with_more.issuperset(jobs)
        self.released += jobs


def test_more_is_done_while_the_end_waits_for_a_slow_answer() -> None:
    loop = Script("slow")

    def looks() -> Iterator[list[str]]:
        yield ["slow"]
        loop.pass_deadline()
        yield ["second"]
        yield ["third"]
        while loop.settled != ["second", "third"]:
            yield []
        assert list(loop.overdue()) == ["slow"]
        loop.gates["slow"].set()
        while True:
            yield []

    loop.looks = looks()
    assert loop.run() == 3
    assert loop.settled == ["second", "third", "slow"]


def test_nothing_is_begun_once_that_answer_came() -> None:
    """What was begun beside it is waited for, be it as slow, and nothing more is looked for."""
    loop = Script("slow", "further")

    def looks() -> Iterator[list[str]]:
        yield ["slow"]
        loop.pass_deadline()
        yield []
        yield ["further"]
        loop.gates["slow"].set()
        yield from loop.nothing_until_settled()

    loop.looks, loop.when_settled = looks(), loop.gates["further"].set
    assert loop.run() == 2
    assert loop.settled == ["slow", "further"]


def test_what_the_deadline_found_under_way_has_no_further_request() -> None:
    """It may be as slow as its last one, and the end would wait for it as long again."""
    loop = Script("slow", "slower")
    loop.with_more = {"slow"}

    def looks() -> Iterator[list[str]]:
        yield ["slow", "slower"]
        loop.pass_deadline()
        yield []
        loop.gates["slow"].set()
        while not loop.settled:
            yield []
        loop.gates["slower"].set()
        while True:
            yield []

    loop.looks = looks()
    assert loop.run() == 1
    assert loop.settled == ["slow", "slower"]
    assert loop.released == ["slow"]


@pytest.mark.parametrize("overtime", [0.0, 1.0])
def test_after_its_overtime_nothing_is_begun(overtime: float) -> None:
    loop = Script("slow", overtime=overtime)

    def looks() -> Iterator[list[str]]:
        yield ["slow"]
        loop.pass_deadline(overtime + 1)
        Timer(0.2, loop.gates["slow"].set).start()
        yield []
        raise AssertionError("looked once more")

    loop.looks = looks()
    assert loop.run() == 1
    assert loop.settled == ["slow"]


def test_where_nothing_is_under_way_the_deadline_is_the_end() -> None:
    loop = Script()

    def looks() -> Iterator[list[str]]:
        yield ["quick"]
        yield from loop.nothing_until_settled()

    loop.looks, loop.when_settled = looks(), loop.pass_deadline
    assert loop.run() == 1


def test_what_is_answered_soon_after_the_deadline_is_not_called_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polling.workers.loop.QUICK_SECONDS", 600.0)
    loop = Script("quick", "slow")

    def looks() -> Iterator[list[str]]:
        yield ["quick", "slow"]
        loop.pass_deadline(0)
        yield []
        assert list(loop.overdue()) == ["quick", "slow"]
        loop.gates["quick"].set()
        while not loop.settled:
            yield []
        assert list(loop.overdue()) == ["slow"]
        loop.gates["slow"].set()
        while True:
            yield []

    loop.looks = looks()
    assert loop.run() == 2
    assert loop.settled == ["quick", "slow"]


def test_no_notification_goes_to_a_host_that_is_waited_for_and_none_probes(tenant: Tenant) -> None:
    slow, quick, opened = (make_instance(tenant.organization, url) for url in (SLOW, QUICK, OPENED))
    loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
    make_notifications(slow, [[1], [2]])
    (begun,) = loop.claim(1, [])
    assert begun.host == "127.0.0.1:81"
    for instance in (quick, opened):
        make_notifications(instance, [[1], [2]])
    receiver = targets_of([opened.pk])[opened.pk].receiver_id
    before = timezone.now() - timedelta(seconds=1)
    Receiver.objects.filter(pk=receiver).update(open_until=before, holds=True)
    loop._running = {Future(): begun}  # as the loop itself keeps it
    loop.deadline = 0.0
    assert [job.host for job in loop.claim(8, [begun])] == ["127.0.0.1:82"] * 2


def test_no_poll_begins_at_a_company_that_is_waited_for(watched: PolledInstance) -> None:
    PollState.objects.update(next_poll_at=timezone.now() - timedelta(seconds=1))
    site = watched.state.site
    assert claim_due(EVERYTHING, "next_poll_at", 8, [], now=timezone.now(), slow={site}).keys == []
    assert claim_due(EVERYTHING, "next_poll_at", 8, [], now=timezone.now(), slow={"other"}).keys == [watched.state.pk]
