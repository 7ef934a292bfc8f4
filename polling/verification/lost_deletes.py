"""Deletes that were lost: rows gone from ConnectWise of which a receiver last heard that they live.

| What is there | What was lost |
|---|---|
| a row recorded as deleted by a sweep, of which no delete is the last event | its DELETED event |
| a row recorded and not known, of which no delete is the last event | its snapshot, by which a sweep would miss it |

A row that is known to live and gone is none of them: the next sweep records it. Nor is what was recorded before
watching began, maybe anew; and events older than the retention may have been pruned, a delete among them.

To repair one, it is known again as a row that lives, with the last text that the event log has, and a sweep that begins
at once does what sweeps do: it misses the row, confirms that, minds the guard against mass deletes, records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max

from instances.models import ResourcePoll
from polling.detection.changes import UNREAD
from polling.detection.deletes.missing_records import missing_records
from polling.detection.snapshots import read_snapshots
from polling.models import Event, RecordSnapshot

SLICE = 5000


@dataclass(frozen=True)
class Gone:
    """Rows that a page of the source lacks: those whose delete was lost, and how many the next sweep will record."""

    lost: Sequence[int]
    coming: int


def find_gone(
    poll: ResourcePoll, there: Collection[int], *, after: int, upto: int | None, recorded_from: datetime
) -> Gone:
    """Look at what is recorded of rows from beyond `after` to `upto` (None: to the last), of which `there` still are.

    `recorded_from`: a delete that was recorded before need not be in the log any more.
    """
    lost: list[int] = []
    coming = 0
    for ids in _recorded(poll.pk, after, upto):
        away = [record_id for record_id in ids if record_id not in there]
        lost += lost_among(poll, away, recorded_from=recorded_from)
        living = RecordSnapshot.objects.filter(resource_poll=poll, record_id__in=away, gone=False)
        decided = missing_records(poll.pk).filter(record_id__in=away)
        coming += living.exclude(record_id__in=decided.values("record_id")).count()
    return Gone(lost, coming)


def lost_among(poll: ResourcePoll, ids: Sequence[int], *, recorded_from: datetime) -> list[int]:
    """Return those of `ids`, all gone from ConnectWise, whose delete was lost."""
    last = _last_recorded(poll.pk, ids)
    known = read_snapshots(poll.pk, ids)
    first = int(recorded_from.timestamp())
    found = []
    for record_id in ids:
        row = known.get(record_id)
        kind, recorded_at = last.get(record_id, (None, None))
        swept = row is not None and row.gone and row.digest == UNREAD and row.stamp is not None and row.stamp >= first
        unknown = row is None and recorded_at is not None and recorded_at >= recorded_from
        if kind != Event.Kind.DELETED and (swept or unknown):
            found.append(record_id)
    return found


def _recorded(poll_id: int, after: int, upto: int | None) -> Iterator[list[int]]:
    """Return the ids of snapshots and of rows recorded, in their order, at most 10,000 at a time."""
    while True:
        known = RecordSnapshot.objects.filter(resource_poll_id=poll_id, record_id__gt=after)
        events = Event.objects.filter(resource_poll_id=poll_id, record_id__gt=after)
        if upto is not None:
            known, events = known.filter(record_id__lte=upto), events.filter(record_id__lte=upto)
        first = list(known.order_by("record_id").values_list("record_id", flat=True)[:SLICE])
        second = list(events.order_by("record_id").values_list("record_id", flat=True).distinct()[:SLICE])
        # No further than both lists are whole.
        end = min((ids[-1] for ids in (first, second) if len(ids) == SLICE), default=None)
        ids = sorted({*first, *second})
        if end is None:
            yield ids
            return
        yield [record_id for record_id in ids if record_id <= end]
        after = end


def _last_recorded(poll_id: int, ids: Sequence[int]) -> dict[int, tuple[str, datetime]]:
    """Return kind and time of the last event of each row that was recorded."""
    log = Event.objects.filter(resource_poll_id=poll_id, record_id__in=ids).order_by()
    last = log.values("record_id").annotate(last=Max("pk")).values("last")
    rows = Event.objects.filter(pk__in=last).values_list("record_id", "kind", "polled_at")
    return {record_id: (kind, polled_at) for record_id, kind, polled_at in rows}
