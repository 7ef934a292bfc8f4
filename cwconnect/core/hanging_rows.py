"""What hangs on each row of a list, read with it by the same statement: all of it as a value, or that there is some."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import Aggregate, Q, QuerySet, Subquery, TextField
from django.db.models.lookups import IsNull


class _Rows(Aggregate):
    """Rows as JSON text, a list of lists, in any order; so times are texts, and booleans of SQLite 0 and 1."""

    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:  # Django's signature
        """Write it for SQLite."""
        template = "json_group_array(json_array(%(expressions)s))"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:  # Django's signature
        """Write it for PostgreSQL."""
        template = "json_agg(json_build_array(%(expressions)s))::text"
        return self.as_sql(compiler, connection, template=template, **context)


def there_is(rows: QuerySet[Any]) -> Q:
    """Return the condition that there is such a row, asked row by row of the outer query.

    By a scalar subquery, which PostgreSQL can't turn around: of one in EXISTS it may read all rows first.
    """
    return Q(IsNull(Subquery(rows.order_by().values("pk")[:1]), False))


def rows_in(rows: QuerySet[Any], by: str, *columns: str) -> Subquery:
    """Return these columns of rows as an expression, read by `read_rows`; all rows have the same value in `by`."""
    return Subquery(rows.order_by().values(by).annotate(in_one=_Rows(*columns)).values("in_one"))


def read_rows(text: str | None) -> Sequence[Sequence[Any]]:
    """Return the rows that such an expression gave."""
    found: list[list[Any]] = json.loads(text or "[]")
    return found
