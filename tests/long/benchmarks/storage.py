"""Throwaway databases for the service under measurement: an SQLite file, or a PostgreSQL database of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

SERVER = os.environ.get("CWCONNECT_DATABASE_URL", "")
QUEUE = {name: os.environ[name] for name in ("CWCONNECT_REDIS_URL",) if os.environ.get(name)}
NAME = f"cwconnect_benchmark_{os.getpid()}"
NO_SERVER = "PostgreSQL was left out: CWCONNECT_DATABASE_URL names no server on which a database may be made."


@contextmanager
def sqlite() -> Iterator[dict[str, str]]:
    """Return the environment of a service that keeps its rows in a new folder."""
    with tempfile.TemporaryDirectory(prefix="cwconnect-benchmark-") as folder:
        yield _environment(folder) | {"CWCONNECT_DATABASE_URL": ""}  # which the shell may name, for PostgreSQL


@contextmanager
def postgresql() -> Iterator[dict[str, str]]:
    """Return the environment of a service with a new database on the server of CWCONNECT_DATABASE_URL, and Redis."""
    with tempfile.TemporaryDirectory(prefix="cwconnect-benchmark-") as folder:
        _run(f"CREATE DATABASE {NAME}")
        try:
            url = urlunsplit(urlsplit(SERVER)._replace(path=f"/{NAME}"))
            yield _environment(folder) | {"CWCONNECT_DATABASE_URL": url} | QUEUE
        finally:
            _run(f"DROP DATABASE {NAME} WITH (FORCE)")


def _environment(folder: str) -> dict[str, str]:
    return {
        "CWCONNECT_DATA_DIR": folder,
        "CWCONNECT_CONNECTWISE_CLIENT_ID": "a-client-id",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }


def _run(statement: str) -> None:
    import psycopg

    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(statement.encode())
