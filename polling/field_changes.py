"""What counts as the content of a record, and which fields of it differ. Pure.

Records compare by content: `_info` and `…_href` are left out at every depth (they change without the record changing),
and null counts as absent (newer ConnectWise sites omit what older ones send as null).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def content_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts as the content of a record."""
    # Runs over every value that is ever read: plain values, most of a record, are kept without a call each, and `in`
    # is cheaper than `endswith`.
    return {
        key: content_of(item) if type(item) is dict else _contents_of(item) if type(item) is list else item
        for key, item in record.items()
        if item is not None and key != "_info" and not ("_href" in key and key.endswith("_href"))
    }


def _contents_of(items: list[Any]) -> list[Any]:
    return [
        content_of(item) if type(item) is dict else _contents_of(item) if type(item) is list else item for item in items
    ]


def field_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields that differ as `{"field": "company.name", "from": …, "to": …}`, by dotted name.

    Objects are compared member by member, lists as a whole; what is absent appears as null.
    """
    found: list[dict[str, Any]] = []
    _compare("", content_of(before), content_of(after), found)
    return found


def _compare(prefix: str, before: Mapping[str, Any], after: Mapping[str, Any], found: list[dict[str, Any]]) -> None:
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            _compare(f"{prefix}{key}.", old, new, found)
        elif old != new:
            found.append({"field": f"{prefix}{key}", "from": old, "to": new})
