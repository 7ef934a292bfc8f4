"""Wake-up calls: when one is sent, and how many tasks of a kind run beside each other. Knows no queue.

At most one wake-up of a kind is under way: sent, and not yet begun. One that did not begin within `LOST_AFTER` counts
as lost (its worker died with it, Redis was emptied) and another is sent.

Poll and deliver run beside each other. A second task of a kind is useful only where the first leaves something lie: it
has its hands full, or it claims nothing more and waits for a slow answer. So a second is sent only for what has been
due for `LEFT_LIE`, and a task that occupies the last worker keeps it for a short stretch: the other kind has its turn.

Notes are rows of heartbeats, so that they hold for all machines. `wakeup KIND`: when the call under way was sent.
`slot CLUSTER KIND N`: when a task of that kind was last seen alive. They may be wrong at any time without harm, since
leases alone decide who works on what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from polling.models import Heartbeat
from polling.runtime import due
from polling.runtime.heartbeats import NEVER, beat, beating, cluster_name

LOST_AFTER = timedelta(seconds=30)
LEFT_LIE = timedelta(seconds=2)
SLOT_FREE_AFTER = timedelta(seconds=45)
STRETCH_SECONDS = 60.0
SHORT_STRETCH_SECONDS = 10.0


class Kind(StrEnum):
    """What a wake-up is for."""

    POLL = "poll"
    DELIVER = "deliver"


_DUE_AT: dict[Kind, Callable[[datetime], datetime | None]] = {
    Kind.POLL: due.poll_due_at,
    Kind.DELIVER: due.delivery_due_at,
}


def send_due(send: Callable[[Kind], object], now: datetime | None = None) -> list[Kind]:
    """Send a wake-up of each kind that has something due, none under way and room to run; give the kinds sent.

    `send` hands it to the queue; what it raises is passed on, and the next call tries again.
    """
    at = now or timezone.now()
    return [kind for kind in Kind if _is_wanted(kind, at) and _send_one(kind, send, at)]


def _is_wanted(kind: Kind, now: datetime) -> bool:
    first = _DUE_AT[kind](now)
    if first is None or first > now:
        return False
    held = Heartbeat.objects.filter(name__in=_slots(kind), seen_at__gt=now - SLOT_FREE_AFTER).count()
    return held == 0 or (held < len(_slots(kind)) and first <= now - LEFT_LIE)


def _send_one(kind: Kind, send: Callable[[Kind], object], now: datetime) -> bool:
    name = f"wakeup {kind}"
    if not _take(name, now, free_before=now - LOST_AFTER):
        return False
    try:
        send(kind)
    except BaseException:
        release(name)
        raise
    return True


def begun(kind: Kind) -> None:
    """Note that the wake-up under way has begun: what becomes due from now on deserves another."""
    release(f"wakeup {kind}")


def forget_under_way() -> None:
    """Count every wake-up under way as lost: the cluster that may have held them was killed."""
    Heartbeat.objects.filter(name__startswith="wakeup ").update(seen_at=NEVER)


def hold_back(kind: Kind, now: datetime | None = None) -> None:
    """Note that a task of this kind failed as a whole: the next is sent after `LOST_AFTER`, not within a second."""
    beat(f"wakeup {kind}", at=now or timezone.now())


@contextmanager
def slot(kind: Kind) -> Iterator[float]:
    """Hold one of this cluster's places for a kind of task while it runs, beating.

    Yields the seconds for which the task may claim work; 0 if no place is free.
    """
    now = timezone.now()
    names = _slots(kind)
    mine = next((name for name in names if _take(name, now, free_before=now - SLOT_FREE_AFTER)), None)
    if mine is None:
        yield 0.0
        return
    try:
        with beating(mine, f"cluster {cluster_name()}"):
            yield SHORT_STRETCH_SECONDS if mine == names[-1] else STRETCH_SECONDS
    finally:
        release(mine)


def release(name: str) -> None:
    """Free what `_take` took."""
    Heartbeat.objects.filter(name=name).update(seen_at=NEVER)


def _slots(kind: Kind) -> list[str]:
    return [f"slot {cluster_name()} {kind} {number}" for number in range(settings.Q_CLUSTER["workers"])]


def _take(name: str, now: datetime, *, free_before: datetime) -> bool:
    rows = Heartbeat.objects.filter(name=name)
    if rows.filter(seen_at__lte=free_before).update(seen_at=now):
        return True
    if rows.exists():
        return False
    Heartbeat.objects.bulk_create([Heartbeat(name=name, seen_at=NEVER)], ignore_conflicts=True)
    return bool(rows.filter(seen_at=NEVER).update(seen_at=now))
