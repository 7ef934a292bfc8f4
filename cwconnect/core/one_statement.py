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
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

Question = tuple[QuerySet[Any, Any], Sequence[str]]
"""A query, and the names of the fields and annotations that are asked of it."""
Row = dict[str, Any]
Value = int | datetime | Sequence[int] | None
_Place = tuple[str, int]
_NOBODY = 0  # fills lists of ids up, so that few lengths are compiled


@dataclass(frozen=True)
class _Statement:
    """A statement, its values, some of which stand for those of a call, and what it asks."""

    sql: str
    values: Sequence[Any]
    places: Mapping[Any, _Place]
    fields: Mapping[str, Sequence[str]]


class Questions:
    """Queries that are asked together; `build` makes them of the values that `ask` is given.

    `build` must use each value as it is: what is reckoned from one would be that of the first call for ever. A list of
    ids is for `in`; where a value is None, the queries may be others.
    """

    def __init__(self, build: Callable[..., Mapping[str, Question]]) -> None:
        self._build = build
        self._statements: dict[object, _Statement] = {}

    def ask(self, **values: Value) -> dict[str, list[Row]]:
        """Return the rows of each query by its name: one statement on Django's connection."""
        given = {name: _filled_up(value) for name, value in values.items()}
        shape = connection.vendor, *((name, _shape(value)) for name, value in given.items())
        statement = self._statements.get(shape) or self._statements.setdefault(shape, _compile(self._build, given))
        found: dict[str, list[Row]] = {name: [] for name in statement.fields}
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, [_value(each, statement.places, given) for each in statement.values])
            for name, columns in cursor.fetchall():
                read = json.loads(columns) if isinstance(columns, str) else columns
                found[name].append(dict(zip(statement.fields[name], read, strict=True)))
        return found


def time_of(text: str | None) -> datetime | None:
    """Return a time of a row."""
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _filled_up(value: Value) -> Value:
    if value is None or isinstance(value, int | datetime):
        return value
    return [*value, *[_NOBODY] * ((1 << len(value).bit_length()) - len(value))]


def _shape(value: Value) -> object:
    return len(value) if isinstance(value, Sequence) else type(value)


def _compile(build: Callable[..., Mapping[str, Question]], given: Mapping[str, Value]) -> _Statement:
    places: dict[Any, _Place] = {}
    questions = build(**{name: _marked(name, value, places) for name, value in given.items()})
    array = "jsonb_build_array" if connection.vendor == "postgresql" else "json_array"
    queries, rows, values = list[str](), list[str](), list[Any]()
    for name, (asked, fields) in questions.items():
        try:
            sql, of_query = asked.values_list(*fields).query.sql_with_params()
        except EmptyResultSet:  # Django knows that there is none
            continue
        columns = ", ".join(f"c{number}" for number in range(len(fields)))
        queries.append(f"{name} ({columns}) AS ({sql})")
        rows.append(f"SELECT '{name}', {array}({columns}) FROM {name}")  # noqa: S608  (the program's own names)
        values += of_query
    of_questions = {name: fields for name, (_, fields) in questions.items()}
    return _Statement(f"WITH {', '.join(queries)} {' UNION ALL '.join(rows)}", values, places, of_questions)


def _marked(name: str, value: Value, places: dict[Any, _Place]) -> Value:
    """Return what stands for a value while a statement is compiled, and note where its markers lead."""
    if value is None:
        return None
    if isinstance(value, datetime):
        moment = datetime(1900, 1, 1, tzinfo=UTC) + timedelta(days=len(places))
        places[_adapted(moment)] = (name, 0)
        return moment
    markers = [-(10**12) - len(places) - number for number in range(len(value) if isinstance(value, Sequence) else 1)]
    places |= {marker: (name, number) for number, marker in enumerate(markers)}
    return markers if isinstance(value, Sequence) else markers[0]


def _value(value: Any, places: Mapping[Any, _Place], given: Mapping[str, Value]) -> Any:
    """Return what a statement is given in the place of one of its values."""
    name, number = places.get(value, ("", 0))
    if not name:
        return value
    chosen = given[name]
    if isinstance(chosen, datetime):
        return _adapted(chosen)
    return chosen[number] if isinstance(chosen, Sequence) else chosen


def _adapted(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)
