"""The service at the benchmark *subscriptions*: name, changes, subscriptions, URL → a figure of its deliveries."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.long.benchmarks.service import SIGNATURE_KEY, set_up

if TYPE_CHECKING:
    from instances.models import Instance, ResourcePoll

PAGE = 100  # changes that a poll finds at a time


def subscriptions(name: str, changes: int, count: int, url: str) -> Figure:
    """Record the changes, and deliver until nothing is left."""
    set_up()
    from instances.models import Organization
    from polling.delivery.delivery_loop import deliver_due
    from polling.models import Event, Notification, NotificationBody
    from tests.support.notifications import make_instance
    from tests.support.subscriptions import make_subscription

    instance = make_instance(Organization.objects.create(name="Bench"), url, key=SIGNATURE_KEY)
    for _ in range(count - 1):
        make_subscription(instance, url, key=SIGNATURE_KEY)
    poll = _remembering(instance, changes)
    sent = Notification.objects.filter(state=Notification.State.DELIVERED)
    with Stopwatch() as watch:
        _record(poll, changes)
        while sum(sent.values_list("event_count", flat=True)) < changes * count:
            deliver_due(deadline=time.monotonic() + 60, linger=0.2)
    made = Notification.objects.count()
    if made != sent.count():
        raise SystemExit(f"{made - sent.count()} were not delivered.")
    bodies = Notification.objects.exclude(body="").count() + NotificationBody.objects.count()
    return watch.figure(name, made, events=Event.objects.count(), bodies=bodies)


def _remembering(instance: Instance, records: int) -> ResourcePoll:
    """Make a poll that knows so many records."""
    from instances.models import ResourcePoll
    from polling.models import RecordSnapshot

    poll = ResourcePoll.objects.create(instance=instance, name="contacts", configuration={"trackChanges": False})
    RecordSnapshot.objects.bulk_create(
        [RecordSnapshot(resource_poll=poll, record_id=number, digest=b"") for number in range(records)], batch_size=500
    )
    return poll


def _record(poll: ResourcePoll, changes: int) -> None:
    """Record a change of each record, a page a transaction, as polls do."""
    from django.db import transaction
    from django.utils import timezone

    from polling.detection.event_log import PollEvents, record_events
    from polling.models import NewEvent, PollRun

    for first in range(0, changes, PAGE):
        now = timezone.now()
        found = [
            NewEvent("contacts", str(number), number, "UPDATED", now, now, f'{{"id":{number},"notes":"{"x" * 1000}"}}')
            for number in range(first, min(first + PAGE, changes))
        ]
        with transaction.atomic():
            run = PollRun.objects.create(resource_poll=poll, started_at=now, status=PollRun.Status.COMPLETE)
            record_events([PollEvents(poll, run, found)], now=now)


if __name__ == "__main__":
    hand_over(subscriptions(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
