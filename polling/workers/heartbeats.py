"""Signs of life: rows that tasks write while they run and that the supervisor watches.

`cluster NAME`: a worker of that cluster was alive. `answered NAME`: a heartbeat task that NAME's supervisor had queued
went all the way: queue, pusher, worker, monitor. Rows hold our clock; nobody compares it with another machine's.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import DatabaseError, connection
from django.utils import timezone

from polling.models import Heartbeat
from polling.models.leased import leased_rows

log = logging.getLogger(__name__)

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


def beat(*names: str, at: datetime | None = None) -> None:
    """Write signs of life in one statement, making rows that are missing."""
    seen_at = at or timezone.now()
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, seen_at=seen_at) for name in sorted(names)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["seen_at"],
    )


@contextmanager
def beating(*names: str, every: float = 5.0) -> Iterator[None]:
    """Write signs of life at once and every so many seconds, from a thread with a connection of its own.

    The thread shows that the process lives. That the work itself goes on is seen to by the task's time-out.
    """
    beat(*names)
    done = threading.Event()
    thread = threading.Thread(target=_keep_beating, args=(names, every, done), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _keep_beating(names: tuple[str, ...], every: float, done: threading.Event) -> None:
    while not done.wait(every):
        try:
            beat(*names)
        except DatabaseError as error:
            log.warning("No sign of life could be written: %s", error)
            connection.close()
    connection.close()


def seen(*names: str) -> dict[str, datetime]:
    """Return when each of the named parts was last seen alive; those never seen are left out."""
    return dict(Heartbeat.objects.filter(name__in=names).values_list("name", "seen_at"))


def release_dead_cluster(name: str, signature: str) -> None:
    """Remove what is left of a cluster that is dead for certain: its signs of life, its places, its leases."""
    Heartbeat.objects.filter(name__startswith=f"slot {name} ").delete()
    Heartbeat.objects.filter(name__in=[f"cluster {name}", f"answered {name}"]).delete()
    for rows in leased_rows():
        rows.filter(lease_token__startswith=signature).end_leases()
