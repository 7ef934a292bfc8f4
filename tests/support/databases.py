"""Where real processes keep their rows: SQLite in their data folder, or a database of their own on PostgreSQL."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

_ours: set[str] = set()


def storage_of(data: Path) -> dict[str, str]:
    """Return the environment that names the storage of a data folder; it is made at its first use."""
    server = os.environ.get("CWCONNECT_DATABASE_URL", "")
    if not server:
        return {}
    name = f"cwconnect_processes_{zlib.crc32(str(data).encode()):x}"
    queue = os.environ.get("CWCONNECT_REDIS_URL", "")
    if name not in _ours:
        _ours.add(name)
        _create(server, name)
        _empty(queue)
    keys = {key: os.environ[key] for key in ("CWCONNECT_SECRET_KEY", "CWCONNECT_ENCRYPTION_KEYS")}
    url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    return keys | {"CWCONNECT_DATABASE_URL": url, "CWCONNECT_REDIS_URL": queue}


def drop_storage() -> None:
    """Drop every database made here."""
    for name in _ours:
        _run(os.environ["CWCONNECT_DATABASE_URL"], f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _ours.clear()


def _create(server: str, name: str) -> None:
    _run(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _run(server, f"CREATE DATABASE {name}")


def _run(server: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())


def _empty(queue: str) -> None:
    if queue:
        import redis

        with redis.from_url(queue) as client:
            client.flushdb()
