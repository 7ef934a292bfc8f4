"""Locks that hold for all machines, each a row: taken while free, free again when released or after a while.

`SLOT`: a place of a cluster for one task of a kind, confirmed while the task lives. `WAKE_UP`: the call of a kind that
is under way. `JOB`: when a periodic job was begun last. `SCHEDULE`: the row whose lock lets one process at a time mend
the queue's schedule.

They fence nothing, and may be wrong at any time without harm, since leases alone decide who works on what (leases.py).
Times are by our clock.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from polling.models import Lock
from polling.workers.heartbeats import NEVER


def take(kind: Lock.Kind, name: str, now: datetime, *, length: timedelta, owner: str = "") -> bool:
    """Take a lock unless it was taken, or confirmed, less than `length` ago; give whether it is ours now.

    Looked at first: most that ask find it taken, and on SQLite an UPDATE makes all writers wait, whatever it finds.
    """
    if count_taken(kind, [name], now, length=length):
        return False
    free = Lock.objects.filter(kind=kind, name=name, taken_at__lte=now - length)
    if free.update(taken_at=now, owner=owner):
        return True
    _make(kind, name)  # where it is missing; else another has taken it since the look
    return bool(free.update(taken_at=now, owner=owner))


def confirm(kind: Lock.Kind, name: str, now: datetime, *, owner: str = "") -> None:
    """Have it count as taken now, whoever has it, so that it holds for another while."""
    Lock.objects.bulk_create(
        [Lock(kind=kind, name=name, owner=owner, taken_at=now)],
        update_conflicts=True,
        unique_fields=["kind", "name"],
        update_fields=["taken_at", "owner"],
    )


def count_taken(kind: Lock.Kind, names: Collection[str], now: datetime, *, length: timedelta) -> int:
    """Return how many of these locks are taken."""
    return Lock.objects.filter(kind=kind, name__in=names, taken_at__gt=now - length).count()


def release(kind: Lock.Kind, name: str) -> None:
    """Free a lock, whoever has it."""
    Lock.objects.filter(kind=kind, name=name).update(taken_at=NEVER)


def release_all(kind: Lock.Kind) -> None:
    """Free all locks of a kind."""
    Lock.objects.filter(kind=kind).update(taken_at=NEVER)


def wait_for(kind: Lock.Kind, name: str) -> None:
    """Wait until no other transaction has this lock, and keep it to the end of ours."""
    _make(kind, name)
    Lock.objects.select_for_update().get(kind=kind, name=name)


def _make(kind: Lock.Kind, name: str) -> None:
    """Make the row where it is missing, free."""
    Lock.objects.bulk_create([Lock(kind=kind, name=name, taken_at=NEVER)], ignore_conflicts=True)
