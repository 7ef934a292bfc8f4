"""Several queries by one statement: however many questions a page asks, the way to the database is gone once.

Each query stays what Django makes of it and becomes a common table expression; its rows come back as JSON, so times are
texts (`time_of`) and, from SQLite, booleans are 0 and 1. The rows of one query come in any order.

To build and compile such queries takes ten times as long as to run them, and they are the same each time but for a few
values. So it is done once a process, with a marker in the place of each value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, overload

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

Question = tuple[QuerySet[Any, Any], Sequence[str]]
"""A query, and the names of the fields and annotations that are asked of it."""
Row = dict[str, Any]
Value = int | datetime | Sequence[int] | None
_LIST = "/* {} */"  # stands for a list of ids


@dataclass(frozen=True)
class _Statement:
    """A statement, its values, of which some stand for those of a call, and what it asks."""

    sql: str
    values: Sequence[Any]
    names: Mapping[Any, str]
    fields: Mapping[str, Sequence[str]]


class Questions:
    """Queries that are asked together; `build` makes them of the values that `ask` is given.

    `build` must use each value as it is: what is reckoned from one would be that of the first call for ever. A list of
    ids comes as an expression for `in`; where a value is None, the queries may be others.
    """

    def __init__(self, build: Callable[..., Mapping[str, Question]]) -> None:
        self._build = build
        self._statements: dict[object, _Statement] = {}

    def ask(self, **values: Value) -> dict[str, list[Row]]:
        """Return the rows of each query by its name: one statement on Django's connection."""
        shape = connection.vendor, *((name, type(value)) for name, value in values.items())
        statement = self._statements.get(shape) or self._statements.setdefault(shape, _compile(self._build, values))
        names = statement.names
        given = [_adapted(values[names[each]]) if each in names else each for each in statement.values]
        with connection.cursor() as cursor:
            cursor.execute(_with_lists(statement.sql, values), given)
            answers = {name: json.loads(rows or "[]") for name, rows in cursor.fetchall()}
        return {
            name: [dict(zip(fields, row, strict=True)) for row in answers.get(name, [])]
            for name, fields in statement.fields.items()
        }


@overload
def time_of(text: str) -> datetime: ...
@overload
def time_of(text: str | None) -> datetime | None: ...
def time_of(text: str | None) -> datetime | None:
    """Read a time that a statement gave as text, which costs a tenth of what Django's own reading does."""
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _compile(build: Callable[..., Mapping[str, Question]], given: Mapping[str, Value]) -> _Statement:
    names: dict[Any, str] = {}
    questions = build(**{name: _marked(name, value, names) for name, value in given.items()})
    rows_of = "json_agg(json_build_array({}))::text" if _on_postgresql() else "json_group_array(json_array({}))"
    queries, rows, values = list[str](), list[str](), list[Any]()
    for name, (asked, fields) in questions.items():
        try:
            sql, of_query = asked.values_list(*fields).query.sql_with_params()
        except EmptyResultSet:  # Django knows that there is none
            continue
        columns = ", ".join(f"c{number}" for number in range(len(fields)))
        queries.append(f"{name} ({columns}) AS ({sql})")
        rows.append(f"SELECT '{name}', {rows_of.format(columns)} FROM {name}")  # noqa: S608  (the program's own names)
        values += of_query
    of_questions = {name: fields for name, (_, fields) in questions.items()}
    return _Statement(f"WITH {', '.join(queries)} {' UNION ALL '.join(rows)}", values, names, of_questions)


def _marked(name: str, value: Value, names: dict[Any, str]) -> Any:
    """Return what stands for a value while a statement is compiled, and note which is meant by it."""
    if value is None:
        return None
    if isinstance(value, datetime):
        moment = datetime(1900, 1, 1, tzinfo=UTC) + timedelta(days=len(names))
        names[_adapted(moment)] = name
        return moment
    if isinstance(value, int):
        marker = -(10**12) - len(names)
        names[marker] = name
        return marker
    return RawSQL(_LIST.format(name), [])  # noqa: S611  (the name of an argument)


def _with_lists(sql: str, values: Mapping[str, Value]) -> str:
    """Return the statement with its lists of ids written out, by which planners know how few there are."""
    for name, value in values.items():
        if isinstance(value, Sequence):
            sql = sql.replace(_LIST.format(name), ", ".join(str(int(each)) for each in value) or "NULL")
    return sql


def _adapted(value: Value) -> Any:
    """Return a value as the statement is given it."""
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def _on_postgresql() -> bool:
    return connection.vendor == "postgresql"
