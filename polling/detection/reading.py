"""Records as ConnectWise gave them → what the poll needs of each. Pure.

Nothing that a record holds can stall its resource: what can't be used is left out with a reason, which the run shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cwconnect.connectwise.hub_url import field_value
from instances.missing_fields import FieldsFound, fields_found
from instances.plans import OWN_STAMP, Plan
from polling.detection.changes import Seen, UnstorableError, digest, record_text

LONGEST_OBJECT_ID = 200  # Event.object_id
LARGEST_ID = 2**63 - 1  # a signed 64-bit column


@dataclass(frozen=True)
class RecordRead:
    """One usable record: what is compared, how the receiver knows it, and its JSON text."""

    seen: Seen
    object_id: str
    text: bytes
    record: dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """A page's usable records within the window, and a sentence for each record that is not whole."""

    records: list[RecordRead]
    problems: list[str]
    skipped: int
    newest: datetime | None
    fields: FieldsFound


class UnusableError(ValueError):
    """A record that can't become an event; the message says why."""


def read_records(
    records: Sequence[dict[str, Any]],
    plan: Plan,
    *,
    opening: datetime,
    closing: datetime | None,
    filter_nulls: bool,
    latest: datetime | None = None,
) -> Reading:
    """Read a page. `opening` is the window's, `closing` ConnectWise's clock when the run began, if it is known.

    Records outside the window are dropped as the plan's filters say; one without a date is kept, compared by content.
    `newest` of the reading is the newest stamp up to `latest`: one beyond it is a record's plain error.
    """
    usable: list[RecordRead] = []
    problems: list[str] = []
    skipped = 0
    newest: datetime | None = None
    for record in records:
        updated = _updated(record, plan, problems)
        if updated is not None:
            if latest is None or updated <= latest:
                newest = updated if newest is None else max(newest, updated)
            if plan.filter_by_updated and updated < opening:
                continue
            if plan.filter_by_current and closing is not None and updated > closing:
                continue
        try:
            usable.append(_read(record, plan, updated, problems, filter_nulls=filter_nulls))
        except (UnusableError, UnstorableError) as error:
            skipped += 1
            problems.append(f"Record {record.get('id')} was left out: {error}.")
    return Reading(usable, problems, skipped, newest, fields_found(records, plan))


def _read(
    record: dict[str, Any], plan: Plan, updated: datetime | None, problems: list[str], *, filter_nulls: bool
) -> RecordRead:
    record_id = record["id"]
    if not -LARGEST_ID <= record_id <= LARGEST_ID:
        raise UnusableError("its id is beyond 64 bits")
    created = _created(record, plan, problems)
    deleted = plan.honours_deleted_flag and record.get("deletedFlag") is True
    seen = Seen(record_id, updated, created, digest(record), deleted)
    text = record_text(record, keep_nulls=not filter_nulls)
    return RecordRead(seen, _object_id(record, plan.id_field, problems), text, record)


def _object_id(record: dict[str, Any], field: str, problems: list[str]) -> str:
    """Return the configured field's text, else the id: a wrong `idField` must not keep changes from being recorded."""
    value = field_value(record, field)
    text = object_id_of(value)
    if text is not None:
        return text
    lacks = value is None or isinstance(value, dict | list)
    why = "it has none" if lacks else f"it has over {LONGEST_OBJECT_ID} characters, or a NUL in it"
    problems.append(f"Record {record['id']}: its id is its objectId in place of {field!r}: {why}.")
    return str(record["id"])


def object_id_of(value: object) -> str | None:
    """Return the text by which a receiver knows a record, from the value of its id field; None if it can't be one."""
    if value is None or isinstance(value, dict | list):
        return None
    text = str(value)
    return None if len(text) > LONGEST_OBJECT_ID or "\x00" in text else text


def _updated(record: dict[str, Any], plan: Plan, problems: list[str]) -> datetime | None:
    stamp = plan.stamp(record)
    if stamp.problem:
        instead = "it was compared by its content" if stamp.at is None else f"{OWN_STAMP} was taken in its place"
        problems.append(f"Record {record.get('id')}{stamp.problem}; {instead}.")
    return stamp.at


def _created(record: dict[str, Any], plan: Plan, problems: list[str]) -> datetime | None:
    """Read when the record was created; None also where the same field stands in for the updated one.

    One field can't show what is new.
    """
    if plan.created is None or (plan.created.field == OWN_STAMP and plan.stamp(record).problem):
        return None
    try:
        return plan.created.read(record)
    except ValueError as error:
        problems.append(f"Record {record.get('id')}: {plan.created.field} can't be read as a date ({error}).")
        return None
