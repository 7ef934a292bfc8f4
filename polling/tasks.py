"""The tasks that django-q2 runs, and how they are queued: with `polling/runtime/cluster.py` all that knows django-q2.

A task is a wake-up call. No fact lives in its arguments; done twice, late or never, it loses and repeats nothing: the
rows say what is due, leases say whose it is. A commit that makes something due queues one at once, and `manage.py work`
within a second of anything becoming due; the one static schedule, `tick`, does so each minute for a cluster that runs
without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from multiprocessing.synchronize import Event

from django.db import transaction
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import Schedule, Task
from django_q.tasks import async_task

from polling.models import Heartbeat
from polling.runtime import wakeups
from polling.runtime.heartbeats import NEVER, cluster_name
from polling.runtime.heartbeats import beat as write_beat
from polling.runtime.wakeups import Kind, Stretch

log = logging.getLogger(__name__)

TICK = "cwconnect tick"
BEAT = "polling.tasks.beat"


class _Stop:
    """The event by which this process's cluster says that it is to end; none in a cluster not started by `work`."""

    event: Event | None = None


def stop_on(event: Event) -> None:
    """Have `stopping()` follow the cluster's stop event, in this process and those forked from it."""
    _Stop.event = event


def stopping() -> bool:
    """Whether the cluster is ending: claim nothing more, end what is in flight within 8 s, free the rest."""
    return _Stop.event is not None and _Stop.event.is_set()


def poll() -> int:
    """Run the polls that are due; give how many."""
    # Imported here, so that what only queues tasks (the supervisor, the web) does not load what works on them.
    from polling.detection.poller import poll_due

    return _work(Kind.POLL, lambda stretch: poll_due(deadline=stretch.deadline, stopping=stopping))


def deliver() -> int:
    """Attempt the deliveries that are due; give how many."""
    from polling.delivery.deliverer import deliver_due

    return _work(
        Kind.DELIVER,
        lambda stretch: deliver_due(deadline=stretch.deadline, linger=stretch.linger, stopping=stopping),
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
    if done and not stopping():  # where nothing was done, what is due can't be had now: the lookout asks each second
        wakeups.send_due(queue, kinds=[kind])
    return done


def beat(sender: str) -> str:
    """Show that this cluster works; `sender` names the supervisor that asked, which the monitor answers."""
    write_beat(f"cluster {cluster_name()}")
    return sender


def forget_failures(now: datetime) -> int:
    """Delete django-q2's rows about tasks that failed a week ago or earlier; give how many. Successes leave none."""
    return int(Task.objects.filter(success=False, stopped__lt=now - timedelta(days=7)).delete()[0])


def tick() -> None:
    """Do each minute what `manage.py work` does each second, and the chores of the house when they are due."""
    write_beat(f"cluster {cluster_name()}")
    wakeups.send_due(queue)
    from polling.chores import run_due_chores

    forget_failures(timezone.now())
    run_due_chores(timezone.now())


def enqueue_wakeups(now: datetime | None = None) -> list[Kind]:
    """Queue what is due and not under way yet; give what was queued. Raises what the queue's client raises."""
    return wakeups.send_due(queue, now)


def wake_on_commit(kind: Kind) -> None:
    """Have a worker woken for what this transaction makes due, as soon as it is committed."""
    transaction.on_commit(partial(_wake, kind))


def _wake(kind: Kind) -> None:
    try:
        wakeups.call(kind, queue)
    except Exception as error:  # noqa: BLE001  (as in the lookout, which looks each second: nothing is lost but time)
        log.warning("Nobody could be woken at once: %s", error)


def queue(kind: Kind) -> None:
    """Queue one wake-up, unconditionally."""
    async_task(f"polling.tasks.{kind}")


def queue_size() -> int:
    """Give how many tasks wait in the queue. Raises what the queue's client raises."""
    return int(get_broker().queue_size())


def queue_beat(sender: str) -> None:
    """Queue a heartbeat task on behalf of the supervisor named `sender`."""
    async_task(BEAT, sender)


def mind_the_clock(now: datetime) -> None:
    """Make sure that no time of a clock that was ahead holds anything up, the static schedule included."""
    from polling.clocks import mend_times

    ensure_tick()
    mend_times(now)


def ensure_tick() -> None:
    """Make sure that the static schedule exists, once, and is sound, however many machines start at a time."""
    with transaction.atomic():
        # django-q2's table has no constraint that keeps a schedule single: the lock of a row of ours does.
        Heartbeat.objects.bulk_create([Heartbeat(name="schedule", seen_at=NEVER)], ignore_conflicts=True)
        Heartbeat.objects.select_for_update().get(name="schedule")
        sound = Schedule.objects.filter(
            name=TICK, func="polling.tasks.tick", schedule_type=Schedule.MINUTES, minutes=1, repeats=-1
        ).filter(args=None, kwargs=None, hook=None, cluster=None, next_run__lte=timezone.now() + timedelta(hours=1))
        keep = sound.order_by("pk").values_list("pk", flat=True).first()
        Schedule.objects.filter(name=TICK).exclude(pk=keep).delete()
        if keep is None:
            Schedule.objects.create(
                name=TICK, func="polling.tasks.tick", schedule_type=Schedule.MINUTES, minutes=1, repeats=-1
            )
