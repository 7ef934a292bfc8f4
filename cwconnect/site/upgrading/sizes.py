"""How many rows a table has, how large it is, and how much space is left: asked for cheaply."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

_COUNTED = 100_000  # PostgreSQL's own estimate is taken for tables that are larger than that by it


class Sizes:
    """Answers for one connection; each table is asked about once."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._rows: dict[str, tuple[int, bool]] = {}
        with connection.cursor() as cursor:
            self._there = frozenset(connection.introspection.table_names(cursor))

    def rows(self, table: str) -> tuple[int, bool]:
        """Return the rows of a table, and whether they were counted (else they are PostgreSQL's estimate)."""
        if table not in self._rows:
            self._rows[table] = self._ask(table) if table in self._there else (0, True)
        return self._rows[table]

    def all_rows(self) -> int:
        """Return the rows of all tables."""
        return sum(self.rows(table)[0] for table in self._there)

    def _ask(self, table: str) -> tuple[int, bool]:
        quoted = self._connection.ops.quote_name(table)
        if self._connection.vendor == "postgresql":
            guess = int(self._value("SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)", [quoted]) or -1)
            if guess > _COUNTED:
                return guess, False
        return int(self._value(f"SELECT count(*) FROM {quoted}")), True  # noqa: S608  (a model's table)

    def bytes_of(self, table: str) -> int:
        """Return the size of a table with its indexes; on SQLite, which has one file, that of all of it."""
        if self._connection.vendor == "postgresql":
            quoted = self._connection.ops.quote_name(table)
            return int(self._value("SELECT pg_total_relation_size(to_regclass(%s))", [quoted]) or 0)
        return self.database()

    def database(self) -> int:
        """Return the size of the database in bytes."""
        if self._connection.vendor == "postgresql":
            return int(self._value("SELECT pg_database_size(current_database())"))
        file = Path(str(self._connection.settings_dict["NAME"]))
        beside = (file, file.with_name(f"{file.name}-wal"))
        return sum(one.stat().st_size for one in beside if one.is_file())

    def free(self) -> int | None:
        """Return the bytes that are free beside the database; None where another machine's disk holds it."""
        if self._connection.vendor == "postgresql":
            return None
        file = Path(str(self._connection.settings_dict["NAME"]))
        return shutil.disk_usage(file.parent).free if file.parent.is_dir() else None

    def _value(self, statement: str, parameters: list[Any] | None = None) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            row = cursor.fetchone()
        return row[0] if row else None
