"""The service at the benchmark *isolation*: name, of what, notifications each, rate a second, URLs → a figure.

The first URL is the healthy receiver's. Every URL is another instance's, or of one instance another subscription's,
with as many notifications as the healthy one, falling due evenly at the rate given (all at once for a rate of 0).
Those of its first seconds are not counted: a process that has just begun loads what it has not needed yet.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from urllib.request import urlopen

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.long.benchmarks.service import set_up

STRETCH = 10.0  # seconds after which a task ends, of which the service gives it 60: so its end is met several times
WARM_UP = 100
WARM_UP_SECONDS = 3.0


def isolation(name: str, of: str, count: int, rate: float, urls: list[str]) -> Figure:
    """Deliver until the healthy receiver has everything; give how late its notifications came."""
    set_up()
    from django.utils import timezone

    from instances.models import Instance, Organization
    from polling.delivery.delivery_loop import deliver_due
    from polling.delivery.pausing import pause_by_hand
    from polling.models import Notification
    from tests.support.notifications import make_instance, make_notifications
    from tests.support.subscriptions import make_subscription

    organization = Organization.objects.create(name="Bench")
    written = timezone.now() + timedelta(seconds=2 + len(urls) * count / 300)
    start = written + timedelta(seconds=WARM_UP_SECONDS)
    instance = make_instance(organization, urls[0], urls[0])
    receivers: list[tuple[Instance, int | None]] = [(instance, None)]
    if of == "subscriptions":
        receivers += [(instance, make_subscription(instance, url, url).pk) for url in urls[1:]]
        if urls[1:]:
            paused = make_subscription(instance, urls[0], "Paused")
            pause_by_hand(paused, timezone.now())
            resting = [[record] for record in range(count)]  # recorded as not due, where delivery is paused
            make_notifications(instance, resting, subscription_id=paused.pk, next_attempt_at=None)
    else:
        receivers += [(make_instance(organization, url, url), None) for url in urls[1:]]
    pace = WARM_UP_SECONDS / WARM_UP
    early = [[count + record] for record in range(WARM_UP)]
    make_notifications(instance, early, due=lambda position: written + timedelta(seconds=position * pace))
    for whose, subscription in receivers:
        make_notifications(
            whose,
            [[record] for record in range(count)],
            due=lambda position: start + timedelta(seconds=position / rate if rate else 0),
            subscription_id=subscription,
        )
    time.sleep(max(0, (written - timezone.now()).total_seconds()))
    healthy = Notification.objects.filter(instance=instance, subscription=None, next_attempt_at__gte=start)
    due = {row.webhook_id: row.next_attempt_at.timestamp() for row in healthy.all() if row.next_attempt_at}
    last = max(due.values())
    deliver_due(deadline=time.monotonic() + (start - timezone.now()).total_seconds(), linger=WARM_UP_SECONDS)

    def done() -> bool:
        return time.time() > last and not healthy.all().exists()

    with Stopwatch() as watch:
        _work_until(done)
    return watch.figure(name, count, **_lateness(urls[0], due))


def _work_until(done: Callable[[], bool]) -> None:
    """Deliver as a worker's tasks do, one after another."""
    from polling.delivery.delivery_loop import deliver_due
    from polling.workers.wakeups import LONG

    while not done():
        deliver_due(deadline=time.monotonic() + STRETCH, overtime=LONG.overtime, linger=LONG.linger, stopping=done)


def _lateness(url: str, due: dict[str, float]) -> dict[str, float]:
    with urlopen(url.rsplit("/", 1)[0] + "/arrivals") as answer:  # noqa: S310  # our own receiver
        came: dict[str, list[float]] = json.load(answer)
    late = sorted((came[webhook_id][0] - at) * 1000 for webhook_id, at in due.items())
    repeats = sum(len(came[webhook_id]) - 1 for webhook_id in due)
    percentile = statistics.quantiles(late, n=100)
    return {"p50 ms": percentile[49], "p99 ms": percentile[98], "worst ms": late[-1], "repeats": repeats}


if __name__ == "__main__":
    hand_over(isolation(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5:]))
