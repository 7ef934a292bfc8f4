"""The service at the benchmark *sharing*: URL, polls, notifications, machines, name → a figure."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from urllib.request import urlopen

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.long.benchmarks.our_simulation import HOSTS, RESOURCES, watch
from tests.long.benchmarks.processes import command_of, descendants
from tests.long.benchmarks.service import set_up, working

PATIENCE_SECONDS = 3600
RECEIVERS = 40
CLUSTER = "polling.workers.cluster"
# Each firing of a schedule moves its next run; a due time that fired twice would stand here twice.
FIRINGS = """
CREATE TABLE firings (due timestamptz);
CREATE FUNCTION note_firing() RETURNS trigger AS
    'BEGIN INSERT INTO firings VALUES (OLD.next_run); RETURN NEW; END' LANGUAGE plpgsql;
CREATE TRIGGER note_firing AFTER UPDATE OF next_run ON django_q_schedule
    FOR EACH ROW WHEN (OLD.next_run <> NEW.next_run) EXECUTE FUNCTION note_firing();
"""


def share(url: str, polls: int, notifications: int, machines: int, name: str) -> Figure:
    """Have machines share the work, kill a worker of one half-way; give what was done more than once."""
    set_up()
    from django.db import connection

    _prepare(url, polls, notifications)
    with connection.cursor() as cursor:
        cursor.execute(FIRINGS)
    with ExitStack() as stack, Stopwatch() as watch:
        works = [stack.enter_context(working()) for _ in range(machines)]
        _wait(lambda: sum(_left()) <= (polls + notifications) // 2)
        in_flight = _kill_worker(works)
        _wait(lambda: not any(_left()))
    return watch.figure(name, polls + notifications, **_findings(url, in_flight))


def _prepare(url: str, polls: int, notifications: int) -> None:
    from django.db import connection
    from django.utils import timezone

    from instances.models import Instance, Organization
    from polling.models import PollState
    from tests.support.notifications import make_instance, make_notifications

    now = timezone.now()
    watch(url, -(-polls // len(RESOURCES)), now)
    Instance.objects.update(refresh_interval=24 * 60)
    PollState.objects.update(next_poll_at=now)
    PollState.objects.filter(pk__in=list(PollState.objects.values_list("pk", flat=True)[polls:])).update(
        next_poll_at=None
    )
    organization = Organization.objects.get()
    for number in range(RECEIVERS):
        receiver = f"{url.replace('127.0.0.1', f'127.0.0.{1 + number % HOSTS}')}/{number}"
        instance = make_instance(organization, receiver, f"Notifying {number}", "x" * 32)
        make_notifications(instance, [[record] for record in range(number, notifications, RECEIVERS)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _left() -> tuple[int, int]:
    from django.utils import timezone

    from polling.models import Notification, PollState

    due = PollState.objects.filter(next_poll_at__lte=timezone.now() + timedelta(hours=1))
    return due.count(), Notification.objects.filter(state="pending").count()


def _wait(true: Callable[[], bool], *, every: float = 0.2) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > end:
            raise SystemExit("Not done in time.")
        time.sleep(every)


def _kill_worker(works: Sequence[subprocess.Popen[bytes]]) -> set[str]:
    """Kill a worker of the first machine seen at work; give what its cluster had in flight, by the sites' names for it.

    The supervisor is stopped meanwhile, so that the leases can be read before it frees them.
    """
    clusters = {work.pid: [pid for pid in descendants(work.pid) if CLUSTER in command_of(pid)] for work in works}
    at_work: list[tuple[int, str]] = []

    def seen_at_work() -> bool:
        for supervisor, cluster in clusters.items():
            signature = command_of(cluster[0]).split()[-1]
            if _in_flight(signature):
                at_work.append((supervisor, signature))
                return True
        return False

    _wait(seen_at_work, every=0.01)
    [(supervisor, signature)] = at_work
    os.kill(supervisor, signal.SIGSTOP)
    cluster = clusters[supervisor]
    os.kill(cluster[2], signal.SIGKILL)  # forked in this order: cluster, sentinel, workers, monitor, pusher
    _wait(lambda: not any(command_of(pid) for pid in cluster))
    time.sleep(1)  # what they had sent to the database is done or undone by then
    held = _in_flight(signature)
    os.kill(supervisor, signal.SIGCONT)
    return held


def _in_flight(signature: str) -> set[str]:
    """Return what is under leases of this signature, as the sites name what they were asked."""
    from cwconnect.connectwise.catalogue import find_resource
    from polling.models import Notification, PollState

    ours: Any = {"lease_token__startswith": signature}
    sent = set(Notification.objects.filter(**ours).values_list("webhook_id", flat=True))
    states = PollState.objects.filter(**ours).values_list("resource_poll__instance__company", "resource_poll__name")
    paths = {name: resource.path for name in RESOURCES if (resource := find_resource(name))}
    return sent | {f"{company} /v4_6_release/apis/3.0{paths[name]}" for company, name in states}


def _findings(url: str, in_flight: set[str]) -> dict[str, float]:
    from django.db import connection
    from django.db.models import Count

    from polling.models import Notification, PollRun

    with urlopen(f"{url}/_asked", timeout=60) as answer:  # noqa: S310  # our own server
        counts: dict[str, Any] = json.load(answer)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT due) FROM firings")
        fired, due_times = cursor.fetchone()
    runs = PollRun.objects.values("resource_poll").annotate(n=Count("pk")).filter(n__gt=1).count()
    return {
        "in flight at the kill": len(in_flight),
        "asked or sent twice": len(counts["repeated"]),
        "of these not in flight": len(counts["repeated"].keys() - in_flight),
        "with other bytes": len(counts["changed"]),
        "never asked or sent": Notification.objects.count() + PollRun.objects.count() - runs - counts["asked"],
        "polls with two runs": runs,
        "not delivered": Notification.objects.exclude(state="delivered").count(),
        "schedule fired": fired,
        "fired twice": fired - due_times,
    }


if __name__ == "__main__":
    hand_over(share(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
