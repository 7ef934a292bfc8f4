"""The pages of a copy as they are kept, and its columns: pure, and in a thread while a copy is read.

A column is a field by its dotted name, `company.name`; a list stands in one column as JSON. Columns are in the order in
which they were met, those that the query names first. Which there are is known before a file is written.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

MOST_COLUMNS = 2000  # of a spreadsheet: ConnectWise's largest records have some 250
LONGEST_COLUMN = 300
_LEVEL = 3  # zlib's; 6 takes three times as long for a tenth less

Columns = dict[str, bool]
"""Columns in the order met; False where only nulls and empty objects were."""


def pack(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Return records as a page is kept."""
    return zlib.compress(b"".join(orjson.dumps(record) + b"\n" for record in records), _LEVEL)


def unpack(body: bytes) -> bytes:
    """Return a page as lines of JSON."""
    return zlib.decompress(body)


def columns_of(records: Sequence[Mapping[str, Any]]) -> Columns:
    """Return the columns of a page."""
    found: Columns = {}
    for record in records:
        for name, value in flatten(record):
            if value is not None or name not in found:
                found[name] = value is not None or found.get(name, False)
    return found


def joined(before: Columns, more: Columns) -> Columns:
    """Return the columns of pages that follow one another: the first so many of them."""
    names = [*before, *(name for name in more if name not in before)][: MOST_COLUMNS + 1]
    return {name: before.get(name, False) or more.get(name, False) for name in names}


def flatten(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return a record's values by their columns; what is empty is None."""
    for key, value in record.items():
        name = f"{prefix}{key}"[:LONGEST_COLUMN]
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{name}.")
        elif isinstance(value, list):
            yield name, orjson.dumps(value).decode()
        else:
            yield name, None if value == {} else value


def columns_of_file(met: Columns, fields: Sequence[str]) -> list[str]:
    """Return the columns of a file: those that a query names first, as it orders and spells them.

    One that only nulls would fill is left out where others have its parts: `company`, beside `company.id`.
    """
    named = [field.lower() for field in fields]

    def place(name: str) -> int:
        lowered = name.lower()
        found = (at for at, field in enumerate(named) if lowered == field or lowered.startswith(f"{field}."))
        return next(found, len(named))

    shown = [name for name, filled in met.items() if filled or not any(each.startswith(f"{name}.") for each in met)]
    there = {place(name) for name in shown}
    absent = [(at, field) for at, field in enumerate(fields) if at not in there]
    return [name for _, name in sorted([*((place(name), name) for name in shown), *absent], key=lambda each: each[0])]
