"""Counts of callbacks that only grow, over rows by the hour that retention deletes: what `/metrics` says of them.

A counter holds the sums of all hours before one (`upto`, in Unix seconds); a reading adds the rows from that hour on, a
few hours' worth from an index. A periodic job moves the counter on each minute. An hour is passed some minutes after it
ended: who counts goes by the hour in which he began.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Sum

from polling.models import CallbackCount, StoredCounter
from polling.reports.event_hours import hour_of

_NAME = "callbacks"
SETTLED = timedelta(minutes=10)

Totals = Counter[tuple[str, str]]
"""Counts by type and name."""


def callback_totals() -> Totals:
    """Return the counts of all callbacks there ever were."""
    counter = StoredCounter.objects.filter(name=_NAME).first() or StoredCounter(name=_NAME)
    return _stored(counter) + _counted(datetime.fromtimestamp(counter.upto, UTC), None)


@transaction.atomic
def advance(now: datetime) -> None:
    """Move the counter on to the last hour that is over."""
    StoredCounter.objects.bulk_create([StoredCounter(name=_NAME)], ignore_conflicts=True)
    counter = StoredCounter.objects.select_for_update().get(name=_NAME)
    begun, upto = datetime.fromtimestamp(counter.upto, UTC), hour_of(now - SETTLED)
    if upto <= begun:
        return
    totals = _stored(counter) + _counted(begun, upto)
    counter.upto = int(upto.timestamp())
    counter.counts = {"counts": [[*key, count] for key, count in sorted(totals.items())]}
    counter.save()


def _stored(counter: StoredCounter) -> Totals:
    return Counter({(type_, name): count for type_, name, count in counter.counts.get("counts", [])})


def _counted(since: datetime, until: datetime | None) -> Totals:
    rows = CallbackCount.objects.filter(hour__gte=since)
    if until is not None:
        rows = rows.filter(hour__lt=until)
    sums = rows.values_list("type", "name").annotate(n=Sum("count")).order_by()
    return Counter({(type_, name): count for type_, name, count in sums})
