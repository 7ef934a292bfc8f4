"""The bare loop at the benchmark *idle*: base URL, number of GETs, threads → a figure."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import local

import requests

from tests.long.benchmarks.bare_ingest import HEADERS, LOGIN
from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over

_mine = local()


def idle(url: str, count: int, threads: int) -> Figure:
    """GET the page of contacts changed since now, that often; each answer is an empty list."""
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = {"conditions": f"lastUpdated > [{since}]", "pageSize": "1000"}

    def get(_: int) -> None:
        if not hasattr(_mine, "session"):
            _mine.session = requests.Session()
        page = _mine.session.get(f"{url}/company/contacts", params=query, headers=HEADERS, auth=LOGIN, timeout=60)
        if page.json():
            raise SystemExit("Something has changed.")

    with Stopwatch() as watch:
        if threads == 1:
            for number in range(count):
                get(number)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(get, range(count)))
    return watch.figure(f"bare loop, {threads} thread{'s' if threads > 1 else ''}", count)


if __name__ == "__main__":
    hand_over(idle(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
