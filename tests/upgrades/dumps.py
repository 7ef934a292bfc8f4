"""The dumps of released versions, restored; and statements on what became of them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ON_POSTGRESQL = os.environ.get("CWCONNECT_DATABASE_URL", "").startswith("postgres")
DUMPS = sorted(HERE.glob("*.postgresql.sql" if ON_POSTGRESQL else "*.sqlite.sql"))


def restore(text: str, folder: Path, environment: dict[str, str]) -> None:
    """Run a dump."""
    if not ON_POSTGRESQL:
        with closing(sqlite3.connect(folder / "cwconnect.sqlite3")) as database:
            database.executescript(text)
        return
    import psycopg

    with psycopg.connect(
        environment["CWCONNECT_DATABASE_URL"], autocommit=True, application_name="tests"
    ) as connection:
        connection.execute(text.encode())


def run_sql(folder: Path, environment: dict[str, str], statement: str) -> list[tuple[Any, ...]]:
    """Run a statement on the database; give the rows of a query."""
    if not ON_POSTGRESQL:
        with closing(sqlite3.connect(folder / "cwconnect.sqlite3", isolation_level=None)) as database:
            return database.execute(statement).fetchall()
    import psycopg

    with psycopg.connect(
        environment["CWCONNECT_DATABASE_URL"], autocommit=True, application_name="tests"
    ) as connection:
        done = connection.execute(statement.encode())
        return done.fetchall() if done.description else []
