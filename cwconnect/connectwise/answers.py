"""ConnectWise's answers as Python values: JSON read safely, lists as pages of records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import orjson

from cwconnect.connectwise.json_lists import (
    LARGEST_ID,
    BrokenListError,
    JsonError,
    Mended,
    Unreadable,
    as_utf8,
    parse_elements,
    parse_text,
)

__all__ = [
    "BrokenListError",
    "JsonError",
    "Listing",
    "NoUsableIdError",
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
    be left out, `notes` which were read although they are no clean JSON. `last_id` is where the next page begins: the
    last id that could be read. `date` is ConnectWise's clock (aware, UTC) before the first of them was read, or None.
    `ends`: the site says that no page follows. A page without any element is the last one in any case. `requests` is
    how many it took. `unread` are the ids of what was skipped, where a reader asked for them.
    """

    records: list[Record]
    date: datetime | None
    last_id: int
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ends: bool = False
    requests: int = 1
    unread: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it has no element at all."""
        return not self.records and not self.skipped

    @property
    def is_last(self) -> bool:
        """Whether the list ends with it."""
        return self.ends or self.is_empty


class NoUsableIdError(ValueError):
    """A page of a list of which no element has an id that can be read; `guess`: the page by its texts alone."""

    def __init__(self, guess: Page) -> None:
        super().__init__(f"no element of the page has a usable id: {guess.skipped[0]}")
        self.guess = guess


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


@lru_cache(maxsize=1024)  # all answers of a second have the same
def read_date(header: str | None) -> datetime | None:
    """Read a `Date` header as an aware UTC time; None if there is none that can be read."""
    try:
        moment = parsedate_to_datetime(header or "")
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def make_page(elements: list[Any], *, after_id: int, date: datetime | None, ends: bool = False) -> Page:
    """Sort a list's elements into records and what must be skipped. `ends`: the site says that no page follows.

    A record that stands there twice in a row is taken once. What has no id that can be read is skipped where a record
    with one follows, or nothing more; else the next page begins with it. Raises `ValueError`, with a sentence, for a
    page that does not lead on from `after_id`: its ids go back, or no element has one (`NoUsableIdError`). Reading on
    from such a page would skip rows or never end.
    """
    records, skipped, notes, last_id = [], [], [], after_id
    unidentified: list[str] = []  # since the last id
    for element in elements:
        record = _with_whole_id(element.value if isinstance(element, Mended) else element)
        if reason := _missing_id(record):
            unidentified.append(reason)
            continue
        record_id = record["id"]
        if record_id < last_id:
            raise ValueError(f"id {record_id} follows {last_id}; the list is not in the order of its ids.")
        reason = f"record {last_id} stands there again" if record_id == last_id else _unstorable(record)
        skipped += [*unidentified, reason] if reason else unidentified
        unidentified, last_id = [], record_id
        if reason is None:
            records.append(record)
            if isinstance(element, Mended):
                notes.append(f"record {record_id} is no clean JSON, and was read all the same")
    if elements and last_id == after_id:
        if skipped:
            raise ValueError(skipped[0])
        last = elements[-1]
        guess = last.record_id if isinstance(last, Unreadable) else None
        raise NoUsableIdError(Page([], date, guess or 0, unidentified))
    skipped += unidentified if ends else []
    return Page(records=records, date=date, last_id=last_id, skipped=skipped, notes=notes, ends=ends)


def _with_whole_id(element: Any) -> Any:
    """Return a record with `2.0`, which JSON may write for 2, as its id 2."""
    number = element.get("id") if isinstance(element, dict) else None
    return element | {"id": int(number)} if isinstance(number, float) and number.is_integer() else element


def _missing_id(element: Any) -> str | None:
    if isinstance(element, Unreadable):
        name = "a record without an id" if element.record_id is None else f"record {element.record_id}"
        return f"{name} can't be read: {element.reason}"
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
