"""Wake-up calls: when one is sent, and how many tasks of a kind run beside each other. Knows no queue.

At most one wake-up of a kind is under way: sent, and not yet begun. One that did not begin within `LOST_AFTER` counts
as lost (its worker died with it, Redis was emptied) and another is sent.

Poll and deliver run beside each other. A second task of a kind is useful only where the first leaves something lie: it
has its hands full, or it claims nothing more and waits for a slow answer. So a second is sent only for what has been
due for `LEFT_LIE`, and a task that occupies the last worker keeps it for a short stretch: the other kind has its turn.

Whoever commits something due calls at once, and so does a task at its end: what came while it went on was called by
nobody. A delivering task lingers for a second when nothing is left, so that a trickle needs no call for each drop.

Both are locks that hold for all machines (locks.py): the call of a kind that is under way, and the places of a cluster
for tasks of a kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from django.conf import settings
from django.utils import timezone

from polling.models import Heartbeat, Lock
from polling.workers import due, locks
from polling.workers.heartbeats import beat, beating, cluster_name

SLOT, WAKE_UP = Lock.Kind.SLOT, Lock.Kind.WAKE_UP
LOST_AFTER = timedelta(seconds=30)
LEFT_LIE = timedelta(seconds=2)
SLOT_FREE_AFTER = timedelta(seconds=45)


class Kind(StrEnum):
    """What a wake-up is for."""

    POLL = "poll"
    DELIVER = "deliver"


@dataclass(frozen=True)
class Stretch:
    """Until when a task may claim work (monotonic seconds), and what more it may: see TimeSlice."""

    deadline: float
    overtime: float
    linger: float


@dataclass(frozen=True)
class TimeSlice:
    """How long a task may claim work, and what more it may, in seconds.

    `overtime`: for how long it claims on where it has to wait for a slow answer then. `linger`: for how long it stays
    when there is nothing to claim.
    """

    claims: float
    overtime: float = 0.0
    linger: float = 0.0

    def begin(self) -> Stretch:
        """Give the stretch of a task that begins now."""
        return Stretch(time.monotonic() + self.claims, self.overtime, self.linger)


# The queue's `timeout` reckons with them: see cwconnect/settings.py. The short one is the last worker's.
LONG, SHORT = TimeSlice(claims=60.0, overtime=120.0, linger=1.0), TimeSlice(claims=10.0)

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
    return locks.count_taken(SLOT, _slots(kind), now, length=SLOT_FREE_AFTER)


def _send_one(kind: Kind, send: Callable[[Kind], object], now: datetime) -> bool:
    if not locks.take(WAKE_UP, kind, now, length=LOST_AFTER):
        return False
    try:
        send(kind)
    except BaseException:
        locks.release(WAKE_UP, kind)
        raise
    return True


def begun(kind: Kind) -> None:
    """Note that the wake-up under way has begun: what becomes due from now on deserves another."""
    locks.release(WAKE_UP, kind)


def drop_pending_wakeups() -> None:
    """Count every wake-up under way as lost: the cluster that may have held them was killed."""
    locks.release_all(WAKE_UP)


def hold_back(kind: Kind, now: datetime | None = None) -> None:
    """Note that a task of this kind failed as a whole: the next is sent after `LOST_AFTER`, not within a second."""
    locks.confirm(WAKE_UP, kind, now or timezone.now())


@contextmanager
def slot(kind: Kind) -> Iterator[Stretch | None]:
    """Hold one of this cluster's places for a kind of task while it runs, beating; yields None if no place is free."""
    now, names, owner = timezone.now(), _slots(kind), cluster_name()
    mine = next((name for name in names if locks.take(SLOT, name, now, length=SLOT_FREE_AFTER, owner=owner)), None)
    if mine is None:
        yield None
        return
    try:
        with beating(partial(_show_life, mine)):
            yield (SHORT if mine == names[-1] else LONG).begin()
    finally:
        locks.release(SLOT, mine)


def _show_life(mine: str) -> None:
    """Write that this cluster lives, and that the task in that place does."""
    locks.confirm(SLOT, mine, timezone.now(), owner=cluster_name())
    beat(Heartbeat.Part.CLUSTER, cluster_name())


def _slots(kind: Kind) -> list[str]:
    return [f"{cluster_name()} {kind} {number}" for number in range(settings.Q_CLUSTER["workers"])]
