"""Locks for all machines: taken while free, and free again when released or after a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from polling.maintenance.clock_skew import repair_clock_skew
from polling.models import Heartbeat, Lock
from polling.workers import heartbeats, locks
from polling.workers.heartbeats import NEVER, Part

SLOT, JOB = Lock.Kind.SLOT, Lock.Kind.JOB
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    return timezone.now()


def test_one_takes_it_and_nobody_else_before_it_ended(now: datetime) -> None:
    assert locks.take(SLOT, "a", now, length=MINUTE, owner="one")
    assert not locks.take(SLOT, "a", now + 59 * SECOND, length=MINUTE, owner="two")
    assert Lock.objects.get().owner == "one"
    assert locks.take(SLOT, "a", now + MINUTE, length=MINUTE, owner="two")
    assert (Lock.objects.get().owner, Lock.objects.get().taken_at) == ("two", now + MINUTE)


def test_to_find_it_taken_makes_no_other_writer_wait(now: datetime) -> None:
    locks.take(SLOT, "a", now, length=MINUTE)
    with CaptureQueriesContext(connection) as asked:
        assert not locks.take(SLOT, "a", now, length=MINUTE)
    assert [query["sql"].split()[0] for query in asked] == ["SELECT"]


def test_confirmed_it_holds_for_another_while(now: datetime) -> None:
    locks.take(SLOT, "a", now, length=MINUTE)
    locks.confirm(SLOT, "a", now + 50 * SECOND)
    assert not locks.take(SLOT, "a", now + 100 * SECOND, length=MINUTE)
    assert locks.take(SLOT, "a", now + 110 * SECOND, length=MINUTE)


def test_released_it_is_free_at_once(now: datetime) -> None:
    locks.take(SLOT, "a", now, length=MINUTE)
    locks.release(SLOT, "a")
    assert locks.take(SLOT, "a", now, length=MINUTE)


def test_another_kind_of_the_same_name_is_another_lock(now: datetime) -> None:
    assert locks.take(SLOT, "a", now, length=MINUTE)
    assert locks.take(JOB, "a", now, length=MINUTE)
    locks.release_all(SLOT)
    assert not locks.take(JOB, "a", now, length=MINUTE)


def test_those_that_ended_do_not_count_as_taken(now: datetime) -> None:
    for name, at in (("a", now), ("b", now - MINUTE), ("c", now)):
        locks.confirm(SLOT, name, at)
    assert locks.count_taken(SLOT, ["a", "b"], now, length=MINUTE) == 1


def test_times_of_a_clock_that_was_ahead_hold_nothing_up(now: datetime) -> None:
    ahead = now + timedelta(days=365)
    locks.confirm(JOB, "a", ahead)
    heartbeats.beat(Part.CLUSTER, "here", at=ahead)
    assert not locks.take(JOB, "a", now, length=MINUTE)
    assert repair_clock_skew(now) == 2
    assert locks.take(JOB, "a", now, length=MINUTE)
    assert Heartbeat.objects.get().seen_at == NEVER


def when_unlocked(take: Callable[[], bool]) -> bool:
    """Take while others write, as on a file: SQLite waits for the lock of a file, not for that of a shared memory."""
    until = time.monotonic() + 20  # as long as our settings have it wait for a file's
    while True:
        try:
            return take()
        except OperationalError as error:
            if "table is locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_want_it_at_once_one_has_it(now: datetime) -> None:
    got: list[bool] = []
    start = threading.Barrier(6)

    def want() -> None:
        start.wait()
        got.append(when_unlocked(lambda: locks.take(SLOT, "a", now, length=MINUTE)))
        connection.close()

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 5 + [True]


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_it_goes_on_when_the_other_has_committed() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("one transaction writes at a time anyway")
    order: list[str] = []
    held = threading.Event()

    def follow() -> None:
        held.wait(10)
        with transaction.atomic():
            locks.wait_for(Lock.Kind.SCHEDULE, "a")
            order.append("second")
        connection.close()

    thread = threading.Thread(target=follow)
    thread.start()
    with transaction.atomic():
        locks.wait_for(Lock.Kind.SCHEDULE, "a")
        held.set()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
