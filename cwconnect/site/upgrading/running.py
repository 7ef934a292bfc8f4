"""Which processes of the service are alive on a database, and of which version: asked in the tables of any version.

Three things tell. A worker writes a sign of life every ten seconds, since 0.2.0 with its version; one of a version
before shows itself by not having one. On PostgreSQL each connection says which version it is of, that of the web too; a
connection without a name is one of a version before, or of a program that uses the same account and should have a name.
On SQLite web and workers share a lock on the data folder, as they always did.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from cwconnect import __version__
from cwconnect.core.database_lock import InUseError, alone

NAMED = "cwconnect "  # so begin the names of this service's connections to PostgreSQL, see cwconnect/settings.py
RECENT = timedelta(seconds=60)  # a worker that lives was seen within this time, by the clocks of both machines
_CANDIDATE = timedelta(hours=1)  # where clocks differ, only a sign that moves is one of life
SILENT_SECONDS = 50.0  # after this the supervisor itself takes a worker for dead (see polling/workers/watchdog.py)
_LOOK_SECONDS = 1.0
_OLD_PREFIX = "cluster "  # of the names of workers' rows, in versions that kept locks in the same table

_CONNECTIONS = """
    SELECT application_name, count(*), host(max(client_addr)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND (application_name LIKE %s
           OR (application_name = '' AND usename = current_user AND backend_type = 'client backend'))
    GROUP BY application_name ORDER BY application_name
"""


@dataclass(frozen=True)
class Running:
    """Something that is alive. `version` is blank where it says none: it is of a version before 0.2.0."""

    what: str
    version: str
    seen_at: datetime | None = None

    @property
    def old(self) -> bool:
        """Return whether it is of another version than this one."""
        return self.version != __version__

    def __str__(self) -> str:
        version = f"of version {self.version}" if self.version else "of a version that does not name itself"
        return f"{self.what}, {version}"


def running(connection: BaseDatabaseWrapper, now: datetime) -> list[Running]:
    """Return what is alive: workers seen within the last minute, and whoever is connected."""
    workers = [worker for worker in _workers(connection) if abs(now - _at(worker)) < RECENT]
    return [*workers, *_connected(connection)]


def still_alive(
    connection: BaseDatabaseWrapper,
    now: datetime,
    say: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Running]:
    """Return which old processes are alive for certain; where only a worker's last sign is left, look if it moves.

    A worker that was stopped took its row along; one that was killed left it. Waits up to SILENT_SECONDS, and only
    where there is such a row from within the last hour and nothing else is alive.
    """
    if found := [one for one in _connected(connection) if one.old]:
        return found
    before = [one for one in _workers(connection) if one.old and abs(now - _at(one)) < _CANDIDATE]
    if not before:
        return []
    say(f"Looking for up to {SILENT_SECONDS:.0f} s whether {before[0].what} is still alive …")
    end = clock() + SILENT_SECONDS
    while clock() < end:
        if moved := [one for one in _workers(connection) if one.old and one not in before]:
            return moved
        sleep(_LOOK_SECONDS)
    return []


def _at(worker: Running) -> datetime:
    return worker.seen_at or datetime.min.replace(tzinfo=UTC)


def _workers(connection: BaseDatabaseWrapper) -> list[Running]:
    with connection.cursor() as cursor:
        if "polling_heartbeat" not in connection.introspection.table_names(cursor):
            return []
        columns = {
            column.name for column in connection.introspection.get_table_description(cursor, "polling_heartbeat")
        }
        version = "version" if "version" in columns else "''"
        ours = "part = 'cluster'" if "part" in columns else f"name LIKE '{_OLD_PREFIX}%%'"
        cursor.execute(f"SELECT name, {version}, seen_at FROM polling_heartbeat WHERE {ours} ORDER BY name", [])  # noqa: S608  (our own words)
        rows = cursor.fetchall()
    return [Running(f"the worker {name.removeprefix(_OLD_PREFIX)}", said, _utc(at)) for name, said, at in rows]


def _utc(value: Any) -> datetime:
    """Return a time as the driver gives it, which on SQLite may be text, as one of UTC."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _connected(connection: BaseDatabaseWrapper) -> list[Running]:
    if connection.vendor != "postgresql":
        return _on_this_machine()
    with connection.cursor() as cursor:
        cursor.execute(_CONNECTIONS, [f"{NAMED}%"])
        rows = cursor.fetchall()
    return [Running(_connections(count, address), name.removeprefix(NAMED)) for name, count, address in rows]


def _connections(count: int, address: str | None) -> str:
    what = "a connection" if count == 1 else f"{count} connections"
    return f"{what} to the database" + (f" (from {address})" if address else "")


def _on_this_machine() -> list[Running]:
    try:
        with alone(settings.DATA_DIR):
            return []
    except InUseError:
        return [Running(f"web or workers on the data folder {settings.DATA_DIR}", "")]
