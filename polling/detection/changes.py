"""What kind of change a record is: CREATED, UPDATED, DELETED by its flag, or nothing new. Pure.

The rules are the table of docs/architecture.md#what-kind-of-change.

A row of which a sweep read the id alone counts as never seen: the poll that first reads it gives CREATED above
the high-water id, UPDATED for a stamp from `since` on (or without a stamp, where ConnectWise's condition selected it),
and otherwise remembers it in silence.

Records compare by content (polling/field_changes.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from polling.field_changes import content_of

DIGEST_VERSION = 1
UNREAD = b"\x00"  # the digest of a row whose content was never read, or that is gone from ConnectWise
CONTENT_UNKNOWN = (
    b"\xff"  # of no version: the digest of a row that was recorded, and whose content is not known any more
)


class UnstorableError(ValueError):
    """A record that has no JSON text: an integer beyond 64 bits, a lone surrogate, nesting without end."""


@dataclass(frozen=True)
class Snapshot:
    """A record as last remembered: its stamp (Unix seconds), its digest, whether it was gone."""

    stamp: int | None
    digest: bytes
    gone: bool = False

    @property
    def unread(self) -> bool:
        """Whether only its id was ever read."""
        return self.digest == UNREAD and not self.gone


@dataclass(frozen=True)
class Seen:
    """A record as read now. `created` only where the configuration names a created field of its own.

    `deleted`: it carries ConnectWise's mark of a deleted company, and deletes are asked for.
    """

    record_id: int
    updated: datetime | None
    created: datetime | None
    digest: bytes
    deleted: bool = False

    @property
    def stamp(self) -> int | None:
        """The update stamp as Unix seconds: ConnectWise's granularity."""
        return None if self.updated is None else int(self.updated.timestamp())


@dataclass(frozen=True)
class Watch:
    """From when on a resource is watched, and what its owner wants to hear.

    `vouched`: ConnectWise's own condition chose what was read as changed in the window, so that a record without a
    stamp is recorded; what is read whatever its stamp says nothing by being there.
    """

    since: datetime
    high_water_id: int
    created_tolerance: timedelta = timedelta(0)
    ignore_empty_changes: bool = False
    vouched: bool = True

    def from_before(self, seen: Seen) -> bool:
        """Whether a record that was never seen is taken to be as it was before watching began."""
        return not self.vouched if seen.updated is None else seen.updated < self.since


@dataclass(frozen=True)
class Verdict:
    """What to record (`kind` is None for silence), what to remember, and if the content is known to be the same.

    `gone`: to be remembered as a tombstone.
    """

    kind: str | None
    remember: bool
    same_content: bool = False
    gone: bool = False


SILENCE = Verdict(None, remember=False)
REMEMBER = Verdict(None, remember=True)
TOMBSTONE = Verdict(None, remember=True, gone=True)
STAYS_TOMBSTONE = Verdict(None, remember=False, gone=True)


def judge(seen: Seen, snapshot: Snapshot | None, watch: Watch) -> Verdict:
    """Decide what `seen` means, given what was known of the record."""
    if seen.deleted:
        return _judge_deleted(seen, snapshot, watch)
    if snapshot is None or snapshot.unread:
        return _judge_new(seen, watch)
    if snapshot.gone:
        return Verdict("UPDATED", remember=True)
    moved = seen.stamp != snapshot.stamp
    if seen.digest[0] != snapshot.digest[0]:
        # Hashed by another version of this program: only the stamps can be compared.
        return Verdict("UPDATED", remember=True) if moved else REMEMBER
    if seen.digest != snapshot.digest:
        return Verdict("UPDATED", remember=True)
    if not moved:
        return SILENCE
    return REMEMBER if watch.ignore_empty_changes else Verdict("UPDATED", remember=True, same_content=True)


def _judge_new(seen: Seen, watch: Watch) -> Verdict:
    if seen.record_id > watch.high_water_id:
        return Verdict("CREATED", remember=True)
    if watch.from_before(seen):
        return REMEMBER
    created = seen.created
    if created is None:
        return Verdict("UPDATED", remember=True)
    at_once = seen.updated is not None and abs(seen.updated - created) <= watch.created_tolerance
    return Verdict("CREATED" if created >= watch.since or at_once else "UPDATED", remember=True)


def _judge_deleted(seen: Seen, snapshot: Snapshot | None, watch: Watch) -> Verdict:
    if snapshot is not None and snapshot.gone:
        # What happens to it in its grave is not followed: it is recorded once, and once more should it live again.
        return TOMBSTONE if snapshot.digest == UNREAD else STAYS_TOMBSTONE
    if snapshot is None or snapshot.unread:
        if seen.record_id > watch.high_water_id:
            return SILENCE  # never recorded, so there is nothing to take back; should it live again, it is CREATED
        if watch.from_before(seen):
            return TOMBSTONE
    return Verdict("DELETED", remember=True, gone=True)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _same(value: Any) -> Any:
    return value


def digest(record: Mapping[str, Any]) -> bytes:
    """Return 16 bytes: the digest's version and 15 bytes of BLAKE2b over the canonical content; UnstorableError."""
    canonical = _json(record, content_of, orjson.OPT_SORT_KEYS)
    return bytes([DIGEST_VERSION]) + hashlib.blake2b(canonical, digest_size=15).digest()


def record_text(record: Mapping[str, Any], *, keep_nulls: bool = True) -> bytes:
    """Return the record as JSON text, without null members at any depth on demand (`filter.response.nulls`).

    UnstorableError if it has none.
    """
    text = _json(record, _same, 0)
    # Most records hold no null, and looking for the word costs far less than walking over every value.
    return text if keep_nulls or b"null" not in text else _json(record, _without_nulls, 0)


def _json(value: Any, prepare: Callable[[Any], Any], option: int) -> bytes:
    try:
        return orjson.dumps(prepare(value), option=option)
    except (TypeError, RecursionError) as error:
        raise UnstorableError(f"it can't be written as JSON ({error})") from error
