"""The service at *spread*: `fill URL POLLS RECEIVER NOTIFICATIONS`; then `poll MS` or `deliver MS` in each process."""

from __future__ import annotations

import sys
import time

from tests.long.benchmarks.measure import Figure, Stopwatch, at_the_line, hand_over
from tests.long.benchmarks.our_deliver import INSTANCES, record_changes
from tests.long.benchmarks.our_simulation import RESOURCES, watch
from tests.long.benchmarks.service import SIGNATURE_KEY, Tenants, poll_all, set_up
from tests.long.benchmarks.statements import Statements

LINGER = 0.5
WARMING = 0.02  # seconds in which a process claims before the start: what it does once, a worker of days does not feel


def fill(url: str, polls: int, receiver: str, notifications: int) -> Figure:
    """Make so many polls, due now, and so many notifications of four instances, due now."""
    set_up()
    from django.db import connection
    from django.utils import timezone

    from polling.models import PollState
    from polling.workers.due import make_due
    from tests.support.notifications import make_instance

    with Stopwatch() as stopwatch:
        watch(url, -(-polls // len(RESOURCES)), timezone.now())
        make_due(PollState.objects.all())
        organization = Tenants().organization
        instances = [make_instance(organization, receiver, f"Receiver {n}", SIGNATURE_KEY) for n in range(INSTANCES)]
        for number in range(0, notifications, 1000):
            record_changes(instances, number + 1, min(1000, notifications - number))
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval('polling_event_ids', %s)", [notifications + 1])
            cursor.execute("ANALYZE")
    return stopwatch.figure("filling", polls)


def poll(delay: float) -> Figure:
    """Poll what is due beside other processes, each statement `delay` seconds longer."""
    set_up()
    from polling.detection.poll_loop import poll_due

    poll_due(deadline=time.monotonic() + WARMING)
    statements = Statements(delay)
    at_the_line()
    with statements.watched(), Stopwatch() as stopwatch:
        ended = poll_all()
    return stopwatch.figure("polling", ended, statements=statements.count)


def deliver(delay: float) -> Figure:
    """Send what is due beside other processes, each statement `delay` seconds longer."""
    set_up()
    from polling.delivery.delivery_loop import deliver_due

    warmed = deliver_due(deadline=time.monotonic() + WARMING)
    statements = Statements(delay)
    at_the_line()
    with statements.watched(), Stopwatch() as stopwatch:
        sent = deliver_due(deadline=time.monotonic() + 3600, linger=LINGER)
    stopwatch.seconds -= LINGER
    return stopwatch.figure("sending", sent, statements=statements.count, warmed=warmed)


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        hand_over(fill(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
    else:
        hand_over((poll if sys.argv[1] == "poll" else deliver)(float(sys.argv[2]) / 1000))
