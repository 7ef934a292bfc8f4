"""Looks for due notifications beside backlogs: they begin behind them, and find what any look would find."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instances.models import Instance, Organization
from polling.delivery.delivery_loop import LEASE, DeliveryLoop
from polling.delivery.delivery_request import DeliveryRequest, Outcome
from polling.delivery.scan_cursor import (
    AFRESH_EVERY,
    HEAD,
    Position,
    ScanCursor,
)
from polling.delivery.scheduler import LATE_COMMIT, Scheduler
from polling.models import Event, Notification
from tests.conftest import Tenant
from tests.polling.test_query_plans import plan_of
from tests.support.notifications import make_instance, make_notifications

START = datetime(2026, 3, 1, tzinfo=UTC)
HOSTS = ("http://127.0.0.1:81/", "http://127.0.0.1:81/other", "http://127.0.0.1:82/", "http://127.0.0.1:83/")
A, B, C = 1, 2, 3


class Clock:
    """A monotonic clock that moves when it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def at(minute: int) -> Position:
    return START + timedelta(minutes=minute), minute


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scan_cursor(clock: Clock) -> ScanCursor:
    """What looks up to minute 50 left behind: all of A from minute 10 on, all of B from minute 20 on."""
    scan_cursor = ScanCursor(clock)
    assert scan_cursor.begin([]) == HEAD
    scan_cursor.end(at(50), {A, B}, {A: at(10), B: at(20)})
    return scan_cursor


def test_a_look_begins_behind_what_full_instances_have_due(scan_cursor: ScanCursor) -> None:
    assert scan_cursor.begin({A, B}) == at(50)


def test_a_look_begins_at_the_backlog_of_the_one_that_has_room(scan_cursor: ScanCursor) -> None:
    assert scan_cursor.begin({A}) == at(20)
    assert scan_cursor.begin([]) == at(10)


def test_what_was_taken_of_a_backlog_is_behind_the_next_look(scan_cursor: ScanCursor) -> None:
    scan_cursor.begin({A})
    scan_cursor.end(at(30), {A}, {})
    assert scan_cursor.begin({A}) == at(30)
    assert scan_cursor.begin({A, B}) == at(50)


def test_an_instance_that_was_full_from_the_first_is_looked_for_where_the_look_began(scan_cursor: ScanCursor) -> None:
    scan_cursor.begin({A, B, C})
    scan_cursor.end(at(60), {A, B, C}, {})
    assert scan_cursor.begin({A, B, C}) == at(60)
    assert scan_cursor.begin({A, B}) == at(50)


def test_what_goes_back_is_found_by_the_next_look(scan_cursor: ScanCursor) -> None:
    scan_cursor.put_back(C, at(5))
    scan_cursor.put_back(C, at(7))
    assert scan_cursor.begin({A, B}) == at(5)


def test_a_look_begins_afresh_once_a_second(scan_cursor: ScanCursor, clock: Clock) -> None:
    clock.now += AFRESH_EVERY
    assert scan_cursor.begin({A, B}) == HEAD


def test_looks_afresh_that_take_long_are_fewer(scan_cursor: ScanCursor, clock: Clock) -> None:
    clock.now += AFRESH_EVERY
    scan_cursor.begin({A, B})
    clock.now += 0.5
    scan_cursor.end(at(50), {A, B}, {})
    clock.now += 9.9
    assert scan_cursor.begin({A, B}) == at(50)
    clock.now += 0.1
    assert scan_cursor.begin({A, B}) == HEAD


def look_of(loop: DeliveryLoop, running: list[DeliveryRequest]) -> str:
    """Have the loop claim; give the statement by which it looked for what is due."""
    with CaptureQueriesContext(connection) as captured:
        running += loop.claim(8, running)
    return next(query["sql"] for query in captured.captured_queries if "next_attempt_at IS NOT NULL" in query["sql"])


def test_a_backlog_that_was_looked_through_is_not_looked_through_again(tenant: Tenant) -> None:
    running: list[DeliveryRequest] = []
    with time_machine.travel(START, tick=False) as travel:
        make_notifications(make_instance(tenant.organization, HOSTS[0]), [[record] for record in range(30)])
        travel.shift(60)
        loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
        assert "0001-01-01" in look_of(loop, running)
        assert "00:00:58" in look_of(loop, running)
        assert len(running) == 2


def test_the_index_leads_to_where_a_look_begins(tenant: Tenant) -> None:
    make_notifications(make_instance(tenant.organization, HOSTS[0]), [[1]])
    look = look_of(DeliveryLoop(Notification.objects.all(), deadline=float("inf")), [])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # the table is small
    row = {"postgresql": "Index Cond: ((ROW(next_attempt_at, id) >=", "sqlite": "((next_attempt_at,id)>(?,?)"}
    assert row[connection.vendor] in plan_of(look)


class Looks:
    """Four instances, three hosts, and a worker's loop whose every claim is compared with a look from the head."""

    def __init__(self, organization: Organization, travel: time_machine.Traveller) -> None:
        self.instances = [make_instance(organization, url, url) for url in HOSTS]
        self.travel, self.clock = travel, Clock()
        self.loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
        self.loop._scheduler._scan_cursor = ScanCursor(self.clock)
        self.running: list[DeliveryRequest] = []
        self.unseen: set[int] = set()  # what became due behind the looks, unknown to them

    def fall_due(self, which: int, count: int) -> None:
        make_notifications(self.instances[which], [[record] for record in range(count)])

    def fall_due_late(self, which: int) -> None:
        """Another machine's clock is behind, or its commit came late."""
        late = make_notifications(self.instances[which], [[1]], due=lambda _: timezone.now() - 20 * LATE_COMMIT)
        self.unseen |= {notification.pk for notification in late}

    def commit_late(self, which: int) -> None:
        make_notifications(self.instances[which], [[1]], due=lambda _: timezone.now() - LATE_COMMIT / 2)

    def learn(self, which: int, seconds: float) -> None:
        host = HOSTS[which].split("/")[2]
        for _ in range(5):
            self.loop.limits.learn(host, delivered=seconds > 0, seconds=seconds)

    def look(self, capacity: int) -> None:
        self.travel.shift(LATE_COMMIT * 1.1)
        naive = Scheduler(Notification.objects.all(), self.loop.limits, probe_length=LEASE)
        expected = naive.choose(capacity, self.running, timezone.now()).batches.keys()
        claimed = self.loop.claim(capacity, self.running)
        assert self.unseen & expected or {delivery_request.notification.pk for delivery_request in claimed} == expected
        self.running += claimed

    def answer(self, count: int, sent: bool) -> None:
        done, self.running = self.running[:count], self.running[count:]
        outcome: Future[Outcome] = Future()
        outcome.set_result(Outcome(sent=sent, status=204 if sent else None))
        self.loop.settle([(delivery_request, outcome) for delivery_request in done])

    def lapse(self, count: int) -> None:
        """A supervisor frees what its dead cluster had claimed, of the same backlogs."""
        lost, self.running = self.running[:count], self.running[count:]
        keys = {delivery_request.notification.pk for delivery_request in lost}
        Notification.objects.filter(pk__in=keys).end_leases()
        self.unseen |= keys

    def wait(self) -> None:
        self.clock.now += 20 * AFRESH_EVERY
        self.unseen.clear()


FEW, WHICH = st.integers(1, 4), st.integers(0, len(HOSTS) - 1)
LOOK = st.tuples(st.just("look"), st.integers(1, 6))
STEPS = st.one_of(
    *(LOOK, LOOK, LOOK),
    st.tuples(st.just("fall_due"), WHICH, st.integers(1, 12)),
    st.tuples(st.just("answer"), FEW, st.booleans()),
    st.tuples(st.just("learn"), WHICH, st.sampled_from([0.0, 0.01, 5.0])),
    st.tuples(st.sampled_from(["commit_late", "fall_due_late"]), WHICH),
    st.tuples(st.just("lapse"), FEW),
    st.tuples(st.just("wait")),
)


@settings(
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=10, max_size=20))
def test_a_look_finds_what_one_from_the_head_finds(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, *tuple[Any, ...]]]
) -> None:
    monkeypatch.setattr("polling.delivery.adaptive_limits.MOST", 8)  # so that few make a look go on
    for model in (Event, Notification, Instance):
        model.objects.all().delete()
    with time_machine.travel(START, tick=False) as travel:
        looks = Looks(tenant.organization, travel)
        for name, *drawn in steps:
            getattr(looks, name)(*drawn)
