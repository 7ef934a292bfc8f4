"""Counts that only grow, over rows that retention deletes: what `/metrics` says of polls, events and deliveries.

A counter holds the counts of all rows up to an id; a reading adds those after it, a few minutes' worth by primary key.
A periodic job moves the counters on each minute (`advance`). Rows come to an end out of order: those still open when
the counter passes them are remembered by id. Rows younger than `SETTLED` are never passed, for an id may become visible
after a larger one. So a reading costs the same whether the database holds a thousand rows or a hundred million.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Count, DurationField, ExpressionWrapper, F, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from polling.models import DeliveryAttempt, Event, PollRun, StoredCounter

SETTLED = timedelta(minutes=2)
STEP = 20_000
CUT_OFF = timedelta(minutes=10)  # an attempt without an end after this was cut off by a crash: POSTs are far shorter
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True)
class Source:
    """A table that is counted: when its rows begin and end, what distinguishes them, what is summed up."""

    name: str
    model: type[models.Model]
    began: str
    labels: tuple[str, ...]
    ended: Q = field(default_factory=Q)
    seconds: str = ""
    sums: tuple[str, ...] = ()
    may_be_cut_off: bool = False


RUNS = Source(
    "runs",
    PollRun,
    "started_at",
    ("kind", "status"),
    ~Q(status=PollRun.Status.OPEN),
    seconds="took",
    sums=("records", "skipped"),
)
ATTEMPTS = Source(
    "attempts",
    DeliveryAttempt,
    "started_at",
    ("status", "error_kind"),
    Q(finished_at__isnull=False),
    seconds="seconds",
    may_be_cut_off=True,
)
EVENTS = Source("events", Event, "polled_at", ("kind",))
SOURCES = (RUNS, ATTEMPTS, EVENTS)


@dataclass
class Reading:
    """Counts by label values, sums by column, and how many rows took at most so many seconds (cumulative)."""

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)
    within: list[int] = field(default_factory=lambda: [0] * len(SECONDS))
    seconds: float = 0.0
    timed: int = 0

    def add(self, other: Reading) -> None:
        """Add what another reading counted."""
        self.counts.update(other.counts)
        self.sums.update(other.sums)
        self.within = [a + b for a, b in zip(self.within, other.within, strict=True)]
        self.seconds += other.seconds
        self.timed += other.timed

    def as_json(self) -> dict[str, Any]:
        """Return what a counter stores."""
        return {
            "counts": [[list(key), count] for key, count in sorted(self.counts.items())],
            "sums": dict(self.sums),
            "within": self.within,
            "seconds": self.seconds,
            "timed": self.timed,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Reading:
        """Read what `as_json` gave; buckets of another version are begun anew."""
        if not stored:
            return cls()
        within = stored["within"]
        reading = cls(Counter({tuple(key): count for key, count in stored["counts"]}), Counter(stored["sums"]))
        if len(within) == len(SECONDS):
            reading.within, reading.seconds, reading.timed = within, stored["seconds"], stored["timed"]
        return reading


def read(source: Source, now: datetime) -> Reading:
    """Return the counts of all rows there ever were, to within the last advance."""
    counter = StoredCounter.objects.filter(name=source.name).first() or StoredCounter(name=source.name)
    reading = Reading.from_json(counter.counts)
    reading.add(_count(source, Q(pk__gt=counter.upto) | Q(pk__in=counter.open), now))
    return reading


def advance(now: datetime) -> None:
    """Move each counter on to the last settled row."""
    for source in SOURCES:
        while _advance(source, now):
            pass


@transaction.atomic
def _advance(source: Source, now: datetime) -> bool:
    """Move one counter on by `STEP` rows at most, so that other writers never wait long; give whether there is more."""
    StoredCounter.objects.bulk_create([StoredCounter(name=source.name)], ignore_conflicts=True)
    counter = StoredCounter.objects.select_for_update().get(name=source.name)
    settled = settled_upto(source, counter.upto, now)
    upto = step_on(_rows(source), counter.upto, settled, STEP)
    passed = Q(pk__gt=counter.upto, pk__lte=upto) | Q(pk__in=counter.open)
    reading = Reading.from_json(counter.counts)
    reading.add(_count(source, passed, now))
    counter.open = list(_rows(source).filter(passed).exclude(ended_by(source, now)).values_list("pk", flat=True))
    counter.upto, counter.counts = upto, reading.as_json()
    counter.save()
    return upto < settled


def step_on(rows: QuerySet[Any], after: int, last: int, step: int) -> int:
    """Return the id up to which there are `step` rows after that one, `last` at most.

    So many rows, not ids: those may have wide gaps (of a billion, after a restore).
    """
    later = rows.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)
    return min(last, later[step - 1 : step].first() or last)


def settled_upto(source: Source, upto: int, now: datetime) -> int:
    """Return the id up to which all rows after `upto` began before `SETTLED`."""
    later = _rows(source).filter(pk__gt=upto)
    young = later.filter(**{f"{source.began}__gt": now - SETTLED}).aggregate(first=Min("pk"))["first"]
    if young is not None:
        return int(young) - 1
    return int(later.aggregate(last=Max("pk"))["last"] or upto)


def _rows(source: Source) -> QuerySet[Any]:
    return source.model._default_manager.order_by()  # noqa: SLF001  (documented API of models)


def ended_by(source: Source, now: datetime) -> Q:
    """Return the condition of rows that came to an end, or never will."""
    if source.may_be_cut_off:
        return source.ended | Q(**{f"{source.began}__lt": now - CUT_OFF})
    return source.ended or Q(pk__isnull=False)


def _count(source: Source, which: Q, now: datetime) -> Reading:
    rows = _rows(source).filter(which).filter(ended_by(source, now))
    reading = Reading()
    sums = {f"sum_{name}": Coalesce(Sum(name), 0) for name in source.sums}
    for row in rows.values(*source.labels).annotate(rows=Count("pk"), **sums):
        reading.counts[tuple("" if row[name] is None else str(row[name]) for name in source.labels)] += row["rows"]
        reading.sums.update({name: row[f"sum_{name}"] for name in source.sums})
    if source.seconds:
        _time(rows, source.seconds, reading)
    return reading


def _time(rows: QuerySet[Any], column: str, reading: Reading) -> None:
    """Fill in the histogram, from a column of seconds or, as `took`, from the time between beginning and end."""
    if column == "took":
        rows = rows.annotate(took=ExpressionWrapper(F("finished_at") - F("started_at"), DurationField()))
    limits = [timedelta(seconds=limit) if column == "took" else limit for limit in SECONDS]
    buckets = {f"b{n}": Count("pk", filter=Q(**{f"{column}__lte": limit})) for n, limit in enumerate(limits)}
    found = rows.filter(**{f"{column}__isnull": False}).aggregate(timed=Count("pk"), total=Sum(column), **buckets)
    total = found["total"] or 0
    reading.within = [found[f"b{n}"] for n in range(len(SECONDS))]
    reading.seconds = total.total_seconds() if isinstance(total, timedelta) else float(total)
    reading.timed = found["timed"]
