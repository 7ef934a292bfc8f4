"""The tasks that django-q2 runs, by these names (see runtime/queue.py).

A task is a wake-up call. No fact lives in its arguments; done twice, late or never, it loses and repeats nothing: the
rows say what is due, leases say whose it is.
"""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone

from cwconnect.site.periodic_jobs import run_due_jobs
from polling.delivery.delivery_loop import deliver_due
from polling.detection.poll_loop import poll_due
from polling.workers import wakeups
from polling.workers.heartbeats import Part, cluster_name
from polling.workers.heartbeats import beat as write_beat
from polling.workers.queue import delete_task_failures, enqueue_wakeups
from polling.workers.stopping import stopping
from polling.workers.wakeups import Kind, Stretch


def poll() -> int:
    """Run the polls that are due; give how many."""
    return _work(
        Kind.POLL,
        lambda stretch: poll_due(deadline=stretch.deadline, overtime=stretch.overtime, stopping=stopping),
    )


def deliver() -> int:
    """Attempt the deliveries that are due; give how many."""
    return _work(
        Kind.DELIVER,
        lambda stretch: deliver_due(
            deadline=stretch.deadline, overtime=stretch.overtime, linger=stretch.linger, stopping=stopping
        ),
    )


def _work(kind: Kind, work: Callable[[Stretch], int]) -> int:
    wakeups.begun(kind)
    with wakeups.slot(kind) as stretch:
        if stretch is None or stopping():
            return 0
        try:
            done = work(stretch)
        except Exception:
            wakeups.hold_back(kind)
            raise
    if done and not stopping():  # where nothing was done, what is due can't be had now: the watchdog asks each second
        enqueue_wakeups([kind])
    return done


def beat(sender: str) -> str:
    """Show that this cluster works; `sender` names the supervisor that asked, which the monitor answers."""
    write_beat(Part.CLUSTER, cluster_name())
    return sender


def tick() -> None:
    """Do each minute what `manage.py work` does each second, and the periodic jobs when they are due."""
    write_beat(Part.CLUSTER, cluster_name())
    enqueue_wakeups()
    delete_task_failures(timezone.now())
    run_due_jobs(timezone.now())
