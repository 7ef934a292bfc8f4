"""Known rows stay narrow, and a sweep of many of them holds little in memory and asks little of ConnectWise."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import Settings

from polling.detection.changes import digest, record_text
from polling.detection.snapshots import NewSnapshot, remember
from polling.models import Health, RecordSnapshot
from tests.conftest import Tenant
from tests.support.polled_instance import PolledInstance
from tests.support.sandboxes import start_sandbox
from tests.support.sweeps import delete, sweep, watch_deletes

MANY = 20_000  # 100,000 take half a minute: `python -m tests.long.benchmarks.sweeps` has them
WIDEST = 80  # bytes a known row takes with its index; PostgreSQL's row header is the most of it there
SOME_MB = 16


@pytest.fixture
def crowded(tenant: Tenant, settings: Settings) -> Iterator[PolledInstance]:
    settings.CONNECTWISE_CLIENT_ID = "a-client-id"
    with start_sandbox(records={"contacts": MANY}) as server:
        yield watch_deletes(PolledInstance(tenant, server))


@pytest.mark.skipif(connection.vendor != "sqlite", reason="dbstat is SQLite's")
def test_a_known_row_is_narrow_and_its_text_stands_apart(watched: PolledInstance) -> None:
    record = watched.store.get("contacts", 1)
    assert record is not None
    text = record_text(record).decode()
    rows = [NewSnapshot(number, 1_500_000_000, digest(record), text) for number in range(1, 5001)]
    remember(watched.state.pk, rows)
    assert _bytes("polling_recordsnapshot") / 5000 < WIDEST
    assert _bytes("polling_snapshotbody") / 5000 > len(text)


def _bytes(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = %s)", [table]
        )
        return int(cursor.fetchone()[0])


def test_few_deletes_among_many_rows_are_found_cheaply_and_a_fifth_gone_is_held(crowded: PolledInstance) -> None:
    assert RecordSnapshot.objects.count() == MANY
    gone = (7, 1000, 1001, MANY - 1, MANY)
    delete(crowded, *gone)
    tracemalloc.start()
    run = sweep(crowded)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert crowded.recorded() == [("DELETED", str(number)) for number in gone]
    assert len(crowded.store.requests) == run.page + 5 + 1
    assert peak < SOME_MB * 2**20

    crowded.store.clear_requests()
    delete(crowded, *range(2001, 6001))
    run = sweep(crowded)
    assert (crowded.recorded(), len(run.held), crowded.state.health) == ([], MANY // 5, Health.HELD)
    assert len(crowded.store.requests) == run.page
