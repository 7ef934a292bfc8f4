"""ConnectWise's answers as Python values: JSON read safely, lists as pages of records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from cwconnect.connectwise.json_lists import (
    LARGEST_ID,
    JsonError,
    Mended,
    Unreadable,
    as_utf8,
    parse_elements,
    parse_text,
)

__all__ = [
    "JsonError",
    "Listing",
    "Page",
    "Record",
    "TooManyValuesError",
    "make_page",
    "parse_json",
    "parse_list",
    "read_date",
]

Record = dict[str, Any]
MOST_VALUES = 2_000_000  # a page of 1,000 records has some 300,000
_STRUCTURE = (b",", b"[", b"{")  # one at least for each value; those within texts count too
_SURELY_FEW = MOST_VALUES  # bytes


class TooManyValuesError(JsonError):
    """A text of so many small values that reading it would take many times its size."""


@dataclass(frozen=True)
class Page:
    """One page of a list, read forward by id.

    `records` can all be written as JSON again and carry an integer `id`. `skipped` says in words which elements had to
    be left out, `notes` which were read although they are no clean JSON. `last_id` is where the next page begins;
    `date` is ConnectWise's clock (aware, UTC), or None. `ends`: the site says that no page follows. A page without any
    element is the last one in any case.
    """

    records: list[Record]
    date: datetime | None
    last_id: int
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ends: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it has no element at all."""
        return not self.records and not self.skipped

    @property
    def is_last(self) -> bool:
        """Whether the list ends with it."""
        return self.ends or self.is_empty


@dataclass(frozen=True)
class Listing:
    """One page of a list as a reader asked for it. `next_params` are the query of the next one, None on the last."""

    records: list[Record]
    next_params: Mapping[str, str] | None
    date: datetime | None


def parse_json(body: bytes) -> Any:
    """Read JSON; raises `JsonError`, and nothing else, for what is none (NaN, Infinity, bombs of brackets).

    Each value costs some 70 bytes once read, so 64 MB of `{},{},…` would cost gigabytes: `TooManyValuesError` for more
    than two million. Of a key given twice the last value counts, as everywhere. Half a surrogate pair, which JSON can
    write and no database stores, becomes U+FFFD, so that one odd name does not hold up a resource.
    """
    _check_size(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return parse_text(as_utf8(body).decode())
        except UnicodeDecodeError as error:
            raise JsonError(f"It is no UTF-8: {error.reason}.") from None


def parse_list(body: bytes) -> Any:
    """Read JSON as `parse_json` does; in a list, elements that are no clean JSON become `Mended` or `Unreadable`.

    Of `null`, which some sites send for an empty page, comes an empty list.
    """
    _check_size(body)
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return parse_elements(body)
    return [] if found is None else found


def _check_size(body: bytes) -> None:
    if len(body) > _SURELY_FEW and sum(map(body.count, _STRUCTURE)) > MOST_VALUES:
        raise TooManyValuesError(f"It holds more than {MOST_VALUES:,} values.")


def read_date(header: str | None) -> datetime | None:
    """Read a `Date` header as an aware UTC time; None if there is none that can be read."""
    try:
        moment = parsedate_to_datetime(header or "")
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def make_page(elements: list[Any], *, after_id: int, date: datetime | None, ends: bool = False) -> Page:
    """Sort a list's elements into records and what must be skipped. `ends`: the site says that no page follows.

    A record that stands there twice in a row is taken once. Raises `ValueError`, with a sentence, for a page that does
    not lead on from `after_id`: its ids go back, or no element has one. Reading on from such a page would skip rows or
    never end.
    """
    records, skipped, notes, last_id = [], [], [], after_id
    for element in elements:
        record = element.value if isinstance(element, Mended) else element
        record_id, reason = _identify(record)
        if record_id is not None:
            if record_id < last_id:
                raise ValueError(f"id {record_id} follows {last_id}; the list is not in the order of its ids.")
            if record_id == last_id:
                reason = f"record {last_id} stands there again"
            last_id = record_id
        if reason is None and (reason := _unstorable(record)) is None:
            records.append(record)
            if record is not element:
                notes.append(f"record {record_id} is no clean JSON, and was read all the same")
        else:
            skipped.append(reason)
    if elements and last_id == after_id:
        raise ValueError(f"no element of the page has a usable id: {skipped[0]}")
    return Page(records=records, date=date, last_id=last_id, skipped=skipped, notes=notes, ends=ends)


def _identify(element: Any) -> tuple[int | None, str | None]:
    """Return an element's id, if it has a usable one, and why it can't be used, if so."""
    if isinstance(element, Unreadable):
        name = "a record without an id" if element.record_id is None else f"record {element.record_id}"
        return element.record_id, f"{name} can't be read: {element.reason}"
    reason = _missing_id(element)
    return (element["id"], None) if reason is None else (None, reason)


def _missing_id(element: Any) -> str | None:
    if not isinstance(element, dict):
        return f"an element is no object: {str(element)[:80]}"
    number = element.get("id")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= LARGEST_ID:
        return f"a record has no usable integer id: {str(number)[:80]}"
    return None


def _unstorable(record: Record) -> str | None:
    try:
        orjson.dumps(record)
    except (TypeError, RecursionError) as error:
        return f"record {record['id']} can't be stored: {error}"
    return None
