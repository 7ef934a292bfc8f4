"""What a filter makes of an instance's newest events, before anybody relies on it: for a page, a second at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from instances.models import Instance
from polling.filters.judging import Judgement
from polling.filters.reading import Filter
from polling.models import Event
from polling.reports.event_scan import judged

MOST: Final = 1000
SHOWN: Final = 20


@dataclass(frozen=True)
class TriedEvent:
    """An event, and what the filter says of it."""

    event: Event
    judgement: Judgement


@dataclass(frozen=True)
class TriedFilter:
    """How many of the newest events passed, of so many that were looked at; `unknown` passed unjudged.

    `before` is where the next look goes on; None: all that were wanted are looked at. `newest` are those of this look.
    """

    looked_at: int = 0
    passed: int = 0
    unknown: int = 0
    before: int | None = None
    oldest_at: datetime | None = None
    newest: list[TriedEvent] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to look at."""
        return self.before is None

    @property
    def left(self) -> int:
        """How many are left, at most."""
        return MOST - self.looked_at


def try_filter(instance: Instance, wanted: Filter, so_far: TriedFilter | None = None) -> TriedFilter:
    """Look at the newest `MOST` events of an instance, and go on where `so_far` ended; as far as a second comes."""
    tried = so_far or TriedFilter()
    rows = Event.objects.filter(instance=instance).order_by("-pk")
    newest: list[TriedEvent] = []
    for event, judgement, may_go_on in judged(rows, wanted, most=max(tried.left, 1), before=tried.before):
        tried = replace(
            tried,
            looked_at=tried.looked_at + 1,
            passed=tried.passed + judgement.passes,
            unknown=tried.unknown + bool(judgement.unknown),
            before=event.pk,
            oldest_at=event.polled_at,
        )
        if len(newest) < SHOWN:
            newest.append(TriedEvent(event, judgement))
        if not may_go_on:
            break
    else:
        return replace(tried, before=None, newest=newest)
    there_is_more = tried.looked_at < MOST and rows.filter(pk__lt=tried.before).exists()
    return replace(tried, before=tried.before if there_is_more else None, newest=newest)
