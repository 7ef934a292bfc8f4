"""Wake-up calls: when one is sent, and how many tasks of a kind run beside each other. Knows no queue.

At most one wake-up of a kind is under way: sent, and not yet begun. One that did not begin within `LOST_AFTER` counts
as lost (its worker died with it, Redis was emptied) and another is sent. Both notes are rows, so that they hold for all
machines; both may be wrong at any time without harm, since leases alone decide who works on what.

`wakeup KIND`: when the call under way was sent. `slot CLUSTER KIND N`: when a task of that kind was last seen alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from polling import due
from polling.heartbeats import NEVER, beating, cluster_name
from polling.models import Heartbeat

LOST_AFTER = timedelta(seconds=30)
SLOT_FREE_AFTER = timedelta(seconds=45)


class Kind(StrEnum):
    """What a wake-up is for."""

    POLL = "poll"
    DELIVER = "deliver"


_DUE_AT: dict[Kind, Callable[[datetime], datetime | None]] = {
    Kind.POLL: due.poll_due_at,
    Kind.DELIVER: due.delivery_due_at,
}


def send_due(send: Callable[[Kind], object], now: datetime | None = None) -> list[Kind]:
    """Send a wake-up of each kind that has something due, no one under way, and room to run; give those sent.

    `send` hands it to the queue; what it raises is passed on, and the next call tries again.
    """
    at = now or timezone.now()
    wanted = [kind for kind, due_at in _DUE_AT.items() if (first := due_at(at)) is not None and first <= at]
    return [kind for kind in wanted if _send_one(kind, send, at)]


def _send_one(kind: Kind, send: Callable[[Kind], object], now: datetime) -> bool:
    name = f"wakeup {kind}"
    if not _has_room(kind, now) or not _take(name, now, free_before=now - LOST_AFTER):
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


@contextmanager
def slot(kind: Kind) -> Iterator[bool]:
    """Hold one of this cluster's places for a kind of task while it runs, beating; yields False if all are taken."""
    now = timezone.now()
    names = _slots(kind)
    mine = next((name for name in names if _take(name, now, free_before=now - SLOT_FREE_AFTER)), None)
    if mine is None:
        yield False
        return
    try:
        with beating(mine, f"cluster {cluster_name()}"):
            yield True
    finally:
        release(mine)


def release(name: str) -> None:
    """Free what `_take` took."""
    Heartbeat.objects.filter(name=name).update(seen_at=NEVER)


def _slots(kind: Kind) -> list[str]:
    # One worker is always left to the other kind, so that a long poll holds up no delivery and vice versa.
    count = max(1, settings.Q_CLUSTER["workers"] - 1)
    return [f"slot {cluster_name()} {kind} {number}" for number in range(count)]


def _has_room(kind: Kind, now: datetime) -> bool:
    names = _slots(kind)
    return Heartbeat.objects.filter(name__in=names, seen_at__gt=now - SLOT_FREE_AFTER).count() < len(names)


def _take(name: str, now: datetime, *, free_before: datetime) -> bool:
    rows = Heartbeat.objects.filter(name=name)
    if rows.filter(seen_at__lte=free_before).update(seen_at=now):
        return True
    if rows.exists():
        return False
    Heartbeat.objects.bulk_create([Heartbeat(name=name, seen_at=NEVER)], ignore_conflicts=True)
    return bool(rows.filter(seen_at=NEVER).update(seen_at=now))
