"""The service at the benchmark *latency*: URL, rate a second, seconds, name → a figure."""

from __future__ import annotations

import json
import statistics
import sys
import time
from urllib.request import urlopen

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.long.benchmarks.service import SIGNATURE_KEY, Tenants, set_up, working

WARM_UP = 20
PATIENCE_SECONDS = 60


def measure(url: str, rate: float, seconds: float, name: str) -> Figure:
    """Commit notifications evenly while `manage.py work` runs; give how long they took to arrive, in ms."""
    set_up()
    from instances.models import Instance
    from tests.support.notifications import make_instance

    instance: Instance = make_instance(Tenants().organization, url, "Notifying", SIGNATURE_KEY)
    with working():
        for _ in range(WARM_UP):
            commit(instance)
        wait_for(url, commit(instance)[0])
        committed = {}
        with Stopwatch() as watch:
            began = time.monotonic()
            for number in range(int(rate * seconds)):
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
                webhook_id, at = commit(instance)
                committed[webhook_id] = at
        wait_for(url, *committed)
        came = arrivals(url)
    late = sorted((came[key] - at) * 1000 for key, at in committed.items())
    percentiles = statistics.quantiles(late, n=100)
    more = {"p50 ms": percentiles[49], "p99 ms": percentiles[98], "worst ms": late[-1]}
    return watch.figure(name, len(late), **more)


def commit(instance: object) -> tuple[str, float]:
    """Commit one notification as a page does, call included; give its webhook-id and when it was committed."""
    from django.db import transaction

    from polling.workers.queue import wake_on_commit
    from polling.workers.wakeups import Kind
    from tests.support.notifications import make_notifications

    committed: list[float] = []
    with transaction.atomic():
        [made] = make_notifications(instance, [[1]])  # type: ignore[arg-type]  # an Instance, imported late
        transaction.on_commit(lambda: committed.append(time.time()))
        wake_on_commit(Kind.DELIVER)
    return made.webhook_id, committed[0]


def wait_for(url: str, *webhook_ids: str) -> None:
    """Wait until these have arrived."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not arrivals(url).keys() >= set(webhook_ids):
        if time.monotonic() > end:
            raise SystemExit(f"Not everything arrived within {PATIENCE_SECONDS} s.")
        time.sleep(0.5)


def arrivals(url: str) -> dict[str, float]:
    """Ask the receiver when each notification came."""
    with urlopen(url.rsplit("/", 1)[0] + "/arrivals", timeout=30) as answer:  # noqa: S310  # our own receiver
        came: dict[str, float] = json.load(answer)
    return came


if __name__ == "__main__":
    hand_over(measure(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
