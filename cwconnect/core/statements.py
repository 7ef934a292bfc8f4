"""Statements written out, where the same are run at every look of a loop: what they are run by.

By Django's query sets a look of the delivery loop took sixteen statements, and compiling them cost 5 ms, more than one
POST; that of the poll loop cost as much as the requests it led to. Written out they name tables and columns as the
models do, and run on Django's connection, in the caller's transaction where there is one. Keys go into a statement as
one value, so that its text is always the same.

On SQLite there is one writer and no round trip, so there each step is a statement of its own; on PostgreSQL a round
trip and a transaction are what costs, so steps that need no newer view of the rows are one statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connection
from django.db.models import QuerySet

Rows = list[tuple[Any, ...]]
Condition = tuple[str, tuple[Any, ...]]
AMONG = {"postgresql": "= ANY(%s)", "sqlite": "IN (SELECT value FROM json_each(%s))"}
"""What asks by vendor whether a column's value is among `keys` (bulk_sql), to stand behind the column."""
GIVEN = {"postgresql": "unnest(%s::bigint[]) AS given (value)", "sqlite": "json_each(%s) AS given"}
"""What by vendor makes rows of `keys`, each a `given.value`, to stand behind FROM."""


def rows_of(statement: str | Mapping[str, str], parameters: Sequence[Any]) -> Rows:
    """Run a statement, where there are several that of the database's vendor, and return all its rows."""
    text = statement if isinstance(statement, str) else statement[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)
        return list(cursor.fetchall())


def condition_of(among: QuerySet[Any]) -> Condition:
    """Return what `among` asks of its rows, to stand behind other conditions, and its values.

    ValueError where it asks something of other rows.
    """
    compiler = among.query.get_compiler(connection=connection)
    try:
        text, values = compiler.compile(among.query.where)
    except FullResultSet:
        return "", ()
    except EmptyResultSet:
        return " AND 1 = 0", ()
    if sum(count > 0 for count in among.query.alias_refcount.values()) > 1:
        raise ValueError("What is claimed among must be said of its rows alone.")
    return f" AND {text}", tuple(values)
