"""The service at the benchmark *ingest*: base URL, number of records, name → a figure."""

from __future__ import annotations

import sys

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over, held_mb
from tests.long.benchmarks.service import Tenants, look_back, poll_all, set_up


def ingest(url: str, records: int, name: str) -> Figure:
    """Poll `records` contacts that are all known with another content."""
    set_up()
    from polling.detection.changes import DIGEST_VERSION
    from polling.detection.snapshots import NewSnapshot, remember
    from polling.models import Event, PollState

    instance = Tenants().watch(url, pageSize=1000)
    look_back(instance)
    poll_id = PollState.objects.get().pk
    other = bytes([DIGEST_VERSION]) + bytes(15)
    for first in range(1, records + 1, 1000):
        remember(poll_id, [NewSnapshot(number, 1, other, None) for number in range(first, first + 1000)])
    before = held_mb()
    with Stopwatch() as watch:
        poll_all()
    recorded = Event.objects.filter(kind="UPDATED").count()
    if recorded != records:
        raise SystemExit(f"{recorded} events of {records}: {PollState.objects.get().last_error}")
    return watch.figure(name, records, **{"MB at start": before, "kB stored/record": _size() / records / 1000})


def _size() -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
            return float(cursor.fetchone()[0])
        cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return float(cursor.fetchone()[0])


if __name__ == "__main__":
    hand_over(ingest(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
