"""The queue: how tasks are queued by their names, and the one schedule. With `cluster` all that knows django-q2.

What only queues (the supervisor, the web, a commit) loads none of what works on the tasks, which stand in `tasks`. A
commit that makes something due queues a wake-up call at once, and `manage.py work` within a second of anything becoming
due; the one static schedule, `tick`, does so each minute for a cluster that runs without it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import Schedule, Task
from django_q.tasks import async_task

from polling.models import Lock
from polling.workers import locks, wakeups
from polling.workers.queue_guard import BEAT
from polling.workers.wakeups import Kind

log = logging.getLogger(__name__)

TICK = "cwconnect tick"


def enqueue_wakeups(kinds: Iterable[Kind] = tuple(Kind)) -> list[Kind]:
    """Queue what is due and not under way yet; give what was queued. Raises what the queue's client raises."""
    return wakeups.send_due(queue, kinds=kinds)


def wake_on_commit(kind: Kind) -> None:
    """Have a worker woken for what this transaction makes due, as soon as it is committed."""
    transaction.on_commit(partial(_wake, kind))


def _wake(kind: Kind) -> None:
    try:
        wakeups.call(kind, queue)
    except Exception as error:  # noqa: BLE001  (as in the watchdog, which looks each second: nothing is lost but time)
        log.warning("Nobody could be woken at once: %s", error)


def queue(kind: Kind) -> None:
    """Queue one wake-up, unconditionally."""
    async_task(f"polling.tasks.{kind}")


def queue_size() -> int:
    """Return how many tasks wait in the queue. Raises what the queue's client raises."""
    return int(get_broker().queue_size())


def queue_beat(sender: str) -> None:
    """Queue a heartbeat task on behalf of the supervisor named `sender`."""
    async_task(BEAT, sender)


def delete_task_failures(now: datetime) -> int:
    """Delete django-q2's rows about tasks that failed a week ago or earlier; give how many. Successes leave none."""
    return int(Task.objects.filter(success=False, stopped__lt=now - timedelta(days=7)).delete()[0])


def ensure_tick() -> None:
    """Make sure that the static schedule exists, once, and is sound, however many machines start at a time."""
    with transaction.atomic():
        # django-q2's table has no constraint that keeps a schedule single: the lock of a row of ours does.
        locks.wait_for(Lock.Kind.SCHEDULE, TICK)
        sound = Schedule.objects.filter(
            name=TICK, func="polling.tasks.tick", schedule_type=Schedule.MINUTES, minutes=1, repeats=-1
        ).filter(args=None, kwargs=None, hook=None, cluster=None, next_run__lte=timezone.now() + timedelta(hours=1))
        keep = sound.order_by("pk").values_list("pk", flat=True).first()
        Schedule.objects.filter(name=TICK).exclude(pk=keep).delete()
        if keep is None:
            Schedule.objects.create(
                name=TICK, func="polling.tasks.tick", schedule_type=Schedule.MINUTES, minutes=1, repeats=-1
            )
