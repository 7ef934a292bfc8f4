"""The service at the benchmark *growth*. `fill POLLS EVENTS` adds to its database; `claim NAME` gives a figure."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over, held_mb
from tests.long.benchmarks.processes import cpu_of
from tests.long.benchmarks.service import set_up

TIMES = 100
DUE = 1000
ROOM = 16  # what a worker's loop has room for
PORTS = range(9, 29)  # of receivers, which nobody asks here


def fill(polls: int, events: int) -> Figure:
    """Add this many polls that are not due, and events that were delivered, to the database; migrated if it is new."""
    set_up()
    from django.utils import timezone

    from instances.models import Organization
    from polling.models import PollState
    from tests.support import event_volume as volume
    from tests.support.notifications import make_instance, make_notifications

    organization, is_new = Organization.objects.get_or_create(name="Growing")
    with Stopwatch() as watch:
        volume.fill(organization, polls=polls, notifications=events // volume.EVENTS_EACH)
    if is_new:
        first = PollState.objects.order_by("pk").values_list("pk", flat=True)[:DUE]
        late = timezone.now() - timedelta(minutes=1)
        PollState.objects.filter(pk__in=list(first)).update(next_poll_at=late)
        for port in PORTS:
            instance = make_instance(organization, f"http://127.0.0.1:{port}/", f"Notifying {port}")
            make_notifications(instance, [[number] for number in range(DUE // len(PORTS))])
    return watch.figure("filling", polls + events)


def claim(name: str) -> Figure:
    """Look for what is due, claim it and let go of it, again and again; give the cost of each in ms."""
    set_up()
    from django.utils import timezone

    from polling.delivery.delivery_loop import DeliveryLoop
    from polling.detection.poll_loop import PollLoop
    from polling.models import Notification, PollState
    from polling.workers.due import delivery_due_at, poll_due_at

    due = PollState.objects.filter(next_poll_at__isnull=False)

    def look() -> None:
        now = timezone.now()
        if poll_due_at(now) is None or delivery_due_at(now) is None:
            raise SystemExit("Nothing was due.")

    def claim_polls() -> Callable[[], None]:
        loop = PollLoop(due, deadline=float("inf"))
        jobs = some(loop.claim(ROOM, []))
        return lambda: loop.release(jobs)

    def claim_deliveries() -> Callable[[], None]:
        loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
        delivery_requests = some(loop.claim(ROOM, []))
        return lambda: loop.release(delivery_requests)

    with Stopwatch() as watch:
        more = {
            "look, ms": cost(look),
            "polls, ms": cost(claim_polls),
            "deliveries, ms": cost(claim_deliveries),
            "MB held": held_mb(),
        }
    return watch.figure(name, 3 * TIMES, **more)


def some(claimed: list[Any]) -> list[Any]:
    """Return what was claimed, all that there was room for; end the benchmark if it is not."""
    if len(claimed) != ROOM:
        raise SystemExit(f"{len(claimed)} of {ROOM} were claimed.")
    return claimed


def cost(step: Callable[[], Callable[[], None] | None]) -> float:
    """Return the CPU ms of a step, the worker's and the database's: how busy the machine is makes no difference."""
    spent = 0.0
    for _ in range(TIMES):
        began = time.process_time() + _database_cpu()
        undo = step()
        spent += time.process_time() + _database_cpu() - began
        if undo is not None:
            undo()
    return spent / TIMES * 1000


def _database_cpu() -> float:
    """Return the CPU seconds of the server's process that works for us, on this machine; SQLite works in ours."""
    from django.db import connection

    if connection.vendor == "sqlite":
        return 0.0
    connection.ensure_connection()
    return cpu_of(connection.connection.info.backend_pid)


if __name__ == "__main__":
    hand_over(fill(int(sys.argv[2]), int(sys.argv[3])) if sys.argv[1] == "fill" else claim(sys.argv[2]))
