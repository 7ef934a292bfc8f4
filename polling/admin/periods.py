"""The drill-down by date above a long list: years, months, days that have rows.

Django's own reads the whole table to find them (a DISTINCT over a million times: 0.8 s); here each is asked for by a
look into the index of times, in one query of 31 looks at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, Max, Min, Model
from django.utils import timezone
from django.utils.dateformat import format as written

LEVELS = ("year", "month", "day")
_TITLES = {"year": "Y", "month": "F Y", "day": "j F"}
MOST = 40


@dataclass(frozen=True)
class Step:
    """A link of the drill-down: its words, and the query that it stands for; None where one already is."""

    title: str
    query: Mapping[str, int] | None


@dataclass(frozen=True)
class Drilldown:
    """The way back, if there is one, and the periods to choose from."""

    back: Step | None
    choices: tuple[Step, ...]


def drill_down(model: type[Model], field: str, chosen: Mapping[str, int]) -> Drilldown | None:
    """Return the steps from the period chosen so far (`year`, `month`, `day`); None if there is no row at all."""
    start = period_of(chosen)[0] if chosen else None
    if "day" in chosen:
        assert start is not None  # noqa: S101  (there is a day)
        back = Step(_title(start, "month"), {key: chosen[key] for key in LEVELS[:2]})
        return Drilldown(back, (Step(_title(start, "day"), None),))
    rows = model._default_manager.order_by()  # noqa: SLF001  (documented API of models)
    # One after the other: asked for both at once, SQLite reads the whole index.
    ends = [rows.aggregate(end=Min(field))["end"], rows.aggregate(end=Max(field))["end"]]
    if None in ends:
        return None
    first, last = map(timezone.localtime, ends)
    inside = dict(chosen) or _common(first, last)
    level = LEVELS[len(inside)]
    return Drilldown(_back(chosen), tuple(_with_rows(model, field, _candidates(level, inside, first, last))))


def period_of(chosen: Mapping[str, int]) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a year, month or day of the current zone; ValueError."""
    start = datetime(chosen["year"], chosen.get("month", 1), chosen.get("day", 1))  # noqa: DTZ001  (made aware below)
    if "day" in chosen:
        end = start + timedelta(days=1)
    elif "month" in chosen:
        end = (start + timedelta(days=32)).replace(day=1)
    else:
        end = start.replace(year=start.year + 1)
    return timezone.make_aware(start), timezone.make_aware(end)


def _common(first: datetime, last: datetime) -> dict[str, int]:
    """Begin where there is a choice, as Django does: in the month if all rows are of one."""
    if first.year != last.year:
        return {}
    same = {"year": first.year}
    return same | {"month": first.month} if first.month == last.month else same


def _back(chosen: Mapping[str, int]) -> Step | None:
    if not chosen:
        return None
    if "month" in chosen:
        return Step(str(chosen["year"]), {"year": chosen["year"]})
    return Step("All dates", {})


def _candidates(level: str, inside: dict[str, int], first: datetime, last: datetime) -> list[dict[str, int]]:
    """Return the periods of a level within the one chosen that the table reaches into, the newest forty."""
    spans = {"year": range(first.year, last.year + 1), "month": range(1, 13), "day": range(1, 32)}
    found = []
    for number in spans[level]:
        try:
            start, end = period_of(inside | {level: number})
        except ValueError:  # the 31st of a short month
            continue
        if start <= last and end > first:
            found.append(inside | {level: number})
    return found[-MOST:]


def _with_rows(model: type[Model], field: str, candidates: list[dict[str, int]]) -> list[Step]:
    rows: Any = model._default_manager.order_by()  # noqa: SLF001  (documented API of models)
    looks = {
        f"p{place}": Exists(rows.filter(**{f"{field}__gte": start, f"{field}__lt": end}))
        for place, (start, end) in enumerate(map(period_of, candidates))
    }
    seen = rows.order_by("-pk").annotate(**looks).values_list(*looks).first() or ()
    return [
        Step(_title(period_of(candidate)[0], LEVELS[len(candidate) - 1]), candidate)
        for candidate, there in zip(candidates, seen, strict=False)
        if there
    ]


def _title(start: datetime, level: str) -> str:
    return written(timezone.localtime(start), _TITLES[level])
