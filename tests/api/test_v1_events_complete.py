"""Whoever reads the log forward by ids misses nothing, however long others leave their transactions open."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal
from typing import Any

import pytest
from django.db import connection, connections, transaction

from polling.log.event_ids import complete_upto, take_ids
from polling.models import Event
from tests.api.conftest import Watched
from tests.support.api_caller import Api

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has one writer, so nobody is there to be overtaken"
    ),
]
PATIENCE = 120  # seconds, of a machine that is busy


def in_thread(pool: ThreadPoolExecutor, work: Callable[..., Any], *args: Any) -> Any:
    """Begin work in a thread that has a connection of its own, and closes it."""

    def run() -> Any:
        try:
            return work(*args)
        finally:
            connections.close_all()

    return pool.submit(run)


def read_on(api: Api, after: int) -> tuple[list[int], int]:
    """Return the ids listed after that one, and what to ask with next."""
    page = api("GET", f"/v1/events?after={after}&limit=100").json()
    return [item["id"] for item in page["items"]], page["next_after"]


def record_slowly(watched: Watched, begun: Signal, go_on: Signal) -> None:
    with transaction.atomic():
        watched.changed(1, 2)
        begun.set()
        assert go_on.wait(PATIENCE)


def test_a_transaction_that_stays_open_holds_up_no_other_and_is_not_overtaken(api: Api, watched: Watched) -> None:
    other = Watched(api.tenant)
    begun, go_on = Signal(), Signal()
    first = [event.pk for event in other.changed(7)]
    with ThreadPoolExecutor(1) as pool:
        slow = in_thread(pool, record_slowly, watched, begun, go_on)
        try:
            assert begun.wait(PATIENCE)
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")  # waiting for another's lock would be an error
            later = [event.pk for event in other.changed(3, 4)]
            assert read_on(api, 0) == (first, first[-1])
            assert read_on(api, first[-1]) == ([], first[-1])
        finally:
            go_on.set()
            slow.result(PATIENCE)
    assert [event.record_id for event in Event.objects.filter(pk__lt=later[0]).order_by("pk")] == [7, 1, 2]
    assert read_on(api, first[-1]) == ([later[0] - 2, later[0] - 1, *later], later[-1])


def test_what_a_worker_that_died_had_taken_holds_up_nobody(api: Api, watched: Watched) -> None:
    with ThreadPoolExecutor(1) as pool:
        begun, go_on = Signal(), Signal()
        pid: list[int] = []

        def take_and_die() -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                pid.append(cursor.fetchone()[0])
                take_ids(5)
                begun.set()
                assert go_on.wait(PATIENCE)
                transaction.set_rollback(True)

        dying = in_thread(pool, take_and_die)
        assert begun.wait(PATIENCE)
        made = [event.pk for event in watched.changed(1)]
        assert read_on(api, 0)[0] == []
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", pid)
        deadline = time.monotonic() + PATIENCE
        while (complete_upto() or 0) < made[-1] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert read_on(api, 0)[0] == made
        go_on.set()
        dying.exception(PATIENCE)


def test_a_reader_beside_many_writers_hears_of_each_event_once_and_in_order(api: Api, watched: Watched) -> None:
    writers, rounds = 6, 12
    ended = Signal()
    seen: list[int] = []

    def write(number: int) -> None:
        chance = random.Random(number)
        of_its_own = Watched(api.tenant)
        for _ in range(rounds):
            with transaction.atomic():
                of_its_own.changed(*range(1, chance.randrange(2, 5)))
                time.sleep(chance.random() / 100)
                if chance.random() < 0.2:
                    transaction.set_rollback(True)

    def read() -> None:
        after = 0
        while True:
            last = ended.is_set()  # before the look, so that one more comes after the last commit
            ids, after = read_on(api, after)
            seen.extend(ids)
            if last and not ids:
                return

    with ThreadPoolExecutor(writers + 1) as pool:
        reading = in_thread(pool, read)
        writing = [in_thread(pool, write, number) for number in range(writers)]
        try:
            for future in writing:
                future.result(PATIENCE)
        finally:
            ended.set()
        reading.result(PATIENCE)
    made = list(Event.objects.order_by("pk").values_list("pk", flat=True))
    assert len(made) > writers * rounds
    assert seen == made
