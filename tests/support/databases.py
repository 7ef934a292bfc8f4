"""Where real processes keep their rows: SQLite in their data folder, or a database of their own on PostgreSQL.

Its tables are there already: all migrations would take every start five seconds of a core. They are made once in a run,
and copied.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

DATABASE = "cwconnect.sqlite3"
_TABLES = f"cwconnect_processes_tables_{os.getpid()}"
_ours: set[str] = set()


def storage_of(data: Path, *, tables: bool = True) -> dict[str, str]:
    """Return the environment that names the storage of a data folder; it is made at its first use.

    Without `tables` it is empty, or not there at all, as a first start finds it.
    """
    server = os.environ.get("CWCONNECT_DATABASE_URL", "")
    if not server:
        if tables:
            place_tables(data)
        return {}
    name = f"cwconnect_processes_{zlib.crc32(str(data).encode()):x}"
    queue = os.environ.get("CWCONNECT_REDIS_URL", "")
    if name not in _ours:
        _create(server, name, _tables_on(server) if tables else "template1")
        _empty(queue)
    return _keys() | {"CWCONNECT_DATABASE_URL": _of(server, name), "CWCONNECT_REDIS_URL": queue}


def place_tables(data: Path) -> None:
    """Put an SQLite database with all tables and no rows into a data folder that has none."""
    if (data / DATABASE).exists():
        return
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(_tables(), data / DATABASE)
    (data / DATABASE).chmod(0o600)


def drop_storage() -> None:
    """Drop every database made here."""
    for name in _ours:
        _run(os.environ["CWCONNECT_DATABASE_URL"], f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _ours.clear()


def _tables() -> Path:
    """Return the database that all those of this run begin as, made by the first who wants it."""
    folder = Path(os.environ.get("CWCONNECT_DATA_DIR") or _folder().name) / "tables"  # the run's: tests/settings.py
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            _migrate({"CWCONNECT_DATA_DIR": str(folder)})
            (folder / "made").touch()
    return folder / DATABASE


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes with this process, where it is none of pytest's."""
    return tempfile.TemporaryDirectory(prefix="cwconnect-tables-")


def _tables_on(server: str) -> str:
    """Return the name of that database on PostgreSQL."""
    if _TABLES not in _ours:
        _create(server, _TABLES, "template1")
        own = {"CWCONNECT_DATA_DIR": _folder().name, "CWCONNECT_DATABASE_URL": _of(server, _TABLES)}
        _migrate(_keys() | own)
    return _TABLES


def _migrate(storage: dict[str, str]) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CWCONNECT_")}
    environment = kept | {"DJANGO_SETTINGS_MODULE": "cwconnect.settings"} | storage
    command = [sys.executable, "manage.py", "migrate", "-v0"]
    subprocess.run(command, cwd=Path(__file__).parents[2], env=environment, check=True, timeout=240)


def _keys() -> dict[str, str]:
    return {key: os.environ[key] for key in ("CWCONNECT_SECRET_KEY", "CWCONNECT_ENCRYPTION_KEYS")}


def _of(server: str, name: str) -> str:
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def _create(server: str, name: str, like: str) -> None:
    _ours.add(name)
    _run(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _run(server, f"CREATE DATABASE {name} TEMPLATE {like}")


def _run(server: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())


def _empty(queue: str) -> None:
    if queue:
        import redis

        with redis.from_url(queue) as client:
            client.flushdb()
