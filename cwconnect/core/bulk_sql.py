"""Many rows by one statement of our own: the one place where rows are written past Django's models.

`bulk_create` costs 60 to 90 µs a row, most of it in building models and in compiling anew the SQL that is the same
every time; here it is 3 to 20. Statements run on Django's connection, inside the caller's transaction, and name tables
and columns as the models do. SQLite gets one prepared statement and many rows; PostgreSQL a COPY where all are new,
else one statement over arrays.

Rows are given as the database takes them: bytes and text ready, times by `db_timestamp`, JSON as text. No default,
signal or validation of a model comes into it, so every column without a default of the database's must be named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, cast

from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models.expressions import RawSQL
from django.db.models.sql import UpdateQuery

Model = type[models.Model]
Row = Sequence[Any]
TEXTS = ("text", "jsonb")
# Columns whose values are as the database takes them: texts and numbers.
AS_THEY_ARE = {
    *(models.BigAutoField, models.BigIntegerField, models.PositiveIntegerField, models.PositiveSmallIntegerField),
    *(models.BooleanField, models.FloatField, models.CharField, models.TextField, models.ForeignKey),
}


def db_timestamp(value: datetime | None) -> Any:
    """Return an aware time as the database takes it; None stays None."""
    return value if value is None or not _writes_times_as_text() else _as_text(value)


@cache
def _writes_times_as_text() -> bool:
    return connection.vendor == "sqlite"  # asked once: to find a thread's connection costs more than the rest


@lru_cache(maxsize=4096)
def _as_text(value: datetime) -> str:
    # Rows that are written together share most of their times.
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")  # as Django's own adapter writes it


def keys(values: Iterable[int]) -> str:
    """Return keys as the one value that `= ANY(%s)` takes on PostgreSQL, and `json_each(%s)` on SQLite."""
    listed = ",".join(map(str, values))
    return f"[{listed}]" if connection.vendor == "sqlite" else f"{{{listed}}}"


def any_of(numbers: Iterable[int]) -> RawSQL:
    """Return the right side of an `__in` lookup for many numbers: one parameter, where Django prepares each of them."""
    if connection.vendor == "sqlite":
        return RawSQL("SELECT value FROM json_each(%s)", [keys(numbers)])
    return RawSQL("SELECT unnest(%s::bigint[])", [keys(numbers)])


def insert(model: Model, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert rows; `columns` are the model's attributes (`instance_id`) in the order of each row's values."""
    names = ", ".join(_names(model, columns))
    if connection.vendor == "sqlite":
        _execute(f"INSERT INTO {_table(model)} ({names}) {_values(columns)}", model, columns, rows)
    elif rows:
        statement = f"COPY {_table(model)} ({names}) FROM STDIN"
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)


def insert_new(rows: Sequence[models.Model]) -> None:
    """Insert unsaved models of one kind with all that they hold; keys of the database's own making stay unknown."""
    if not rows:
        return
    model = type(rows[0])
    written = model._meta.concrete_fields  # noqa: SLF001  (documented: Django's model API)
    fields = [field for field in written if not (field.primary_key and rows[0].pk is None)]
    columns = []
    for field in fields:
        values = [getattr(row, field.attname) for row in rows]
        if type(field) is models.DateTimeField:
            values = [db_timestamp(value) for value in values]
        elif type(field) not in AS_THEY_ARE:
            values = [field.get_db_prep_save(value, connection) for value in values]
        columns.append(values)
    insert(model, [field.attname for field in fields], list(zip(*columns, strict=True)))


def upsert(model: Model, columns: Sequence[str], rows: Sequence[Row], *, key: Sequence[str]) -> None:
    """Insert rows; of those that are there already by their `key` columns, overwrite the others."""
    names, of_key = _names(model, columns), _names(model, key)
    values = _values(columns) if connection.vendor == "sqlite" else f"SELECT * FROM {_arrays(model, columns)} AS given"  # noqa: S608  (the model's own names)
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in of_key)
    conflict = f"ON CONFLICT ({', '.join(of_key)}) DO UPDATE SET {changed}"
    _execute(f"INSERT INTO {_table(model)} ({', '.join(names)}) {values} {conflict}", model, columns, rows)


def insert_missing(model: Model, columns: Sequence[str], rows: Sequence[Row], *, key: Sequence[str]) -> None:
    """Insert those of these rows that are not there by their `key` columns; the others stay as they are, untouched."""
    names, of_key = ", ".join(_names(model, columns)), ", ".join(_names(model, key))
    values = _values(columns) if connection.vendor == "sqlite" else f"SELECT * FROM {_arrays(model, columns)} AS given"  # noqa: S608  (the model's own names)
    statement = f"INSERT INTO {_table(model)} ({names}) {values} ON CONFLICT ({of_key}) DO NOTHING"
    _execute(statement, model, columns, rows)


def update(model: Model, columns: Sequence[str], rows: Sequence[Row], *, key: str) -> None:
    """Write `columns` of the rows that there are; each row given ends with the value of its `key` column."""
    given, table = [*columns, key], _table(model)
    *names, by = _names(model, given)
    if connection.vendor == "sqlite":
        change = ", ".join(f"{name} = %s" for name in names)
        statement = f"UPDATE {table} SET {change} WHERE {by} = %s"  # noqa: S608  (the model's own names)
    else:
        change = ", ".join(f"{name} = new.{name}" for name in names)
        source = f"{_arrays(model, given)} AS new ({', '.join([*names, by])})"
        statement = f"UPDATE {table} SET {change} FROM {source} WHERE {table}.{by} = new.{by}"  # noqa: S608  (as above)
    _execute(statement, model, given, rows)


def update_returning(rows: models.QuerySet[Any], changes: Mapping[str, Any]) -> list[Any]:
    """Write `changes` (by field, as `QuerySet.update` takes them) to those of `rows` that nobody has locked.

    Returns their keys. One statement, a transaction by itself: Django's own ways take three, and one around them.
    """
    model = rows.model
    try:
        chosen, wanted = rows.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return []
    if connection.features.has_select_for_update_skip_locked:
        chosen += f" FOR UPDATE OF {_table(model)} SKIP LOCKED"  # and of no table that `rows` joins
    query = UpdateQuery(model)
    query.add_update_values(dict(changes))
    change, given = query.get_compiler(connection=connection).as_sql()
    key = connection.ops.quote_name(model._meta.pk.column)  # noqa: SLF001  (as below)
    with connection.cursor() as cursor:
        cursor.execute(f"{change} WHERE {key} IN ({chosen}) RETURNING {key}", [*given, *wanted])
        return [row[0] for row in cursor.fetchall()]


def _values(columns: Sequence[str]) -> str:
    return f"VALUES ({', '.join(['%s'] * len(columns))})"


def _execute(statement: str, model: Model, columns: Sequence[str], rows: Sequence[Row]) -> None:
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.executemany(statement, cast(Any, rows))  # Django's stubs leave out the bytes of a BLOB
        else:
            cursor.execute(
                statement, [_array(*pair) for pair in zip(_types(model, columns), zip(*rows, strict=True), strict=True)]
            )


def _array(kind: str, values: Row) -> list[Any]:
    if kind not in TEXTS:
        return list(values)
    # An array of texts is escaped by psycopg quote by quote, which for JSON costs more than all the rest.
    return [None if value is None else value.encode() for value in values]


def _arrays(model: Model, columns: Sequence[str]) -> str:
    kinds = _types(model, columns)
    unnested = ", ".join(f"%s::{'bytea' if kind in TEXTS else kind}[]" for kind in kinds)
    names = [f"c{place}" for place in range(len(kinds))]
    read = [
        f"convert_from({name}, 'UTF8')::{kind}" if kind in TEXTS else name
        for name, kind in zip(names, kinds, strict=True)
    ]
    return f"(SELECT {', '.join(read)} FROM unnest({unnested}) AS given ({', '.join(names)}))"  # noqa: S608  (as above)


def _types(model: Model, columns: Sequence[str]) -> list[str]:
    names = [_field(model, column).cast_db_type(connection) or "text" for column in columns]
    return ["text" if name.startswith("varchar") else name for name in names]  # a cast to varchar(n) cuts in silence


def _names(model: Model, columns: Sequence[str]) -> list[str]:
    return [connection.ops.quote_name(_field(model, column).column) for column in columns]


def _field(model: Model, column: str) -> Any:
    return model._meta.get_field(column)  # noqa: SLF001  (documented: Django's model API)


def _table(model: Model) -> str:
    return connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001  (as above)
