"""The events of the last day, by hour and kind: counted once, as they come, by whichever worker's turn it is.

A periodic job counts what is new each minute (`advance`), per instance and per organization; polls and deliveries
neither write nor wait for it. A reading adds the events after the last one counted, a few minutes' worth by primary
key. So it costs the same whether a day has a thousand events or millions. Before the job has run for the first time
all are counted from the log (hours.py).

A day is the hour under way and the 23 before it. An organization's counts keep the events of instances deleted since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Count, F, Func, Max, Min, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from cwconnect.core.bulk_sql import db_timestamp, upsert
from cwconnect.core.one_statement import Question, Row, time_of
from polling.log.event_ids import complete_upto
from polling.models import Event, InstanceHour, OrganizationHour, StoredCounter
from polling.reports.counters import step_on

HOURS = 24
HOUR = timedelta(hours=1)
KINDS = tuple(Event.Kind.values)
_COLUMNS = tuple(kind.lower() for kind in KINDS)
STEP = 20_000
_NAME = "hours"


@dataclass(frozen=True)
class HourCount:
    """The events of one hour, in the order of `KINDS`."""

    start: datetime
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """Of all kinds."""
        return sum(self.counts)


class HourText(Func):
    """The hour of a time as text, `2026-11-24 12`, in UTC: Django's own `TruncHour` runs in Python on SQLite."""

    template = "SUBSTR(%(expressions)s, 1, 13)"
    output_field = models.CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Sequence[Any]]:
        """Return the SQL for PostgreSQL, whose times are no text."""
        form = "to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24')"
        return self.as_sql(compiler, connection, template=form, **context)


def hour_of(moment: datetime) -> datetime:
    """Return when the hour of a time begins."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hours_until(now: datetime) -> list[datetime]:
    """Return the starts of the day's hours, the one under way last."""
    return [hour_of(now) - number * HOUR for number in reversed(range(HOURS))]


def counted_upto() -> int | None:
    """Return the last event that is counted; None before the job has run, when events are counted from the log."""
    return _counters().values_list("upto", flat=True).first()


def counter_question() -> dict[str, Question]:
    """Return the query of what `counted_upto` returns, which has no row before the job has run."""
    return {"counter": (_counters(), ("upto",))}


def _counters() -> QuerySet[StoredCounter]:
    return StoredCounter.objects.filter(name=_NAME)


def _newer(events: QuerySet[Event], day: datetime, upto: int) -> QuerySet[Event]:
    """Return the day's events that are not counted yet.

    That is looked up by the same statement as the counts, for they may have moved on since `upto` was read. It is by
    `upto` that a planner knows how few there are; and that one column stands for the other keeps it off the index of
    all events by time.
    """
    newer = events.filter(pk__gt=upto).filter(pk__gt=Subquery(_counters().values("upto")[:1]))
    return newer.annotate(seen=Coalesce("polled_at", "occurred_at")).filter(seen__gte=day)


def event_questions(keys: Collection[int], day: datetime, upto: int | None) -> dict[str, Question]:
    """Return the queries that `events_of` reads: how many events of these instances the day has that began then."""
    events = Event.objects.filter(instance__in=keys)
    hours = InstanceHour.objects.filter(instance__in=keys, hour__gte=day)
    newer = events.filter(polled_at__gte=day) if upto is None else _newer(events, day, upto)
    by_instance = ("instance_id", "n")
    return {
        "counted_events": (hours.values("instance_id").annotate(n=Sum("events")).order_by(), by_instance),
        "newer_events": (newer.values("instance_id").annotate(n=Count("pk")).order_by(), by_instance),
    }


def events_of(found: Mapping[str, Sequence[Row]]) -> Counter[int]:
    """Return the events of a day by instance."""
    counts: Counter[int] = Counter()
    for row in (*found["counted_events"], *found["newer_events"]):
        counts[row["instance_id"]] += row["n"]
    return counts


def hour_questions(organization: int, day: datetime, upto: int) -> dict[str, Question]:
    """Return the queries that `hours_from` reads: an organization's events by hour and kind."""
    hours = OrganizationHour.objects.filter(organization=organization, hour__gte=day)
    newer = _newer(Event.objects.filter(instance__organization=organization), day, upto)
    return {"counted_hours": (hours, ("hour", *_COLUMNS)), "newer_hours": (by_hour(newer), ("hour", "kind", "n"))}


def by_hour(events: QuerySet[Event], *more: str) -> QuerySet[Any, Any]:
    """Return how many events (`n`) of each kind each hour has, kept apart by `more` fields too: as tuples."""
    hours = events.annotate(hour=HourText(F("polled_at"))).values_list(*more, "hour", "kind")
    return hours.annotate(n=Count("pk")).order_by()


def hours_from(found: Mapping[str, Sequence[Row]], now: datetime) -> list[HourCount]:
    """Return the hours of the day."""
    counts: dict[datetime, list[int]] = {start: [0] * len(KINDS) for start in hours_until(now)}
    for row in found["counted_hours"]:
        _add(counts, time_of(row["hour"]), [row[column] for column in _COLUMNS])
    for row in found["newer_hours"]:
        _add(counts, start_of(row["hour"]), [row["n"] * (row["kind"] == kind) for kind in KINDS])
    return [HourCount(start, tuple(each)) for start, each in counts.items()]


def start_of(hour: str) -> datetime:
    """Return when an hour begins whose text `HourText` gave."""
    return datetime.fromisoformat(f"{hour}:00+00:00")


def _add(counts: Mapping[datetime, list[int]], start: datetime | None, more: Iterable[int]) -> None:
    if start is not None and start in counts:  # what is older than the day may still stand there
        counts[start][:] = [a + b for a, b in zip(counts[start], more, strict=True)]


def advance(now: datetime) -> None:
    """Count what is new, and forget what is older than a day."""
    while _advance(now):
        pass
    for model in (InstanceHour, OrganizationHour):
        model.objects.filter(hour__lt=_oldest(now)).delete()


def _oldest(now: datetime) -> datetime:
    return hours_until(now)[0] - 2 * HOUR


@transaction.atomic
def _advance(now: datetime) -> bool:
    """Count `STEP` events at most, so that other writers never wait long; give whether there are more."""
    if counted_upto() is None:
        of_the_day = Event.objects.filter(polled_at__gte=_oldest(now)).aggregate(first=Min("pk"))["first"]
        before = int(of_the_day) - 1 if of_the_day else _last_event()
        StoredCounter.objects.bulk_create([StoredCounter(name=_NAME, upto=before)], ignore_conflicts=True)
    counter = StoredCounter.objects.select_for_update().get(name=_NAME)
    complete = complete_upto()
    last = max(counter.upto, _last_event() if complete is None else complete)
    upto = step_on(Event.objects.all(), counter.upto, last, STEP)
    _count(Event.objects.filter(pk__gt=counter.upto, pk__lte=upto, polled_at__gte=_oldest(now)))
    counter.upto = upto
    counter.save()
    return upto < last


def _last_event() -> int:
    return int(Event.objects.aggregate(last=Max("pk"))["last"] or 0)


def _count(events: QuerySet[Event]) -> None:
    owned = events.filter(instance__organization__isnull=False)
    of_instances: Counter[tuple[int, datetime]] = Counter()
    of_organizations: Counter[tuple[int, datetime, str]] = Counter()
    for instance, organization, hour, kind, count in by_hour(owned, "instance_id", "instance__organization_id"):
        of_instances[instance, start_of(hour)] += count
        of_organizations[organization, start_of(hour), kind] += count
    _add_to_instances(of_instances)
    _add_to_organizations(of_organizations)


def _add_to_instances(new: Counter[tuple[int, datetime]]) -> None:
    known = InstanceHour.objects.filter(instance__in={key for key, _ in new}, hour__in={hour for _, hour in new})
    for key, hour, events in known.values_list("instance_id", "hour", "events"):
        if (key, hour) in new:
            new[key, hour] += events
    rows = [(key, db_timestamp(hour), events) for (key, hour), events in new.items()]
    upsert(InstanceHour, ("instance_id", "hour", "events"), rows, key=("instance_id", "hour"))


def _add_to_organizations(new: Counter[tuple[int, datetime, str]]) -> None:
    keys = {(key, hour) for key, hour, _ in new}
    known = OrganizationHour.objects.filter(
        organization__in={key for key, _ in keys}, hour__in={hour for _, hour in keys}
    )
    for key, hour, *counts in known.values_list("organization_id", "hour", *_COLUMNS):
        if (key, hour) in keys:
            new.update({(key, hour, kind): count for kind, count in zip(KINDS, counts, strict=True)})
    rows = [(key, db_timestamp(hour), *(new[key, hour, kind] for kind in KINDS)) for key, hour in keys]
    upsert(OrganizationHour, ("organization_id", "hour", *_COLUMNS), rows, key=("organization_id", "hour"))
