"""The event log read forward by a filter, bounded: so many rows, bytes and seconds a call, none of them read twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from polling.filters.judging import Facts, Judgement, judge
from polling.filters.reading import Filter
from polling.models import Event

MOST_ROWS: Final = 2_000
_FIRST, _SLICE = 10, 100  # rows that are read at once
_MOST_CHARACTERS: Final = 4_000_000  # of records and changes that were read
_SECONDS: Final = 1.0  # of judging; what a record of the longest kind takes is beyond it


@dataclass(frozen=True, slots=True)
class Found:
    """An event and what the filter says of it."""

    event: Event
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Scan:
    """What passed, in the log's order; the last id that was read, and whether there is more behind it."""

    found: list[Found]
    last: int
    more: bool


def scan(rows: QuerySet[Event], wanted: Filter, *, after: int, limit: int) -> Scan:
    """Read on from an id until `limit` events have passed, a bound is reached, or the rows end."""
    passed: list[Found] = []
    for event, judgement, may_go_on in judged(rows.order_by("pk"), wanted, most=MOST_ROWS, after=after):
        after = event.pk
        if judgement.passes:
            passed.append(Found(event, judgement))
        if len(passed) == limit or not may_go_on:
            return Scan(passed, after, rows.filter(pk__gt=after).exists())
    return Scan(passed, after, more=False)


def judged(
    rows: QuerySet[Event], wanted: Filter, *, most: int, after: int | None = None, before: int | None = None
) -> Iterator[tuple[Event, Judgement, bool]]:
    """Return events in the order of `rows`, by id either way, with what a filter says, and whether a bound lets go on.

    `most` events at most.
    """
    until, characters, count, size = time.monotonic() + _SECONDS, 0, 0, _FIRST
    while True:
        step = {"pk__gt": after} if after is not None else {} if before is None else {"pk__lt": before}
        size = min(size, most - count)
        part = list(rows.filter(**step)[:size])
        for event in part:
            characters, count = characters + len(event.record) + len(event.changes or ""), count + 1
            judgement = judge(wanted, Facts(event.object_type, event.kind, event.record, event.changes))
            may_go_on = count < most and characters < _MOST_CHARACTERS and time.monotonic() < until
            yield event, judgement, may_go_on
            if not may_go_on:
                return
        if len(part) < size:
            return
        # No more than the bound allows, if those that follow are as long: a record may have a million characters.
        size = min(_SLICE, 1 + (_MOST_CHARACTERS - characters) * count // max(characters, 1))
        after, before = (None, part[-1].pk) if after is None else (part[-1].pk, None)
