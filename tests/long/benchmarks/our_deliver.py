"""The service at the benchmark *deliver*: `fill URL NOTIFICATIONS`, then `send` in each process, then `count`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import orjson

from tests.long.benchmarks.measure import Figure, Stopwatch, at_the_line, hand_over
from tests.long.benchmarks.service import SIGNATURE_KEY, Tenants, set_up

if TYPE_CHECKING:
    from instances.models import Instance

INSTANCES = 4
LINGER = 0.5
RECORD = orjson.dumps({"id": 1, "notes": "x" * 1000})


def fill(url: str, count: int) -> Figure:
    """Put `count` notifications of four instances into a new database."""
    set_up()
    from tests.support.notifications import make_instance

    organization = Tenants().organization
    with Stopwatch() as watch:
        instances = [make_instance(organization, url, f"Instance {n}", SIGNATURE_KEY) for n in range(INSTANCES)]
        for number in range(0, count, 1000):
            record_changes(instances, number + 1, min(1000, count - number))
    return watch.figure("filling", count)


def send() -> Figure:
    """Send what is due by one worker's loop, beside those of other processes."""
    set_up()
    from polling.delivery.delivery_loop import deliver_due

    at_the_line()
    with Stopwatch() as watch:
        taken_up = deliver_due(deadline=time.monotonic() + 3600, linger=LINGER)  # one that found nothing looks on
    watch.seconds -= LINGER
    return watch.figure("sending", taken_up)


def count_sent() -> Figure:
    """Count the notifications that the receiver took, each once."""
    set_up()
    from polling.models import DeliveryAttempt

    attempts = DeliveryAttempt.objects.all()
    with Stopwatch() as watch:
        sent = attempts.filter(status=204).values("notification").distinct().count()
        if again := attempts.count() - sent:
            raise SystemExit(f"{again} attempts too many.")
    return watch.figure("counting", sent)


def record_changes(instances: list[Instance], first_id: int, count: int) -> None:
    """Put notifications of one event each into the log, spread over the instances, due now."""
    from django.utils import timezone

    from polling.delivery.notifications import notification_of
    from polling.models import NewEvent, Notification

    now = timezone.now()
    made = []
    for number in range(first_id, first_id + count):
        event = NewEvent("contacts", str(number), number, "UPDATED", now, now, RECORD.decode(), id=number)
        made.append(notification_of(instances[number % len(instances)], "contacts", [event], now))
    Notification.objects.bulk_create(made)


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        hand_over(fill(sys.argv[2], int(sys.argv[3])))
    else:
        hand_over(send() if sys.argv[1] == "send" else count_sent())
