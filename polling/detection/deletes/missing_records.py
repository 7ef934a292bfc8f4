"""Rows that sweeps did not find: the comparison of a page of ids with what is known, and how many wait for what.

Everything here runs in the caller's transaction. Snapshots are compared slice by slice, so that memory stays bounded
however many there are; what is found lives in the table, so that a sweep cut off goes on from its page.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from django.db import connection
from django.db.models import Count, QuerySet

from cwconnect.core.bulk_sql import keys
from cwconnect.core.statements import AMONG, rows_of
from polling.detection.changes import CONTENT_UNKNOWN, UNREAD
from polling.detection.snapshots import meet
from polling.models import Health, MissingRecord, RecordSnapshot

Status = MissingRecord.Status
SLICE = 5000
_HOLDING = """SELECT DISTINCT resource_poll_id FROM polling_missingrecord
WHERE status = 'held' AND resource_poll_id {among}
"""


def missing_records(poll_id: int, *statuses: MissingRecord.Status) -> QuerySet[MissingRecord]:
    """Return a poll's missing records of these statuses, all if none is named."""
    rows = MissingRecord.objects.filter(resource_poll_id=poll_id)
    return rows.filter(status__in=statuses) if statuses else rows


def counts(poll_id: int) -> dict[str, int]:
    """Return how many rows there are of each status that has any."""
    return dict(missing_records(poll_id).values_list("status").annotate(n=Count("record_id")).order_by())


def calm_health(poll_id: int) -> Health:
    """Return the health of a poll that nothing is wrong with: held while deletes wait for a person."""
    return Health.HELD if missing_records(poll_id, Status.HELD).exists() else Health.HEALTHY


def calm_healths(poll_ids: Collection[int]) -> dict[int, Health]:
    """Return `calm_health` of many polls at once."""
    held = {poll_id for (poll_id,) in rows_of(_HOLDING.format(among=AMONG[connection.vendor]), [keys(poll_ids)])}
    return {poll_id: Health.HELD if poll_id in held else Health.HEALTHY for poll_id in poll_ids}


def compare(poll_id: int, ids: Collection[int], *, after: int, upto: int | None, high_water_id: int) -> None:
    """Compare the ids of a page with the rows known from beyond `after` to `upto` (None: to the last one known).

    Snapshots that the page lacks become missing records, tombstones that it has are noted as back, and ids at or below
    the high-water id that nobody has read are remembered by their id alone: they stood there, and may be recorded as
    deleted one day. Those above it are left to the poll, which has to record them first.
    """
    seen = set(ids)
    noted = missing_records(poll_id).filter(record_id__gt=after)
    if ids and (noted if upto is None else noted.filter(record_id__lte=upto)).exists():
        noted.filter(record_id__in=list(ids)).exclude(status=Status.BACK).delete()
    unknown = {record_id for record_id in seen if record_id <= high_water_id}
    for rows in _known_slices(poll_id, after, upto):
        unknown.difference_update(record_id for record_id, _, _ in rows)
        missed = [record_id for record_id, gone, _ in rows if not gone and record_id not in seen]
        # Recorded as deleted by a sweep: it has its tombstone, or was to be recorded once more.
        away = {number for number, gone, digest in rows if digest == CONTENT_UNKNOWN or (gone and digest == UNREAD)}
        note_missing(poll_id, missed, Status.MISSED)
        note_missing(poll_id, sorted(away & seen), Status.BACK)
    meet(poll_id, unknown)


def _known_slices(poll_id: int, after: int, upto: int | None) -> Iterator[Sequence[tuple[int, bool, bytes]]]:
    """Return id, whether it is gone, and the digest, of at most 5,000 snapshots at a time."""
    rows = RecordSnapshot.objects.filter(resource_poll_id=poll_id).order_by("record_id")
    if upto is not None:
        rows = rows.filter(record_id__lte=upto)
    while True:
        found = [
            (record_id, gone, bytes(digest))
            for record_id, gone, digest in rows.filter(record_id__gt=after).values_list("record_id", "gone", "digest")[
                :SLICE
            ]
        ]
        if found:
            yield found
        if len(found) < SLICE:
            return
        after = found[-1][0]


def note_missing(poll_id: int, ids: Sequence[int], status: MissingRecord.Status) -> None:
    """Note these rows as missed, or as back."""
    # One that is there already was held, released or dismissed at an earlier sweep, and stays what it is.
    MissingRecord.objects.bulk_create(
        [MissingRecord(resource_poll_id=poll_id, record_id=record_id, status=status) for record_id in ids],
        ignore_conflicts=True,
    )
