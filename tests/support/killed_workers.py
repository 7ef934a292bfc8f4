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
        self.answered = threading.Event()
        self.hold_from(None)

    def hold_from(self, count: int | None) -> None:
        """Answer what is held; hold anew what comes once `count` have come, so that it is in flight until then."""
        with self.lock:
            self.answered.set()
            self.count, self.held, self.answered = count, threading.Event(), threading.Event()

    def answer(self, got: Got) -> tuple[int, dict[str, str]]:
        """Take 100 ms, or as long as it is held."""
        with self.lock:
            self.came[got.webhook_id].append(got.body)
            holds = self.count is not None and len(self.came) >= self.count
            held, answered = self.held, self.answered
        if holds:
            held.set()
            answered.wait()
        else:
            time.sleep(0.1)
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

    traffic.hold_from((number + 1) * count // (kills + 2))
    worker = _start(number)
    traffic.held.wait()
    worker.kill()
    worker.wait()
    traffic.hold_from(None)
    held = Notification.objects.filter(lease_token__startswith=f"{number:012x}").count()
    release_dead_cluster("killed", f"{number:012x}")
    return held


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))) + "\n")
