"""Many rows by one statement of our own: the one place where rows are written past Django's models.

`bulk_create` costs 60 to 90 µs a row, most of it in building models and in compiling anew the SQL that is the same
every time; here it is 3 to 20. Statements run on Django's connection, inside the caller's transaction, and name tables
and columns as the models do. SQLite gets one prepared statement and many rows, PostgreSQL one statement over arrays.

Rows are given as the database takes them: bytes and text ready, times by `moment`, JSON as text. No default, signal or
validation of a model comes into it, so every column without a default of the database's must be named.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from django.db import connection, models

Model = type[models.Model]
Row = Sequence[Any]


def moment(value: datetime | None) -> Any:
    """Give an aware time as the database takes it; None stays None."""
    if value is None or connection.vendor != "sqlite":
        return value
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")  # as Django's own adapter writes it


def insert(model: Model, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert rows; `columns` are the model's attributes (`instance_id`) in the order of each row's values."""
    _run(_insert(model, columns), model, columns, rows)


def upsert(model: Model, columns: Sequence[str], rows: Sequence[Row], *, key: Sequence[str]) -> None:
    """Insert rows; of those that are there already by their `key` columns, overwrite the others."""
    of_key = _names(model, key)
    changed = [f"{name} = excluded.{name}" for name in _names(model, columns) if name not in of_key]
    conflict = f" ON CONFLICT ({', '.join(of_key)}) DO UPDATE SET {', '.join(changed)}"
    _run(_insert(model, columns) + conflict, model, columns, rows)


def update(model: Model, columns: Sequence[str], rows: Sequence[Row], *, key: str) -> None:
    """Write `columns` of the rows that there are; each row given ends with the value of its `key` column."""
    given = [*columns, key]
    *names, by = _names(model, given)
    table = _table(model)
    if connection.vendor == "sqlite":
        values = ", ".join(f"{name} = %s" for name in names)
        statement = f"UPDATE {table} SET {values} WHERE {by} = %s"  # noqa: S608  (the model's own names)
    else:
        values = ", ".join(f"{name} = new.{name}" for name in names)
        source = f"{_unnest(model, given)} AS new ({', '.join([*names, by])})"
        statement = f"UPDATE {table} SET {values} FROM {source} WHERE {table}.{by} = new.{by}"  # noqa: S608  (as above)
    _run(statement, model, given, rows)


def _insert(model: Model, columns: Sequence[str]) -> str:
    if connection.vendor == "sqlite":
        source = f"VALUES ({', '.join(['%s'] * len(columns))})"
    else:
        source = f"SELECT * FROM {_unnest(model, columns)}"  # noqa: S608  (the model's own names)
    # SQLite takes ON CONFLICT after VALUES and PostgreSQL after SELECT.
    return f"INSERT INTO {_table(model)} ({', '.join(_names(model, columns))}) {source}"


def _run(statement: str, model: Model, columns: Sequence[str], rows: Sequence[Row]) -> None:
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.executemany(statement, cast(Any, rows))  # Django's stubs leave out the bytes of a BLOB
        else:
            cursor.execute(statement, [list(values) for values in zip(*rows, strict=True)])


def _unnest(model: Model, columns: Sequence[str]) -> str:
    return f"unnest({', '.join(f'%s::{_type(model, column)}[]' for column in columns)})"


def _type(model: Model, column: str) -> str:
    name = _field(model, column).cast_db_type(connection) or "text"
    return "text" if name.startswith("varchar") else name  # a cast to varchar(n) would cut in silence


def _names(model: Model, columns: Sequence[str]) -> list[str]:
    return [connection.ops.quote_name(_field(model, column).column) for column in columns]


def _field(model: Model, column: str) -> Any:
    return model._meta.get_field(column)  # noqa: SLF001  (documented: Django's model API)


def _table(model: Model) -> str:
    return connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001  (as above)
