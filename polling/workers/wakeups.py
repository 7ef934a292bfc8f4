"""Wake-up calls: when one is sent, and how many tasks of a kind run beside each other. Knows no queue.

At most one wake-up of a kind is under way: sent, and not yet begun. One that did not begin within `LOST_AFTER` counts
as lost (its worker died with it, Redis was emptied) and another is sent.

Poll and deliver run beside each other. A second task of a kind is useful only where the first leaves something lie: it
has its hands full, or it claims nothing more and waits for a slow answer. So a second is sent only for what has been
due for `LEFT_LIE`, and a task that occupies the last worker keeps it for a short stretch: the other kind has its turn.

Whoever commits something due calls at once, and so does a task at its end: what came while it went on was called by
nobody. A delivering task lingers for a second when nothing is left, so that a trickle needs no call for each drop.

Notes are rows of heartbeats, so that they hold for all machines. `wakeup KIND`: when the call under way was sent.
`slot CLUSTER KIND N`: when a task of that kind was last seen alive. They may be wrong at any time without harm, since
leases alone decide who works on what.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from polling.models import Heartbeat
from polling.workers import due
from polling.workers.heartbeats import (
    NEVER,
    beat,
    beating,
    cluster_name,
)

LOST_AFTER = timedelta(seconds=30)
LEFT_LIE = timedelta(seconds=2)
SLOT_FREE_AFTER = timedelta(seconds=45)


class Kind(StrEnum):
    """What a wake-up is for."""

    POLL = "poll"
    DELIVER = "deliver"


@dataclass(frozen=True)
class Stretch:
    """Until when a task may claim work (monotonic seconds), and for how many seconds it may stay when there is none."""

    deadline: float
    linger: float


_LONG, _SHORT = (60.0, 1.0), (10.0, 0.0)  # seconds to claim, and to linger

_DUE_AT: dict[Kind, Callable[[datetime], datetime | None]] = {
    Kind.POLL: due.poll_due_at,
    Kind.DELIVER: due.delivery_due_at,
}


def send_due(
    send: Callable[[Kind], object], now: datetime | None = None, kinds: Iterable[Kind] = tuple(Kind)
) -> list[Kind]:
    """Send a wake-up of each kind that has something due, none under way and room to run; give the kinds sent.

    `send` hands it to the queue; what it raises is passed on, and the next call tries again.
    """
    at = now or timezone.now()
    return [kind for kind in kinds if _is_wanted(kind, at) and _send_one(kind, send, at)]


def call(kind: Kind, send: Callable[[Kind], object], now: datetime | None = None) -> bool:
    """Send a wake-up for what was just made due, unless one is under way or a task of this cluster is at it.

    Gives whether it was sent. Two looks at rows by their keys where it was not: this comes with every commit of a page.
    """
    at = now or timezone.now()
    return not _held(kind, at) and _send_one(kind, send, at)


def _is_wanted(kind: Kind, now: datetime) -> bool:
    first = _DUE_AT[kind](now)
    if first is None or first > now:
        return False
    held = _held(kind, now)
    return held == 0 or (held < len(_slots(kind)) and first <= now - LEFT_LIE)


def _held(kind: Kind, now: datetime) -> int:
    """Return how many tasks of a kind this cluster runs."""
    return Heartbeat.objects.filter(name__in=_slots(kind), seen_at__gt=now - SLOT_FREE_AFTER).count()


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


def drop_pending_wakeups() -> None:
    """Count every wake-up under way as lost: the cluster that may have held them was killed."""
    Heartbeat.objects.filter(name__startswith="wakeup ").update(seen_at=NEVER)


def hold_back(kind: Kind, now: datetime | None = None) -> None:
    """Note that a task of this kind failed as a whole: the next is sent after `LOST_AFTER`, not within a second."""
    beat(f"wakeup {kind}", at=now or timezone.now())


@contextmanager
def slot(kind: Kind) -> Iterator[Stretch | None]:
    """Hold one of this cluster's places for a kind of task while it runs, beating; yields None if no place is free."""
    now = timezone.now()
    names = _slots(kind)
    mine = next((name for name in names if _take(name, now, free_before=now - SLOT_FREE_AFTER)), None)
    if mine is None:
        yield None
        return
    try:
        with beating(mine, f"cluster {cluster_name()}"):
            seconds, linger = _SHORT if mine == names[-1] else _LONG
            yield Stretch(time.monotonic() + seconds, linger)
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
