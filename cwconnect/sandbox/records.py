"""Whole records: a kind's fields between `id` and `_info`, the same for the same seed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from cwconnect.sandbox import parts
from cwconnect.sandbox.catalogue import ListSpec
from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.record_kinds import KINDS, generic
from cwconnect.sandbox.timestamps import to_text

_TWO_YEARS = 2 * 365 * 86400


def draw_for(spec: ListSpec, seed: int, number: int) -> parts.Draw:
    """Return the draw that belongs to one record."""
    return parts.Draw(seed, zlib.crc32(spec.path.encode()), number)


def seeded_stamp(spec: ListSpec, seed: int, number: int, now: int) -> int:
    """Return a record's last change: some time in the two years that end an hour before `now`."""
    return now - 3600 - draw_for(spec, seed + 1, number).below(_TWO_YEARS)


def make_record(spec: ListSpec, seed: int, number: int, stamp: int, entered: int | None = None) -> Record:
    """Return record `number` of a list, last changed at `stamp` and made at `entered` (weeks before, if not said)."""
    draw = draw_for(spec, seed, number)
    fields = (spec.kind or KINDS.get(spec.name, generic))(number, draw, stamp)
    made = to_text(stamp - draw.below(90 * 86400) if entered is None else entered)
    if spec.created == "top":
        fields["dateEntered"] = made
    if spec.created == "unstamped":
        return {"id": number, **fields}
    return {"id": number, **fields, "_info": _info(spec, number, to_text(stamp), made, draw)}


def _info(spec: ListSpec, number: int, stamp: str, made: str, draw: parts.Draw) -> Record:
    """Contacts and lists unknown to the catalogue say nothing of their creation: that is ConnectWise's way."""
    info = {"lastUpdated": stamp, "updatedBy": draw.pick(parts.MEMBERS)}
    if spec.created == "info":
        info |= {"dateEntered": made, "enteredBy": draw.pick(parts.MEMBERS)}
    return info | {f"{spec.resource}_href": f"{parts.BASE}{spec.path}/{number}"}


def overlay(record: Record, fields: Mapping[str, Any], remove: Iterable[str] = ()) -> None:
    """Lay `fields` over `record` in place: members of `_info` singly, all else whole; the id stays."""
    for key, value in fields.items():
        if key == "_info" and isinstance(value, dict):
            record["_info"] = {**(record.get("_info") or {}), **value}
        elif key != "id":
            record[key] = value
    for path in remove:
        *above, last = path.split("/")
        holder = reduce(lambda found, key: found.get(key) or {}, above, record)
        holder.pop(last, None)
