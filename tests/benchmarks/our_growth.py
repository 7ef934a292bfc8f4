"""The service at the benchmark *growth*: number of polls, events in the log, name → a figure."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.benchmarks.measure import Figure, Stopwatch, hand_over, held_mb
from tests.benchmarks.service import Tenants, set_up

TIMES = 30
DUE = 1000


def grow(polls: int, events: int, name: str) -> Figure:
    """Fill the database, then claim due work again and again, and let go of it."""
    set_up()
    from django.utils import timezone

    from polling.delivery.deliverer import DeliveryLoop
    from polling.detection.poller import PollLoop
    from polling.models import Notification, PollState
    from tests.polling.notifying import make_instance, make_notifications
    from tests.polling.volume import fill

    organization = Tenants().organization
    fill(organization, polls=polls, told=events // 4)
    late = timezone.now() - timedelta(minutes=1)
    PollState.objects.filter(pk__in=list(PollState.objects.values_list("pk", flat=True)[:DUE])).update(
        next_poll_at=late
    )
    instance = make_instance(organization, "http://127.0.0.1:9/", "Telling")
    make_notifications(instance, [[number] for number in range(DUE)])
    due = PollState.objects.filter(next_poll_at__isnull=False)
    with Stopwatch() as watch:
        of_polls = _median(lambda: PollLoop(due, deadline=float("inf")))
        of_deliveries = _median(lambda: DeliveryLoop(Notification.objects.all(), deadline=float("inf")))
    more = {"polls, ms": of_polls, "deliveries, ms": of_deliveries, "MB held": held_mb()}
    return watch.figure(name, 2 * TIMES, **more)


def _median(loop: Callable[[], Any]) -> float:
    taken = []
    for _ in range(TIMES):
        one = loop()
        began = time.perf_counter()
        jobs = one.claim(8, [])
        taken.append((time.perf_counter() - began) * 1000)
        if not jobs:
            raise SystemExit("Nothing was claimed.")
        one.release(jobs)
    return statistics.median(taken)


if __name__ == "__main__":
    hand_over(grow(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
