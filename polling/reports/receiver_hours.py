"""What tries at each receiver came to, and how long they took, by hour of the last day.

A periodic job counts the attempts that have settled (`advance`, each minute), as counters.py does: those still under
way when the counter passes them are remembered by id. A reading adds what is not counted yet, a few minutes' worth by
primary key. Deliveries neither write nor wait for it.

How long tries took is kept as counts by bucket, each a fifth wider than the one before: so a percentile is known to
within a tenth, and hours can be put together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil, floor, log

import orjson
from django.db import transaction
from django.db.models import Min, Q, QuerySet

from cwconnect.core.bulk_sql import db_timestamp, upsert
from polling.delivery.breaker import known_receivers
from polling.models import DeliveryAttempt, Receiver, ReceiverHour, StoredCounter
from polling.reports.counters import ATTEMPTS, ended_by, settled_upto, step_on
from polling.reports.event_hours import HOUR, HourCount, hour_of, hours_until
from polling.reports.hours import Chart, chart_of

OUTCOMES = ("delivered", "failed", "given up")
STEP = 5000
WIDER = 1.2
_NAME = "receiver hours"
_LEAST = 0.001  # seconds
_COLUMNS = ("delivered", "failed", "given_up", "took")


@dataclass
class Tries:
    """Tries by outcome, in the order of `OUTCOMES`, and counts of how long they took, by bucket."""

    outcomes: list[int] = field(default_factory=lambda: [0] * len(OUTCOMES))
    took: Counter[int] = field(default_factory=Counter)

    def add(self, other: Tries) -> None:
        """Add what another counted."""
        self.outcomes = [a + b for a, b in zip(self.outcomes, other.outcomes, strict=True)]
        self.took.update(other.took)

    def seconds(self, share: float) -> float | None:
        """Return within how many seconds, to within a tenth, that share of the tries ended; None without any."""
        rank, passed = ceil(share * self.took.total()), 0
        for bucket, count in sorted(self.took.items()):
            passed += count
            if passed >= rank:
                return float(_LEAST * WIDER ** (bucket + 0.5))
        return None

    @property
    def p50(self) -> float | None:
        """Within how many seconds half of them ended."""
        return self.seconds(0.5)

    @property
    def p95(self) -> float | None:
        """Within how many seconds 95 of a hundred ended."""
        return self.seconds(0.95)


def bucket_of(seconds: float) -> int:
    """Return the bucket of a duration: bucket 0 begins at a millisecond, which whatever is shorter is taken for."""
    return floor(log(max(seconds, _LEAST) / _LEAST, WIDER))


Key = tuple[int, str, datetime]
"""An organization's id, a receiver's URL and the beginning of an hour."""


def count_tries(attempts: QuerySet[DeliveryAttempt]) -> dict[Key, Tries]:
    """Count attempts by organization, URL and hour. One that was cut off by a crash failed, nobody knows how soon."""
    columns = ("notification__instance__organization_id", "url", "started_at", "finished_at", "error_kind", "gave_up")
    found: dict[Key, Tries] = {}
    for organization, url, began, ended, failure, last, seconds in attempts.values_list(*columns, "seconds"):
        if organization is None:  # its instance was deleted
            continue
        one = found.setdefault((organization, url, hour_of(began)), Tries())
        one.outcomes[2 if last else 1 if failure or ended is None else 0] += 1
        if seconds is not None:
            one.took[bucket_of(seconds)] += 1
    return found


def advance(now: datetime) -> None:
    """Count what has settled since, and forget what is older than a day."""
    while _advance(now):
        pass
    ReceiverHour.objects.filter(hour__lt=_oldest(now)).delete()


def _oldest(now: datetime) -> datetime:
    return hours_until(now)[0] - 2 * HOUR


@transaction.atomic
def _advance(now: datetime) -> bool:
    """Count `STEP` attempts at most, so that other writers never wait long; give whether there are more."""
    rows = DeliveryAttempt.objects.order_by()
    if not StoredCounter.objects.filter(name=_NAME).exists():
        first = rows.filter(started_at__gte=_oldest(now)).aggregate(first=Min("pk"))["first"]
        newest = rows.order_by("-pk").values_list("pk", flat=True).first() or 0
        upto = newest if first is None else first - 1
        StoredCounter.objects.bulk_create([StoredCounter(name=_NAME, upto=upto)], ignore_conflicts=True)
    counter = StoredCounter.objects.select_for_update().get(name=_NAME)
    settled = settled_upto(ATTEMPTS, counter.upto, now)
    upto = step_on(rows, counter.upto, settled, STEP)
    passed = rows.filter(Q(pk__gt=counter.upto, pk__lte=upto) | Q(pk__in=counter.open))
    ended = ended_by(ATTEMPTS, now)
    _write(count_tries(passed.filter(ended, started_at__gte=_oldest(now))))
    counter.open = list(passed.exclude(ended).values_list("pk", flat=True))
    counter.upto = upto
    counter.save()
    return upto < settled


def _write(found: Mapping[Key, Tries]) -> None:
    """Add these counts to the rows of their receivers."""
    receivers = known_receivers({(organization, url) for organization, url, _ in found})
    new = {
        (receivers[organization, url], hour): counts
        for (organization, url, hour), counts in found.items()
        if (organization, url) in receivers
    }
    hours = {hour for _, hour in new}
    stored = ReceiverHour.objects.filter(receiver__in={key for key, _ in new}, hour__in=hours)
    for row in stored:
        if (row.receiver_id, row.hour) in new:
            new[row.receiver_id, row.hour].add(_tries_of(row))
    rows = [
        (receiver, db_timestamp(hour), *counts.outcomes, _as_json(counts.took))
        for (receiver, hour), counts in new.items()
    ]
    upsert(ReceiverHour, ("receiver_id", "hour", *_COLUMNS), rows, key=("receiver_id", "hour"))


def _tries_of(row: ReceiverHour) -> Tries:
    took = Counter({int(bucket): count for bucket, count in orjson.loads(row.took).items()})
    return Tries([row.delivered, row.failed, row.given_up], took)


def _as_json(took: Mapping[int, int]) -> str:
    return orjson.dumps({str(bucket): count for bucket, count in sorted(took.items())}).decode()


@dataclass(frozen=True)
class HourOfReceiver:
    """One hour."""

    start: datetime
    tries: Tries


def receiver_hours(receiver: Receiver, now: datetime) -> list[HourOfReceiver] | None:
    """Return what tries at a receiver came to in each hour of the day, the hour under way last: three queries.

    None before the job has run for the first time.
    """
    found = hours_of_receivers([receiver], now)
    return None if found is None else found[receiver.pk]


def hours_of_receivers(receivers: Collection[Receiver], now: datetime) -> dict[int, list[HourOfReceiver]] | None:
    """Return that of each of these receivers by its id: three queries, however many there are.

    They are of one organization. None before the job has run for the first time.
    """
    counter = StoredCounter.objects.filter(name=_NAME).first()
    if counter is None:
        return None
    found = {each.pk: {start: Tries() for start in hours_until(now)} for each in receivers}
    day = hours_until(now)[0]
    for row in ReceiverHour.objects.filter(receiver__in=list(found), hour__gte=day):
        _add(found[row.receiver_id], row.hour, _tries_of(row))
    newer = DeliveryAttempt.objects.filter(Q(pk__gt=counter.upto) | Q(pk__in=counter.open), started_at__gte=day)
    by_url = {(each.organization_id, each.url): each.pk for each in receivers}
    organizations = {each.organization_id for each in receivers}
    ours = newer.filter(url__in=[url for _, url in by_url], notification__instance__organization__in=organizations)
    for (organization, url, start), counts in count_tries(ours.filter(ended_by(ATTEMPTS, now)).order_by()).items():
        _add(found[by_url[organization, url]], start, counts)
    return {key: [HourOfReceiver(start, counts) for start, counts in hours.items()] for key, hours in found.items()}


def _add(found: Mapping[datetime, Tries], start: datetime, counts: Tries) -> None:
    if start in found:
        found[start].add(counts)


def in_all(hours: Iterable[HourOfReceiver]) -> Tries:
    """Return what all of these hours came to."""
    whole = Tries()
    for hour in hours:
        whole.add(hour.tries)
    return whole


def outcomes_of(hours: Sequence[HourOfReceiver]) -> Chart:
    """Return the drawing of what tries came to in each of these hours."""
    return chart_of([HourCount(each.start, tuple(each.tries.outcomes)) for each in hours], OUTCOMES)


def milliseconds(hours: Sequence[HourOfReceiver]) -> list[tuple[int, int]]:
    """Return of each hour its p50, and by how much its p95 is more, in whole milliseconds: what a drawing stacks."""
    pairs = [(round(1000 * (each.tries.p50 or 0)), round(1000 * (each.tries.p95 or 0))) for each in hours]
    return [(p50, max(p95 - p50, 0)) for p50, p95 in pairs]
