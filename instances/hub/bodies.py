"""Bodies of writes as programs send them, and as ConnectWise takes them. Pure.

A program sends a plain object, with ids as numbers or text; ConnectWise takes a record, or to change one a JSON Patch
whose paths are case-sensitive and whose references are replaced whole. Source: docs/wire-contract.md#writes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from cwconnect.connectwise.field_table import fields_of
from cwconnect.core.errors import DomainError

CUSTOM = "customFields"
MOST_FIELDS, LONGEST_FIELD = 500, 100
_NAME = re.compile(rf"[^\W\d][\w-]{{0,{LONGEST_FIELD - 1}}}")
_WHOLE = re.compile(r"[1-9][0-9]{0,17}")
FIXED = ("id", "_info")  # what ConnectWise alone writes of a record that is there

Body = dict[str, Any]


def read_body(data: object) -> Body:
    """Return what a program sends, with ids as numbers; DomainError for anything but a JSON object of named fields."""
    if not isinstance(data, dict) or not data:
        raise DomainError("The body must be a JSON object that names at least one field.")
    if len(data) > MOST_FIELDS:
        raise DomainError(f"The body names more than {MOST_FIELDS} fields.")
    for name in data:
        if not _NAME.fullmatch(name):
            raise DomainError(f"{name[:LONGEST_FIELD]!r} is no field's name; a reference is given whole, as an object.")
    for name, value in data.items():
        _check_numbers(name, value)
    return {name: int(value) if name == "id" and _is_id(value) else _with_ids(value) for name, value in data.items()}


def patch_of(path: str, body: Body, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the JSON Patch that sets the fields of a body; `record` is the one to change, as far as it was read.

    Its custom fields stand in the patch whole, those that the body doesn't name as they are: ConnectWise may refuse a
    patch without them.
    """
    spelt = {field.name.lower(): field.name for field in fields_of(path)}
    named = {spelt.get(name.lower(), name): value for name, value in body.items() if name not in FIXED}
    if named.get(CUSTOM) is not None or record.get(CUSTOM):
        named[CUSTOM] = _merged(record.get(CUSTOM) or [], named.get(CUSTOM) or [])
    return [{"op": "replace", "path": name, "value": value} for name, value in named.items()]


def has_custom_fields(path: str, body: Body) -> bool:
    """Return whether a record of a list may have custom fields, which its patch then has to hold."""
    known = fields_of(path)
    return not known or CUSTOM in body or any(field.name == CUSTOM for field in known)


def check_custom_fields(body: Body) -> None:
    """Raise DomainError for custom fields in another shape than ConnectWise's: nobody knows which are meant."""
    given = body.get(CUSTOM)
    rows = given if isinstance(given, list) else [] if given is None else [given]
    if not all(isinstance(row, dict) and row.keys() & {"id", "caption"} for row in rows) or isinstance(given, dict):
        raise DomainError(f"{CUSTOM}: must be a list of objects, each with its id or its caption, and its value.")


def _merged(there: Iterable[Any], given: Iterable[Any]) -> list[Any]:
    """Return a record's custom fields with the values given for some, by id or by caption."""
    left, merged = list(given), []
    for row in there:
        new = next((each for each in left if isinstance(row, dict) and _is_same(row, each)), None)
        left = [each for each in left if each is not new]
        merged.append(row if new is None else {**row, **new})
    return merged + left


def _is_same(row: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    if "id" in given:
        return bool(row.get("id") == given["id"])
    return str(row.get("caption", "")).lower() == str(given["caption"]).lower()


def _with_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: int(each) if name == "id" and _is_id(each) else _with_ids(each) for name, each in value.items()}
    return [_with_ids(each) for each in value] if isinstance(value, list) else value


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(_WHOLE.fullmatch(value))


def _check_numbers(name: str, value: Any) -> None:
    """Refuse what JSON can write and ConnectWise could not be sent: numbers without end, or beyond 64 bits."""
    level = [value]
    while level:
        if any(isinstance(each, float) and not math.isfinite(each) for each in level):
            raise DomainError(f"{name}: holds a number that is too large.")
        inner = [each for each in level if isinstance(each, dict | list)]
        level = [each for item in inner for each in (item.values() if isinstance(item, dict) else item)]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise DomainError(f"{name}: holds a number that is too large, or text that is none.") from None
