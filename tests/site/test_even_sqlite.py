"""Who waits for SQLite's lock asks for it by even steps, as long as the option says and no longer."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.utils import ConnectionHandler

PATIENCE = 20


class Clock:
    """A clock that runs while somebody sleeps, and alone then; `waiting` is called at each sleep."""

    def __init__(self) -> None:
        self.now, self.steps = 0.0, list[float]()
        self.waiting: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.steps.append(seconds)
        self.waiting()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "waiting.sqlite3"


@pytest.fixture
def ours(file: Path, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    # A browser that an earlier test of this process opened leaves its event loop behind, which does not come into this.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    options = {"timeout": PATIENCE, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"}
    own = {"ENGINE": "cwconnect.core.even_sqlite3", "NAME": file, "OPTIONS": options}
    made: Any = ConnectionHandler({"default": own})["default"]
    with django_db_blocker.unblock(), closing(made):
        with made.cursor() as cursor:
            cursor.execute("CREATE TABLE numbers (number INTEGER)")
        yield made


@pytest.fixture
def other(ours: object, file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        yield other


def begin(ours: Any) -> None:
    ours.set_autocommit(autocommit=False, force_begin_transaction_with_broken_autocommit=True)


def write(ours: Any) -> None:
    with ours.cursor() as cursor:
        cursor.execute("INSERT INTO numbers VALUES (%s)", [1])


def write_many(ours: Any) -> None:
    with ours.cursor() as cursor:
        cursor.executemany("INSERT INTO numbers VALUES (%s)", iter([(1,), (2,)]))


STATEMENTS = pytest.mark.parametrize("statement", [begin, write, write_many])


@STATEMENTS
def test_the_lock_is_asked_for_every_few_milliseconds_however_long_it_takes(
    statement: Callable[[Any], None], ours: Any, other: sqlite3.Connection, clock: Clock
) -> None:
    other.execute("BEGIN IMMEDIATE")
    clock.waiting = lambda: other.commit() if clock.now > 1 else None
    statement(ours)
    assert len(clock.steps) > 200
    assert max(clock.steps) < 0.005
    assert len(set(clock.steps)) > 1


@STATEMENTS
def test_waiting_ends_with_the_time_that_the_option_says(
    statement: Callable[[Any], None], ours: Any, other: sqlite3.Connection, clock: Clock
) -> None:
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="database is locked"):
        statement(ours)
    assert PATIENCE <= clock.now < PATIENCE + 0.01


def test_each_of_many_is_written_once(ours: Any, other: sqlite3.Connection, clock: Clock) -> None:
    write_many(ours)
    begin(ours)
    write_many(ours)
    ours.commit()
    assert other.execute("SELECT count(*) FROM numbers").fetchone() == (4,)
    assert clock.steps == []


def test_a_transaction_that_reads_what_is_outdated_does_not_wait(
    ours: Any, other: sqlite3.Connection, clock: Clock
) -> None:
    with ours.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
        cursor.execute("SELECT count(*) FROM numbers").fetchall()
        other.execute("INSERT INTO numbers VALUES (1)")
        with pytest.raises(OperationalError, match="database is locked"):
            cursor.execute("INSERT INTO numbers VALUES (2)")
        cursor.execute("ROLLBACK")
    assert clock.steps == []


def test_a_fault_of_the_statement_does_not_wait(ours: Any, clock: Clock) -> None:
    with ours.cursor() as cursor, pytest.raises(OperationalError, match="no such table"):
        cursor.execute("INSERT INTO letters VALUES ('a')")
    assert clock.steps == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="how SQLite waits")
@pytest.mark.django_db
def test_the_service_waits_so() -> None:
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA busy_timeout").fetchone() == (0,)
        assert cursor.cursor.patience == PATIENCE
