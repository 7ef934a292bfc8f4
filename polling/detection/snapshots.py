"""Known records: what was last read of each row, looked up and written by the page, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cwconnect.core.bulk_sql import upsert
from polling.detection.changes import Snapshot
from polling.models import RecordSnapshot, SnapshotBody

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
    rows = RecordSnapshot.objects.filter(resource_poll_id=poll_id, record_id__in=record_ids)
    return {
        record_id: Snapshot(stamp, bytes(digest), gone)
        for record_id, stamp, digest, gone in rows.values_list("record_id", "stamp", "digest", "gone")
    }


def read_snapshot_bodies(poll_id: int, record_ids: Collection[int]) -> Mapping[int, str]:
    """Return the last text of those of `record_ids` whose text was kept."""
    if not record_ids:
        return {}
    rows = SnapshotBody.objects.filter(resource_poll_id=poll_id, record_id__in=record_ids)
    return dict(rows.values_list("record_id", "body"))


def remember(poll_id: int, rows: Sequence[NewSnapshot]) -> None:
    """Write what was read; a row remembered before is overwritten, a tombstone lives again unless `gone`."""
    if not rows:
        return
    records = [(poll_id, row.record_id, row.stamp, row.digest, row.gone) for row in rows]
    upsert(RecordSnapshot, (*KEY, "stamp", "digest", "gone"), records, key=KEY)
    bodies = [(poll_id, row.record_id, row.body) for row in rows if row.body is not None]
    upsert(SnapshotBody, (*KEY, "body"), bodies, key=KEY)
