"""The bare loop at the benchmark *ingest*: what a short script would do, with no memory of what it saw before."""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import requests

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over

HEADERS = {"clientId": "any", "pagination-type": "forward-only"}
LOGIN = ("acme+PUB", "PRIV")


def ingest(url: str, folder: str) -> Figure:
    """Fetch all contacts by pages of 1,000, parse them and insert them into SQLite, a commit per page."""
    records, last = 0, 0
    with (
        Stopwatch() as watch,
        closing(sqlite3.connect(Path(folder) / "bare.sqlite3")) as database,
        requests.Session() as session,
    ):
        database.execute("CREATE TABLE contact (id INTEGER PRIMARY KEY, record TEXT)")
        while True:
            query = {"pageSize": "1000", "pageId": str(last), "conditions": "lastUpdated > [2000-01-01T00:00:00Z]"}
            page = session.get(f"{url}/company/contacts", params=query, headers=HEADERS, auth=LOGIN, timeout=60).json()
            if not page:
                break
            database.executemany(
                "INSERT INTO contact VALUES (?, ?)", [(record["id"], json.dumps(record)) for record in page]
            )
            database.commit()
            records, last = records + len(page), page[-1]["id"]
    return watch.figure("bare loop", records)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        hand_over(ingest(sys.argv[1], folder))
