"""A program that begins with a copy, and then goes by the events: what it holds at the end."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from cwconnect.connectwise.iso8601 import read_iso
from polling.copies import files
from polling.copies.watched import watched
from polling.models import Copy, Event


def held_by_a_program(copy: Copy) -> dict[int, Any]:
    """Return the records by their ids: the copy's, and on top of them the events from `watchedFrom` on, in order.

    An event of a record that is older than the one held is passed over, as docs/wire-contract.md#first-load has it.
    """
    held: dict[int, Any] = {}
    for page in files.lines_of(copy):
        for record in map(json.loads, page.splitlines()):
            assert record["id"] not in held, f"record {record['id']} is in the copy twice"
            held[record["id"]] = record
    since = watched(copy).since
    assert since is not None
    events = Event.objects.filter(instance=copy.instance, occurred_at__gte=since).order_by("pk")
    for kind, text in events.values_list("kind", "record").iterator():
        record = json.loads(text)
        number = record["id"]
        if kind == Event.Kind.DELETED:
            held.pop(number, None)
        elif number not in held or _stamp(record) >= _stamp(held[number]):
            held[number] = record
    return held


def without_nulls(value: Any) -> Any:
    """Return a value as `filter.response.nulls` shows it."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def _stamp(record: dict[str, Any]) -> datetime:
    return read_iso(record["_info"]["lastUpdated"])
