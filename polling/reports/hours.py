"""Events per hour of the last day, by kind: what the overview draws.

Until they are counted as they come (event_hours.py), they are counted from the log: hours that are over don't change,
so each process counts them once and remembers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.cache import cache

from cwconnect.core.plain_cache import RedisError
from instances.models import Organization
from polling.models import Event
from polling.reports.event_hours import HOUR, HOURS, KINDS, HourCount, by_hour, hours_until, start_of

_SETTLED = timedelta(minutes=5)  # a page committed late carries the time at which the poll saw it
_KEPT_SECONDS = 26 * 3600
_COUNTS = re.compile(rf"[0-9]{{1,12}}(?:,[0-9]{{1,12}}){{{len(KINDS) - 1}}}")


def hours_of(organization: Organization, now: datetime) -> list[HourCount]:
    """Count the last 24 hours from the log: one query, of few events from the second time on."""
    keys = {start: _key(organization, start) for start in hours_until(now)}
    known = _known(keys)
    missing = [start for start in keys if start not in known]
    counted = _count(organization, missing[0], now)
    found = {start: counted.get(start, (0,) * len(KINDS)) for start in missing}
    _keep({keys[start]: counts for start, counts in found.items() if start + HOUR + _SETTLED < now})
    return [HourCount(start, (known | found)[start]) for start in keys]


def _known(keys: Mapping[datetime, str]) -> dict[datetime, tuple[int, ...]]:
    """Return the hours that are remembered; none where Redis is away, and without what does not read as counts."""
    try:
        kept = cache.get_many(list(keys.values()))
    except RedisError:
        return {}
    sound = {start: str(kept[key]) for start, key in keys.items() if _COUNTS.fullmatch(str(kept.get(key, "")))}
    return {start: tuple(map(int, text.split(","))) for start, text in sound.items()}


def _keep(counts: Mapping[str, Sequence[int]]) -> None:
    with suppress(RedisError):  # it is away: counted anew next time
        cache.set_many({key: ",".join(map(str, of_kinds)) for key, of_kinds in counts.items()}, _KEPT_SECONDS)


def _key(organization: Organization, start: datetime) -> str:
    return f"events-{organization.pk}-{organization.created_at.timestamp()}-{start:%Y%m%d%H}"


def _count(organization: Organization, first: datetime, now: datetime) -> dict[datetime, tuple[int, ...]]:
    events = Event.objects.filter(instance__organization=organization, polled_at__gte=first, polled_at__lte=now)
    found: dict[datetime, list[int]] = {}
    for hour, kind, count in by_hour(events):
        found.setdefault(start_of(hour), [0] * len(KINDS))[KINDS.index(kind)] = count
    return {hour: tuple(counts) for hour, counts in found.items()}


@dataclass(frozen=True)
class Segment:
    """One kind's part of a bar, in the drawing's units."""

    kind: str
    count: int
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """One hour."""

    start: datetime
    counts: tuple[int, ...]
    total: int
    x: float
    segments: tuple[Segment, ...]
    labelled: bool


@dataclass(frozen=True)
class Chart:
    """A drawing of 24 bars: 720 wide, its bars between the heights 12 and 132. `top` is the highest line's value."""

    bars: tuple[Bar, ...]
    top: int
    kinds: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """All events of the day."""
        return sum(count for _, count in self.kinds)


_BASE, _HEIGHT, _STEP, _LEFT = 132.0, 120.0, 27.0, 64.0


def chart_of(hours: Sequence[HourCount], kinds: Sequence[str] = KINDS) -> Chart:
    """Lay out the bars, each of which stacks the counts of these kinds. Pure."""
    top = round_up(max((hour.total for hour in hours), default=0))
    bars = tuple(_bar(number, hour, top, kinds) for number, hour in enumerate(hours))
    sums = tuple((kind, sum(hour.counts[place] for hour in hours)) for place, kind in enumerate(kinds))
    return Chart(bars, top, sums)


def round_up(value: int) -> int:
    """Return the next of 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, …: a top line whose half is whole."""
    power = 1
    while power * 10 < value:
        power *= 10
    return next(top for top in (2 * power, 4 * power, 6 * power, 8 * power, 10 * power) if top >= value)


def _bar(number: int, hour: HourCount, top: int, kinds: Sequence[str]) -> Bar:
    y, segments = _BASE, []
    for kind, count in zip(kinds, hour.counts, strict=True):
        height = round(count / top * _HEIGHT, 2)
        y = round(y - height, 2)
        if count:
            segments.append(Segment(kind, count, y, height))
    return Bar(hour.start, hour.counts, hour.total, _LEFT + number * _STEP, tuple(segments), number % 4 == HOURS % 4)
