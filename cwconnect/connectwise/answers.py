"""ConnectWise's answers as Python values: JSON read safely, lists as pages of records."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

Record = dict[str, Any]
MOST_VALUES = 2_000_000  # a page of 1,000 records has some 300,000
_STRUCTURE = (b",", b"[", b"{")  # one at least for each value; those within texts count too
_SURELY_FEW = MOST_VALUES  # bytes
_LARGEST_ID = 2**63 - 1
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonError(ValueError):
    """A text that is no JSON, or nested too deeply."""


class TooManyValuesError(JsonError):
    """A text of so many small values that reading it would take many times its size."""


@dataclass(frozen=True)
class Page:
    """One page of a list, read forward by id.

    `records` can all be written as JSON again and carry an integer `id`. `skipped` says in words which elements
    had to be left out. `last_id` is where the next page begins; `date` is ConnectWise's clock (aware, UTC), or
    None. A page without any element is the last one.
    """

    records: list[Record]
    date: datetime | None
    last_id: int
    skipped: list[str] = field(default_factory=list)

    @property
    def is_last(self) -> bool:
        return not self.records and not self.skipped


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
    if len(body) > _SURELY_FEW and sum(map(body.count, _STRUCTURE)) > MOST_VALUES:
        raise TooManyValuesError(f"It holds more than {MOST_VALUES:,} values.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _parse_leniently(body)


def read_date(header: str | None) -> datetime | None:
    """Read a `Date` header as an aware UTC time; None if there is none that can be read."""
    try:
        moment = parsedate_to_datetime(header or "")
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def make_page(elements: list[Any], *, after_id: int, date: datetime | None) -> Page:
    """Sort a list's elements into records and what must be skipped.

    A record that stands there twice in a row is taken once. Raises `ValueError`, with a sentence, for a page that does
    not lead on from `after_id`: its ids go back, or no element has one. Reading on from such a page would skip rows or
    never end.
    """
    records, skipped, last_id = [], [], after_id
    for element in elements:
        reason = _missing_id(element)
        if reason is None:
            if element["id"] < last_id:
                raise ValueError(f"id {element['id']} follows {last_id}; the list is not in the order of its ids.")
            reason = _unstorable(element) if element["id"] > last_id else f"record {last_id} stands there again"
            last_id = element["id"]
        if reason is None:
            records.append(element)
        else:
            skipped.append(reason)
    if elements and last_id == after_id:
        raise ValueError(f"no element of the page has a usable id: {skipped[0]}")
    return Page(records=records, date=date, last_id=last_id, skipped=skipped)


def _parse_leniently(body: bytes) -> Any:
    try:
        return _repaired(json.loads(body, parse_constant=_refuse, parse_float=_finite))
    except (ValueError, RecursionError) as error:
        raise JsonError(f"It is no JSON that can be read: {str(error)[:100]}") from None


def _refuse(name: str) -> None:
    raise JsonError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonError("a number is too large")
    return value


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_repaired(item) for item in value]
    if isinstance(value, dict):
        return {_repaired(key): _repaired(item) for key, item in value.items()}
    return value


def _missing_id(element: Any) -> str | None:
    if not isinstance(element, dict):
        return f"an element is no object: {str(element)[:80]}"
    number = element.get("id")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= _LARGEST_ID:
        return f"a record has no usable integer id: {str(number)[:80]}"
    return None


def _unstorable(record: Record) -> str | None:
    try:
        orjson.dumps(record)
    except (TypeError, RecursionError) as error:
        return f"record {record['id']} can't be stored: {error}"
    return None
