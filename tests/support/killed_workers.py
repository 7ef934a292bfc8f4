"""Kills a delivering worker, each time with requests in flight: `python -m tests.support.killed_workers 50 2000`.

The worker is a process that runs the delivery loop as a task does; its leases are freed at its death as the supervisor
does it. The receiver, in this process, takes 100 ms. Prints what came of it as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import defaultdict

import django

from tests.support.receivers import Got, start_receiver

WORKER = """
import sys, time, django
django.setup()
from polling.delivery.delivery_loop import deliver_due
from polling.workers.heartbeats import join_cluster
join_cluster("killed", sys.argv[1])
while True:
    deliver_due(deadline=time.monotonic() + 60)
    time.sleep(0.05)
"""


class Traffic:
    """What came to the receiver, and how much of it is being answered just now."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.came: dict[str, list[bytes]] = defaultdict(list)
        self.in_flight = 0

    def answer(self, got: Got) -> tuple[int, dict[str, str]]:
        """Take 100 ms."""
        with self.lock:
            self.came[got.webhook_id].append(got.body)
            self.in_flight += 1
        time.sleep(0.1)
        with self.lock:
            self.in_flight -= 1
        return 204, {}


def main(kills: int, count: int) -> dict[str, int | float]:
    """Deliver `count` notifications through `kills` deaths."""
    django.setup()
    from django.core.management import call_command

    from instances.models import Organization
    from polling.models import Notification
    from tests.support.notifications import make_instance, make_notifications

    call_command("migrate", verbosity=0)
    traffic, began = Traffic(), time.monotonic()
    with start_receiver() as receiver:
        receiver.answer = traffic.answer
        organization = Organization.objects.create(name="Killed")
        for name in ("one", "two"):
            instance = make_instance(organization, receiver.url, name)
            make_notifications(instance, [[record] for record in range(count // 2)])
        waiting = Notification.objects.filter(state=Notification.State.PENDING)
        in_flight = [_live_and_die(traffic, count, number, kills) for number in range(kills)]
        last = _start(kills)
        while waiting.all().exists():
            time.sleep(0.2)
        last.kill()
        last.wait()
    bodies = traffic.came.values()
    return {
        "kills": len(in_flight),
        "kills with requests in flight": sum(1 for requests in in_flight if requests),
        "in flight at kills": sum(in_flight),
        "missing": Notification.objects.count() - len(traffic.came),
        "repeats": sum(len(came) - 1 for came in bodies),
        "changed bytes": sum(len(set(came)) - 1 for came in bodies),
        "seconds": round(time.monotonic() - began, 1),
    }


def _start(number: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, f"{number:012x}"])


def _live_and_die(traffic: Traffic, count: int, number: int, kills: int) -> int:
    """Start a worker, let it deliver its part, kill it in the middle of requests; give how many were in flight.

    Counted is what it had sent or was about to: what carries its leases when it is dead.
    """
    from polling.models import Notification
    from polling.workers.heartbeats import release_dead_cluster

    worker = _start(number)
    until = (number + 1) * count // (kills + 2)
    while len(traffic.came) < until or not traffic.in_flight:
        time.sleep(0.005)
    worker.kill()
    worker.wait()
    held = Notification.objects.filter(lease_token__startswith=f"{number:012x}").count()
    release_dead_cluster("killed", f"{number:012x}")
    return held


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))) + "\n")
