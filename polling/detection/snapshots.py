"""Known records: what was last read of each row, looked up and written by the page, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cwconnect.core.bulk_sql import upsert
from polling.detection.changes import Known
from polling.models import KnownBody, KnownRecord

KEY = ("resource_poll_id", "record_id")


@dataclass(frozen=True)
class Remembered:
    """What to remember of one row; `body` is its JSON text where bodies are kept, else None; `gone` a tombstone."""

    record_id: int
    stamp: int | None
    digest: bytes
    body: str | None
    gone: bool = False


def known_records(poll_id: int, record_ids: Collection[int]) -> dict[int, Known]:
    """Give what is known of those of `record_ids` that were ever read or counted."""
    rows = KnownRecord.objects.filter(resource_poll_id=poll_id, record_id__in=record_ids)
    return {
        record_id: Known(stamp, bytes(digest), gone)
        for record_id, stamp, digest, gone in rows.values_list("record_id", "stamp", "digest", "gone")
    }


def known_bodies(poll_id: int, record_ids: Collection[int]) -> Mapping[int, str]:
    """Give the last text of those of `record_ids` whose text was kept."""
    if not record_ids:
        return {}
    rows = KnownBody.objects.filter(resource_poll_id=poll_id, record_id__in=record_ids)
    return dict(rows.values_list("record_id", "body"))


def remember(poll_id: int, rows: Sequence[Remembered]) -> None:
    """Write what was read; a row remembered before is overwritten, a tombstone lives again unless `gone`."""
    if not rows:
        return
    records = [(poll_id, row.record_id, row.stamp, row.digest, row.gone) for row in rows]
    upsert(KnownRecord, (*KEY, "stamp", "digest", "gone"), records, key=KEY)
    bodies = [(poll_id, row.record_id, row.body) for row in rows if row.body is not None]
    upsert(KnownBody, (*KEY, "body"), bodies, key=KEY)
