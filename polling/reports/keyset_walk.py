"""Pages of a table that grows without end, newest first, each at a bounded cost.

Ids grow with time, so a page goes on below the last id shown. What is looked for may be rare: then a page looks through
`SLICE` ids at most, says how far it came, and the next goes on from there. So no page counts, none reads the whole
table, and one of a long list costs what any other does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db.models import F, Max, Model, QuerySet

from cwconnect.core.time import shifted

SLICE = 5000
LISTED = 2000
_BATCH = 1000
_DISORDER = timedelta(minutes=5)  # ids and times grow together, but for transactions side by side
_MARGIN = 50

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Stretch(Generic[Row]):
    """A page of rows; `next_before` continues it. `looked_to`: the id down to which all was looked through, if less."""

    rows: list[Row]
    next_before: int | None
    looked_to: int | None = None


@dataclass(frozen=True)
class KeysetWalk:
    """How a table is walked: the column of its time, from when to when, and whether slices keep a page short.

    `sliced` is for conditions that no index of ids answers. The rows themselves must be narrowed to the times too: here
    these only say at which ids to begin and to end.
    """

    time: str
    since: datetime | None = None
    until: datetime | None = None
    sliced: bool = True
    slice: int = field(
        default_factory=lambda: SLICE
    )  # how many ids a page looks through, fewer where a look at each costs more


def walk(rows: QuerySet[Row], how: KeysetWalk, *, before: int | None, size: int) -> Stretch[Row]:
    """Return the newest `size` of these rows, of those with ids below `before` if given: three queries at most."""
    table = rows.model._default_manager.order_by()  # noqa: SLF001  (documented API of models)
    top = before if before is not None else _upper(table, how)
    if top is None:
        return Stretch([], None)
    bottom = max(0, top - how.slice) if how.sliced else _lower(table, how, top)
    found = list(rows.filter(pk__lt=top, pk__gte=bottom).order_by("-pk")[: size + 1])
    if len(found) > size:
        return Stretch(found[:size], found[size - 1].pk)
    if not how.sliced or bottom == 0 or _is_past(table, how, bottom):
        return Stretch(found, None)
    return Stretch(found, bottom, bottom)


@dataclass(frozen=True)
class Listed:
    """The keys of the few rows that may match, as an index lists them; `column` of `rows` is the key.

    Rows of others, and such as don't match, may be among them. `also` are rows that list keys by the same column.
    """

    rows: QuerySet[Any]
    column: str = "pk"
    also: QuerySet[Any] | None = None

    def newest(self, *, below: int | None, since: int, most: int) -> list[int]:
        """Return the newest of these keys, `most` at most, of those from `since` on."""
        bounds = {f"{self.column}__gte": since} | ({} if below is None else {f"{self.column}__lt": below})
        keys, *others = (
            rows.filter(**bounds).order_by().annotate(key=F(self.column)).values_list("key", flat=True).distinct()
            for rows in (self.rows, self.also)
            if rows is not None
        )
        return list(keys.union(*others).order_by("-key")[:most] if others else keys.order_by("-key")[:most])


def walk_listed(rows: QuerySet[Row], listed: Listed, how: KeysetWalk, *, before: int | None, size: int) -> Stretch[Row]:
    """Return the newest `size` of these rows as `walk` does, where an index lists the few keys that may match.

    A page looks at `LISTED` keys at most: five queries at most.
    """
    top, bottom = bounds_of(rows, how, before=before)
    if top is None:
        return Stretch([], None)
    keys = listed.newest(below=top, since=bottom, most=LISTED + 1)
    found = list(rows.filter(pk__in=keys[:LISTED]).order_by("-pk")[: size + 1])
    if len(found) > size:
        return Stretch(found[:size], found[size - 1].pk)
    if len(keys) <= LISTED:
        return Stretch(found, None)
    return Stretch(found, keys[LISTED - 1], keys[LISTED - 1])


def bounds_of(rows: QuerySet[Any], how: KeysetWalk, *, before: int | None = None) -> tuple[int | None, int]:
    """Return an id above all rows that a walk concerns and one at or below; None for the first if there is none."""
    table = rows.model._default_manager.order_by()  # noqa: SLF001  (documented API of models)
    top = before if before is not None else _upper(table, how)
    return top, 0 if top is None else _lower(table, how, top)


def walk_all(rows: QuerySet[Row], how: KeysetWalk, listed: Listed | None = None) -> Iterator[Row]:
    """Return all of these rows, newest first, holding a thousand at a time.

    Each thousand is a query of its own: no transaction and no cursor stays open while whoever asks is slow to read.
    """
    before: int | None = None
    while True:
        if listed is None:
            stretch = walk(rows, how, before=before, size=_BATCH)
        else:
            stretch = walk_listed(rows, listed, how, before=before, size=_BATCH)
        yield from stretch.rows
        if stretch.next_before is None:
            return
        before = stretch.next_before


def _upper(table: QuerySet[Any], how: KeysetWalk) -> int | None:
    """Return an id above every row from before `until`, None if there is none."""
    if how.until is None:
        newest = table.aggregate(pk=Max("pk"))["pk"]
        return None if newest is None else newest + 1
    near = table.filter(**{f"{how.time}__lt": shifted(how.until, _DISORDER)}).order_by(f"-{how.time}")
    newest = near.values_list("pk", flat=True).first()
    return None if newest is None else newest + _MARGIN + 1


def _lower(table: QuerySet[Any], how: KeysetWalk, top: int) -> int:
    """Return an id below every row from `since` on; `top` if there is none.

    Without it a page that `since` leaves short would read on through all that is older. Of many rows that were written
    at one moment any may be the first, so it lies further below than they are many.
    """
    if how.since is None:
        return 0
    near = table.filter(**{f"{how.time}__gte": shifted(how.since, -_DISORDER)}).order_by(how.time)
    oldest = near.values_list("pk", flat=True).first()
    return top if oldest is None else max(0, oldest - SLICE)


def _is_past(table: QuerySet[Any], how: KeysetWalk, bottom: int) -> bool:
    """Whether all rows below an id are from before `since`, or there are none."""
    below = table.filter(pk__lt=bottom).order_by("-pk").values_list(how.time, flat=True).first()
    return below is None or (how.since is not None and below < shifted(how.since, -_DISORDER))
