"""Signs of life: rows that tasks write while they run and that the supervisor watches.

`CLUSTER`: a worker of the cluster of that name was alive. `ANSWER`: a heartbeat task that the cluster's supervisor had
queued went all the way: queue, pusher, worker, monitor. `PROBE`: the database took a write when somebody asked. Rows
hold our clock; nobody compares it with another machine's. Each says which version wrote it, for upgrades.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError, connection
from django.utils import timezone

from cwconnect import __version__
from polling.models import Heartbeat, Lock
from polling.models.leased import leased_rows

log = logging.getLogger(__name__)

Part = Heartbeat.Part

RECENT = timedelta(seconds=60)  # a cluster that lives was seen within this time
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def new_signature() -> str:
    """Make what a cluster's lease tokens begin with: 12 random hex digits.

    By it the supervisor frees what a cluster held that it has killed, long before the leases run out.
    """
    return secrets.token_hex(6)


@dataclass
class _Self:
    """Which cluster this process belongs to; set before the cluster forks, so that its workers know."""

    name: str
    signature: str


_me = _Self(socket.gethostname(), new_signature())


def cluster_name() -> str:
    """Return the name of this process's cluster: the supervisor's choice, else the machine's name."""
    return _me.name


def lease_signature() -> str:
    """Return what the tokens of leases taken in this process begin with."""
    return _me.signature


def join_cluster(name: str, signature: str) -> None:
    """Say which cluster this process and its forks belong to."""
    _me.name, _me.signature = name, signature


def beat(part: Part, name: str, *, at: datetime | None = None) -> None:
    """Write a sign of life, making the row where it is missing."""
    Heartbeat.objects.bulk_create(
        [Heartbeat(part=part, name=name, seen_at=at or timezone.now(), version=__version__)],
        update_conflicts=True,
        unique_fields=["part", "name"],
        update_fields=["seen_at", "version"],
    )


@contextmanager
def beating(write: Callable[[], None], every: float = 5.0) -> Iterator[None]:
    """Have `write` show life at once and every so many seconds, from a thread with a connection of its own.

    The thread shows that the process lives. That the work itself goes on is seen to by the task's time-out.
    """
    write()
    done = threading.Event()
    thread = threading.Thread(target=_keep_beating, args=(write, every, done), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _keep_beating(write: Callable[[], None], every: float, done: threading.Event) -> None:
    while not done.wait(every):
        try:
            write()
        except DatabaseError as error:
            log.warning("No sign of life could be written: %s", error)
            connection.close()
    connection.close()


def seen(name: str) -> dict[str, datetime]:
    """Return when each part of that name was last seen alive; those never seen are left out."""
    return dict(Heartbeat.objects.filter(name=name).values_list("part", "seen_at"))


def worker_seen() -> datetime | None:
    """Return when any worker was last seen alive; None if none ever was."""
    signs = Heartbeat.objects.filter(part=Part.CLUSTER).order_by("-seen_at")
    return signs.values_list("seen_at", flat=True).first()


def of_other_versions(now: datetime) -> list[str]:
    """Return, in words, the clusters of another version than this one that showed life within the last minute."""
    alive = Heartbeat.objects.filter(part=Part.CLUSTER, seen_at__gte=now - RECENT).exclude(version=__version__)
    return [f"{name}, of {version or 'an early version'}" for name, version in alive.values_list("name", "version")]


def release_dead_cluster(name: str, signature: str) -> None:
    """Remove what is left of a cluster that is dead for certain: its signs of life, its places, its leases."""
    Lock.objects.filter(kind=Lock.Kind.SLOT, owner=name).delete()
    Heartbeat.objects.filter(name=name, part__in=[Part.CLUSTER, Part.ANSWER]).delete()
    for rows in leased_rows():
        rows.filter(lease_token__startswith=signature).end_leases()
