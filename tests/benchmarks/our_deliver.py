"""The service at the benchmark *deliver*: URL, notifications, name → a figure."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import orjson

from tests.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.benchmarks.service import SIGNATURE_KEY, Tenants, set_up

if TYPE_CHECKING:
    from instances.models import Instance

INSTANCES = 4
RECORD = orjson.dumps({"id": 1, "notes": "x" * 1000})


def deliver(url: str, count: int, name: str) -> Figure:
    """Send `count` notifications of four instances by one worker's loop."""
    set_up()
    from polling.delivery.deliverer import deliver_due
    from polling.models import DeliveryAttempt
    from tests.polling.notifying import make_instance

    organization = Tenants().organization
    instances = [make_instance(organization, url, f"Instance {n}", SIGNATURE_KEY) for n in range(INSTANCES)]
    for number in range(0, count, 1000):
        tell_changes(instances, number + 1, min(1000, count - number))
    with Stopwatch() as watch:
        deliver_due(deadline=time.monotonic() + 3600)
    sent = DeliveryAttempt.objects.filter(status=204).count()
    if sent != count:
        raise SystemExit(f"{sent} of {count} were taken.")
    return watch.figure(name, count)


def tell_changes(instances: list[Instance], first_id: int, count: int) -> None:
    """Put notifications of one event each into the log, spread over the instances, due now."""
    from django.utils import timezone

    from polling.delivery.notifications import NewEvent, notification_of
    from polling.models import Notification

    now = timezone.now()
    made = []
    for number in range(first_id, first_id + count):
        event = NewEvent(number, "contacts", str(number), number, "UPDATED", now, now, RECORD.decode(), None)
        made.append(notification_of(instances[number % len(instances)], "contacts", [event], now))
    Notification.objects.bulk_create(made)


if __name__ == "__main__":
    hand_over(deliver(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
