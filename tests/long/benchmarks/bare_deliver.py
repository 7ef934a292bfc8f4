"""The bare loop at the benchmark *deliver*: URL, notifications → a figure. No signature, no record of what was sent."""

from __future__ import annotations

import json
import sys

import requests

from tests.long.benchmarks.measure import Figure, Stopwatch, at_the_line, hand_over

BODY = json.dumps({"id": 1, "message": {"raw": {"contacts": [{"id": 1, "notes": "x" * 1000}]}, "events": "y" * 900}})
HEADERS = {"Content-Type": "application/json"}


def deliver(url: str, count: int) -> Figure:
    """POST a body of the same size that often over one session."""
    at_the_line()
    with Stopwatch() as watch, requests.Session() as session:
        for _ in range(count):
            session.post(url, data=BODY, headers=HEADERS, timeout=15).raise_for_status()
    return watch.figure("bare loop", count)


if __name__ == "__main__":
    hand_over(deliver(sys.argv[1], int(sys.argv[2])))
