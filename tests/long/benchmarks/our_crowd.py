"""The service at the benchmark *growth*, beside an instance that is full: `NAME BACKLOG` gives the cost of a claim.

A loop that lives, as a worker's does, claims what healthy instances have due, 20 times a second. Its slow instance has
as many requests under way as it may; the rest of what that one has due is its backlog, longer due than anything else.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.long.benchmarks.our_growth import ROOM, TIMES, cost, some
from tests.long.benchmarks.service import set_up

if TYPE_CHECKING:
    from instances.models import Instance

CROWDING = "Crowding"
UNDER_WAY = 2  # what an unknown receiver may have
STEP = 10_000


def claim_beside(name: str, backlog: int) -> Figure:
    """Bring the backlog to that size, then claim and make due again; give the cost of a claim in ms."""
    set_up()
    from django.utils import timezone

    from polling.delivery.delivery_loop import DeliveryLoop
    from polling.models import Notification

    slow = _crowd(backlog)
    loop = DeliveryLoop(Notification.objects.filter(instance=slow), deadline=float("inf"))
    under_way = loop.claim(ROOM, [])
    if len(under_way) != UNDER_WAY:
        raise SystemExit(f"{len(under_way)} are under way.")
    loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))

    def claim() -> Callable[[], None]:
        keys = [delivery_request.notification.pk for delivery_request in some(loop.claim(ROOM, under_way))]

        def come_due_again() -> None:
            time.sleep(loop.scan_every)
            Notification.objects.filter(pk__in=keys).end_leases(next_attempt_at=timezone.now())

        return come_due_again

    with Stopwatch() as watch:
        each = cost(claim)
    loop.release(under_way)
    return watch.figure(name, TIMES, **{"beside, ms": each})


def _crowd(backlog: int) -> Instance:
    """Return the slow instance, with this many due besides those that it may have under way."""
    from django.db import connection
    from django.utils import timezone

    from instances.models import Instance, Organization
    from polling.models import Notification
    from tests.support.notifications import make_instance, make_notifications

    organization = Organization.objects.get(name="Growing")
    slow = Instance.objects.filter(name=CROWDING).first()
    slow = slow or make_instance(organization, "http://127.0.0.1:8/", CROWDING)
    late = timezone.now() - timedelta(hours=1)
    there = Notification.objects.filter(instance=slow).count()
    for first in range(there, backlog + UNDER_WAY, STEP):
        size = min(STEP, backlog + UNDER_WAY - first)
        make_notifications(slow, [[record] for record in range(size)], due=lambda _: late)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return slow


if __name__ == "__main__":
    hand_over(claim_beside(sys.argv[1], int(sys.argv[2])))
