"""Snapshots: what was last read of each row, looked up and written by the page, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q

from cwconnect.core.bulk_sql import any_of, insert_missing, upsert
from polling.detection.changes import UNREAD, Snapshot
from polling.models import RecordSnapshot, SnapshotBody

FEW = 20  # ids that may be parameters each
KEY = ("resource_poll_id", "record_id")


@dataclass(frozen=True)
class NewSnapshot:
    """What to remember of one row; `body` is its JSON text where bodies are kept, else None; `gone` a tombstone."""

    record_id: int
    stamp: int | None
    digest: bytes
    body: str | None
    gone: bool = False


def read_snapshots(poll_id: int, record_ids: Collection[int]) -> dict[int, Snapshot]:
    """Return what is known of those of `record_ids` that were ever read or counted."""
    return read_known({poll_id: record_ids})[poll_id]


def read_known(ids: Mapping[int, Collection[int]]) -> dict[int, dict[int, Snapshot]]:
    """Return what is known of these records of many polls, by poll and record id, of each poll given."""
    found: dict[int, dict[int, Snapshot]] = {poll_id: {} for poll_id in ids}
    rows = RecordSnapshot.objects.filter(of_records(ids)).values_list(*KEY, "stamp", "digest", "gone")
    for poll_id, record_id, stamp, digest, gone in rows:
        found[poll_id][record_id] = Snapshot(stamp, bytes(digest), gone)
    return found


def read_bodies(ids: Mapping[int, Collection[int]]) -> dict[int, dict[int, str]]:
    """Return the last texts of these records of many polls, by poll and record id, as far as they were kept."""
    found: dict[int, dict[int, str]] = {}
    if any(ids.values()):
        for poll_id, record_id, body in SnapshotBody.objects.filter(of_records(ids)).values_list(*KEY, "body"):
            found.setdefault(poll_id, {})[record_id] = body
    return found


def of_records(ids: Mapping[int, Collection[int]]) -> Q:
    """Return the condition of rows that belong to these records of polls."""
    if len(ids) == 1:
        ((poll_id, record_ids),) = ids.items()
        return Q(resource_poll_id=poll_id, record_id__in=any_of(record_ids) if len(record_ids) > FEW else record_ids)
    return Q(pk__in=[(poll_id, record_id) for poll_id, record_ids in ids.items() for record_id in record_ids])


def remember(poll_id: int, rows: Sequence[NewSnapshot]) -> None:
    """Write what was read; a row remembered before is overwritten, a tombstone lives again unless `gone`."""
    remember_all([(poll_id, row) for row in rows])


def remember_all(rows: Sequence[tuple[int, NewSnapshot]]) -> None:
    """Write what was read of many polls: their ids beside the rows."""
    if not rows:
        return
    records = [(poll_id, row.record_id, row.stamp, row.digest, row.gone) for poll_id, row in rows]
    upsert(RecordSnapshot, (*KEY, "stamp", "digest", "gone"), records, key=KEY)
    bodies = [(poll_id, row.record_id, row.body) for poll_id, row in rows if row.body is not None]
    upsert(SnapshotBody, (*KEY, "body"), bodies, key=KEY)


def meet(poll_id: int, record_ids: Collection[int]) -> None:
    """Remember those of these rows that nobody knows yet by their ids alone: they may be recorded as deleted one day.

    Beside whoever polls or sweeps the same rows: what others know, or write meanwhile, stays.
    """
    rows = [(poll_id, record_id, None, UNREAD, False) for record_id in sorted(record_ids)]
    insert_missing(RecordSnapshot, (*KEY, "stamp", "digest", "gone"), rows, key=KEY)
