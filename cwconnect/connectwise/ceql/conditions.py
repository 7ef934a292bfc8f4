"""A `where` translated to ConnectWise's `conditions`.

Source: docs/connectwise.md#asking, docs/wire-contract.md#3-ceql-the-language-of-where.

Strings stand in `"…"`; one that holds `"` in `'…'`, which ConnectWise takes too. One with both can't be written,
since ConnectWise documents no escape: a `WhereError`. `%` and `*` in a LIKE are wildcards and can't be escaped either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from cwconnect.connectwise.ceql.parser import parse_where
from cwconnect.connectwise.ceql.tree import (
    And,
    Boolean,
    Comparison,
    Instant,
    Literal,
    Node,
    Null,
    Number,
    Or,
    Text,
    WhereError,
    Word,
    fields_of,
    map_comparisons,
)
from cwconnect.connectwise.iso8601 import looks_iso, read_iso

__all__ = [
    "And",
    "Boolean",
    "Comparison",
    "Instant",
    "Literal",
    "Node",
    "Null",
    "Number",
    "Or",
    "Text",
    "WhereError",
    "Word",
    "fields_of",
    "map_comparisons",
    "parse_where",
    "to_conditions",
]

_NO_TYPES: Final[Mapping[str, str]] = MappingProxyType({})
_NAME: Final = re.compile(r"[^\W\d]\w*(/\w+)*")
NUMBER: Final = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII)
_LAST: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
# Names under which ConnectWise takes a condition, where the record has the field elsewhere.
CONDITION_NAMES: Final = {"_info/lastupdated": "lastUpdated"}


def to_conditions(node: Node, *, field_types: Mapping[str, str] = _NO_TYPES) -> str:
    """Write a tree as ConnectWise's `conditions`, not yet percent-encoded.

    `field_types` maps dotted names, in any case, to `date`, `number`, `boolean` or `text`; for fields that it lacks the
    literal's form decides: what looks like an ISO date is one. Times are written in UTC and whole seconds, rounded so
    that the comparison selects the same stamps, which have whole seconds. Raises `WhereError` for a value that is not
    of its field's type, and for names and strings that `conditions` can't express.
    """
    types = {name.lower().replace("/", "."): kind for name, kind in field_types.items()}
    return _written(node, types)


def _written(node: Node, types: Mapping[str, str]) -> str:
    if isinstance(node, Comparison):
        return _comparison(node, types)
    if isinstance(node, Or):
        return " or ".join(_written(part, types) for part in node.parts)
    return " and ".join(
        f"({_written(part, types)})" if isinstance(part, Or) else _written(part, types) for part in node.parts
    )


def _comparison(node: Comparison, types: Mapping[str, str]) -> str:
    name = _name(node.field)
    if node.operator in ("IS NULL", "IS NOT NULL"):
        return f"{name} {'=' if node.operator == 'IS NULL' else '!='} null"
    kind = types.get(node.field.lower().replace("/", "."))
    if isinstance(node.value, tuple):
        values = ", ".join(_value(node, value, kind) for value in node.value)
        return f"{name} {node.operator.lower()} ({values})"
    if node.operator in ("LIKE", "NOT LIKE"):
        if isinstance(node.value, Instant):
            raise WhereError(f"{node.field}: a ${{…}} template can't stand in a LIKE.")
        kind = "text"
    return f"{name} {node.operator.lower()} {_value(node, node.value, kind)}"


def _name(field: str) -> str:
    name = field.replace(".", "/")
    if not _NAME.fullmatch(name):
        raise WhereError(f"{field!r} can't be a field's name in ConnectWise's conditions.")
    return CONDITION_NAMES.get(name.lower(), name)


def _value(node: Comparison, value: Literal, kind: str | None) -> str:
    if isinstance(value, Instant):
        return _date(value.value, node.operator)
    if isinstance(value, Null):
        return "null"
    text = plain_text(value)
    match kind or kind_by_form(value):
        case "date" if looks_iso(text):
            return _date(read_date(node.field, text), node.operator)
        case "number" if NUMBER.fullmatch(text.strip()):
            return text.strip().removeprefix("+")
        case "boolean" if text.strip().lower() in ("true", "false"):
            return text.strip().lower()
        case "text":
            return _string(text)
    raise WhereError(f"{node.field} holds a {kind}, and {text[:80]!r} is none.")


def kind_by_form(value: Literal) -> str:
    """Return what a literal is by its form: `number`, `boolean`, `date` for an ISO one, else `text`."""
    if isinstance(value, Number):
        return "number"
    if isinstance(value, Boolean):
        return "boolean"
    return "date" if isinstance(value, Text | Word) and looks_iso(value.value) else "text"


def plain_text(value: Text | Word | Number | Boolean) -> str:
    """Return a literal's text as it was meant, without quotes."""
    if isinstance(value, Boolean):
        return "true" if value.value else "false"
    return f"{value.value:f}" if isinstance(value, Number) else value.value


def read_date(field: str, text: str) -> datetime:
    """Return the instant of an ISO text, in UTC; `WhereError` that names the field for one that is none."""
    try:
        return read_iso(text)
    except ValueError as error:
        raise WhereError(f"{field}: {error}") from None


def whole_seconds(instant: datetime, operator: str) -> datetime:
    """Return whole seconds, UTC; for a stamp without fractions `>= 46.5` is `>= 47`, and `> 46.5` is `> 46`."""
    whole = instant.astimezone(UTC).replace(microsecond=0)
    return whole + timedelta(seconds=bool(instant.microsecond) and operator in (">=", "<") and whole < _LAST)


def _date(instant: datetime, operator: str) -> str:
    return f"[{whole_seconds(instant, operator).replace(tzinfo=None).isoformat()}Z]"


def _string(text: str) -> str:
    if text.endswith("\\"):
        raise WhereError(f"{text[:80]!r} ends in a backslash, after which ConnectWise may not see the closing quote.")
    if '"' not in text:
        return f'"{text}"'
    if "'" not in text:
        return f"'{text}'"
    raise WhereError(f"{text[:80]!r} holds both kinds of quotes, which ConnectWise's conditions can't express.")
