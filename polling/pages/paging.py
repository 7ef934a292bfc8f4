"""Pages of long lists, newest first: by the last id shown, so that the thousandth costs what the first does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Shown(Generic[Row]):
    """The rows of one page, and the query of the next; empty where there is none."""

    rows: list[Row]
    next_query: str
    is_first: bool


def page_of(rows: QuerySet[Row], query: Mapping[str, Any], size: int) -> Shown[Row]:
    """Return the rows after the id `before` of the query; `rows` are ordered by falling id."""
    before = str(query.get("before", ""))
    asked = before.isdecimal() and len(before) < 19
    if asked:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: size + 1])
    kept = {key: value for key, value in query.items() if key != "before" and value}
    following = urlencode(kept | {"before": found[size - 1].pk}) if len(found) > size else ""
    return Shown(found[:size], following, not asked)
