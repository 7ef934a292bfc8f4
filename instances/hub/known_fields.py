"""The fields of a list's records: of the table of ConnectWise's own, of what a record shows, and the custom ones.

A custom field is called `customFields.` and its caption. It is known from the record, which holds all of its kind, and
described by its definition (`/system/userDefinedFields`) where that can be read. No value of a record is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cwconnect.connectwise.field_table import fields_of

MOST_FIELDS = 500
LONGEST_NAME = 200
CUSTOM = "customFields"
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?")
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_NO_CONDITION = ("object", "array")  # what stands in them is asked for by its own name
# ConnectWise's kinds of custom fields; the others hold text.
_CUSTOM_TYPES = {"Number": "number", "Percent": "number", "Currency": "number", "Checkbox": "boolean", "Date": "date"}


@dataclass(frozen=True)
class KnownField:
    """One field: its dotted name, its kind (`string`, `date`, …), and what ConnectWise calls that kind."""

    name: str
    type: str
    native_type: str
    required: bool = False
    read_only: bool = False
    hidden: bool = False
    custom: bool = False

    @property
    def title(self) -> str:
        """The name for people: `firstName` is First Name, and a custom field has its caption."""
        if self.custom:
            return self.name.partition(".")[2]
        words = (word for part in self.name.split(".") for word in _WORD.findall(part))
        return " ".join(word[0].upper() + word[1:] for word in words)

    @property
    def filterable(self) -> bool:
        """Whether a `where` may name it."""
        return not self.custom and self.type not in _NO_CONDITION


def table_fields(path: str) -> list[KnownField]:
    """Return what the table knows of the list at ConnectWise's `path`: references with their id and name as well."""
    found = []
    for field in fields_of(path):
        fixed = field.read_only or field.name in ("id", "_info")
        found.append(KnownField(field.name, field.type, field.native_type, field.required, fixed))
        if field.native_type.endswith("Reference"):
            found.append(KnownField(f"{field.name}.id", "integer", "integer", read_only=fixed))
            found.append(KnownField(f"{field.name}.name", "string", "string", read_only=True))
        if field.name == "_info":
            found.append(KnownField("_info.lastUpdated", "date", "date-time", read_only=True))
    return found


def record_fields(record: Mapping[str, Any]) -> list[KnownField]:
    """Return the fields that a record shows, and by dotted names those of the objects in it."""
    found = [KnownField(name, *_kinds(value), read_only=_is_fixed(name)) for name, value in _flat(record)]
    return [field for field in found if len(field.name) <= LONGEST_NAME][:MOST_FIELDS]


def custom_fields(record: Mapping[str, Any], definitions: Iterable[Mapping[str, Any]]) -> list[KnownField]:
    """Return the custom fields of a record, by what their definitions say of them where there are any."""
    defined = {definition.get("id"): definition for definition in definitions}
    shown = record.get(CUSTOM)
    rows = [row for row in shown if isinstance(row, dict)] if isinstance(shown, list) else []
    found = [_custom_field(row, defined.get(row.get("id"), {})) for row in rows]
    return [field for field in found if field and len(field.name) <= LONGEST_NAME][:MOST_FIELDS]


def merged(*sources: Sequence[KnownField]) -> list[KnownField]:
    """Return the fields of all sources, each name once, as the first source that has it describes it."""
    found: dict[str, KnownField] = {}
    for field in (field for source in sources for field in source):
        found.setdefault(field.name, field)
    return list(found.values())


def _custom_field(row: Mapping[str, Any], definition: Mapping[str, Any]) -> KnownField | None:
    caption = row.get("caption") or definition.get("caption")
    if not isinstance(caption, str):
        return None
    native = str(row.get("type") or definition.get("fieldTypeIdentifier") or "Text")
    return KnownField(
        f"{CUSTOM}.{caption}",
        _CUSTOM_TYPES.get(native, "string"),
        native,
        required=definition.get("requiredFlag") is True,
        read_only=definition.get("readOnlyFlag") is True,
        hidden=definition.get("displayOnScreenFlag") is False,
        custom=True,
    )


def _flat(record: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if name.endswith("_href") or not isinstance(name, str):
            continue  # a link, which nobody filters by
        yield before + name, value
        if isinstance(value, dict) and not before:
            yield from ((inner, each) for inner, each in _flat(value, f"{name}.") if not inner.endswith("._info"))


def _is_fixed(name: str) -> bool:
    """Whether ConnectWise alone writes it: the id, its own stamps, and what is shown of a reference beside its key."""
    first, _, inner = name.partition(".")
    return name == "id" or first == "_info" or inner not in ("", "id", "identifier")


def _kinds(value: object) -> tuple[str, str]:
    kind = _kind(value)
    return kind, "string" if kind == "date" else kind


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "date" if isinstance(value, str) and _DATE.fullmatch(value) else "string"
