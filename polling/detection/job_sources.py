"""Where the loop's further jobs come from: verifications, repairs, and what callbacks announced.

Nearly always none of them has any, and to ask each of them cost as much as half of the polls claimed beside. So one
statement asks for all of them which have anything due, and only those are asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, Value
from django.utils import timezone

from cwconnect.core.one_statement import Question, Questions
from polling.detection.jobs import Work

JobSource = Callable[[int, Collection[Work]], list[Work]]  # at most so many, beside those under way → claimed jobs
DueRows = Callable[[datetime], QuerySet[Any]]  # the rows without which a source has no job; they use the time as it is


class JobSources:
    """Sources that are asked at the same time, in the order in which they were added.

    To go through them is to ask which of them have something due: those come.
    """

    def __init__(self) -> None:
        self._sources: dict[str, tuple[JobSource, DueRows]] = {}
        self._questions = Questions(self._due_rows)

    def add(self, source: JobSource, due: DueRows) -> None:
        """Add a source that has jobs only where there are rows in `due`; before anybody asks."""
        self._sources[f"source{len(self._sources)}"] = source, due

    def __iter__(self) -> Iterator[JobSource]:
        return iter(self.with_work(timezone.now()))

    def with_work(self, now: datetime) -> list[JobSource]:
        """Return the sources that have something due: one statement, and none where there is no source."""
        found = self._questions.ask(now=now) if self._sources else {}
        return [self._sources[name][0] for name, rows in found.items() if rows]

    def _due_rows(self, now: datetime) -> dict[str, Question]:
        return {
            name: (due(now).order_by().annotate(there=Value(1))[:1], ["there"])
            for name, (_, due) in self._sources.items()
        }


_FIRST, _OTHERS = JobSources(), JobSources()


def register_job_source(source: JobSource, due: DueRows, *, first: bool = False) -> None:
    """Have the workers' loop claim jobs of a further kind, after polls and sweeps; sources are asked in this order.

    `first`: before those, since what the source does makes polls due.
    """
    (_FIRST if first else _OTHERS).add(source, due)


def registered() -> tuple[JobSources, JobSources]:
    """Return the sources to ask before polls are claimed, and those to ask after."""
    return _FIRST, _OTHERS
