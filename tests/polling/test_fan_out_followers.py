"""What follows a notification that ends just then comes due by itself, whoever of the two commits first.

Nobody else makes a follower due for a minute (`rearm_stranded`), which none of these tests runs.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from instances.models import Organization
from polling.delivery import delivery_loop, results
from polling.delivery.delivery_loop import DeliveryLoop
from polling.delivery.delivery_request import Outcome
from polling.delivery.fan_out import writing
from polling.delivery.fan_out.step import FanOut
from polling.delivery.pausing import BLOCKED
from polling.detection import event_log
from polling.models import Notification, Subscription
from polling.subscriptions import changes
from tests.support.read_log import Log, made_for, read_log, subscribe
from tests.support.row_locks import wait_for_who_waits

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer"),
]

State = Notification.State
RECORDS = 6
SECONDS = 3.0
BACKLOG = 30  # undelivered; beyond it the recorder waits
SENT = {"delivered": Outcome(status=204), "failed": Outcome(status=500, error_kind="internal")}


@pytest.fixture
def log(organization: Organization, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Log:
    """A log whose notifications have one try, and others get through: what fails is given up, and pauses nothing."""
    settings.RETRY_SCHEDULE = []
    monkeypatch.setattr(results, "_anything_got_through", lambda _: True)
    return Log(organization)


class Gate:
    """A place where whoever comes first stops, in its transaction, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
        self._work = getattr(module, name)
        self._reached, self._open = threading.Event(), threading.Event()
        monkeypatch.setattr(module, name, self._stop)

    def _stop(self, *arguments: Any) -> Any:
        self._reached.set()
        assert self._open.wait(20)
        return self._work(*arguments)

    def wait(self) -> None:
        """Wait until somebody stands here."""
        assert self._reached.wait(20)

    def open(self) -> None:
        """Let it go on."""
        self._open.set()


def in_thread(pool: ThreadPoolExecutor, work: Callable[[], object]) -> Future[None]:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    return pool.submit(run)


def ending(how: str, subscription: Subscription, number: int) -> Callable[[], None]:
    """Return what ends a notification this way; its attempt is under way, where it is sent."""
    if how == "discarded":
        return lambda: changes.delete_subscription(subscription, timezone.now())
    loop = DeliveryLoop(Notification.objects.filter(pk=number), deadline=float("inf"))
    [request] = loop.claim(1, ())
    return lambda: results.write_results([(request, SENT[how])], timezone.now())


@pytest.mark.parametrize("first", ["who follows", "who ends"])
@pytest.mark.parametrize(
    ("who", "how"),
    [
        *(("fan-out", "delivered"), ("fan-out", "failed"), ("fan-out", "discarded")),
        *(("recorder", "delivered"), ("recorder", "failed")),  # the first one is deleted with its instance
    ],
)
def test_what_follows_one_that_ends_just_then_is_due(
    log: Log, monkeypatch: pytest.MonkeyPatch, who: str, how: str, first: str
) -> None:
    subscription = subscribe(log.instance) if who == "fan-out" else log.first
    log.record(1)
    read_log()
    ours = Notification.objects.to([subscription.pk])
    number = ours.get().pk
    ending_it: Callable[[], object] = ending(how, subscription, number)
    follow: Callable[[], object] = partial(log.record, 1)
    if who == "fan-out":
        log.record(1)
        follow = partial(FanOut().step, timezone.now())
    if first == "who follows":  # it has seen that the other is undelivered
        gate = Gate(monkeypatch, writing if who == "fan-out" else event_log, "take_ids")
        begins, comes = follow, ending_it
    else:  # it has made due whatever follows
        gate = Gate(monkeypatch, *((changes, "keep_tracking") if how == "discarded" else (results, "count_failures")))
        begins, comes = ending_it, follow
    with ThreadPoolExecutor(2) as pool:
        one = in_thread(pool, begins)
        gate.wait()
        other = in_thread(pool, comes)
        wait_for_who_waits(unless=other.done)
        gate.open()
        one.result()
        other.result()
    assert ours.get(pk=number).state == how
    followers = list(ours.exclude(pk=number).values_list("state", "next_attempt_at", "follows"))
    if how == "discarded":
        assert followers == ([("discarded", None, number)] if first == "who follows" else [])
    else:
        [(state, due, follows)] = followers
        assert (state, due is not None, follows) == ("pending", True, number if first == "who follows" else None)


def deliver(seed: int, going_on: Callable[[], bool]) -> None:
    """Deliver and give up what is due, each by chance, some at a time."""
    chance = random.Random(seed)
    while going_on():
        loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"), fan_out=FanOut(()))
        requests = loop.claim(chance.randint(1, 8), ())
        ended = [(request, SENT["failed" if chance.random() < 0.2 else "delivered"]) for request in requests]
        time.sleep(chance.random() / 100)
        delivery_loop._write(ended)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_recorded_read_and_delivered_at_once_comes_due_by_itself(log: Log, seed: int) -> None:
    subscriptions = [subscribe(log.instance) for _ in range(2)]
    until = time.monotonic() + SECONDS
    undelivered = Notification.objects.filter(state__in=Notification.UNDELIVERED)
    left, done = list[int](), threading.Event()

    def read() -> None:
        fan = FanOut()
        while not done.is_set():
            fan.step(timezone.now())

    def record() -> None:
        chance = random.Random(seed)
        while time.monotonic() < until:
            if undelivered.count() > BACKLOG:
                time.sleep(0.01)
                continue
            log.record(*chance.sample(range(RECORDS), chance.randint(1, RECORDS)))

    with ThreadPoolExecutor(4) as pool:
        recording = in_thread(pool, record)
        working = [in_thread(pool, read)]
        working += [in_thread(pool, partial(deliver, number, lambda: not done.is_set())) for number in range(2)]
        try:
            recording.result()
            end = time.monotonic() + 20
            while time.monotonic() < end and (lagging(subscriptions, log) or undelivered.exists()):
                time.sleep(0.02)
            left = list(undelivered.values_list("pk", flat=True))
        finally:
            done.set()
        for work in working:
            work.result()
    assert left == [], stranded(left)
    events = log.instance.events.count()
    assert events > RECORDS
    followed = Notification.objects.filter(follows__isnull=False).values_list("subscription_id", flat=True)
    assert set(followed) == {None, *(each.pk for each in subscriptions)}
    for each in subscriptions:
        assert sum(len(made.events) for made in made_for(each)) == events


def stranded(keys: list[int]) -> list[int]:
    """Return those that would never come due: nothing that they follow is undelivered."""
    return list(
        Notification.objects.filter(pk__in=keys, next_attempt_at=None).exclude(BLOCKED).values_list("pk", flat=True)
    )


def lagging(subscriptions: list[Subscription], log: Log) -> bool:
    """Whether somebody has not come to the last event."""
    last = log.instance.events.order_by("-pk").values_list("pk", flat=True).first() or 0
    return Subscription.objects.filter(pk__in=[each.pk for each in subscriptions], reached_id__lt=last).exists()
