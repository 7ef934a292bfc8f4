"""A `where` judged on a record by ourselves: what ConnectWise selects by the conditions that it becomes.

Source: docs/wire-contract.md#3-ceql-the-language-of-where. Text is compared without regard to case; a comparison with
what is null or absent is neither true nor false, as in SQL, and a record passes where the whole is true. Nothing is
searched twice: a LIKE looks for its pieces one after another, from left to right.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from cwconnect.connectwise.ceql.conditions import NUMBER, kind_by_form, plain_text, read_date, whole_seconds
from cwconnect.connectwise.ceql.tree import (
    And,
    Boolean,
    Comparison,
    Instant,
    Literal,
    Node,
    Null,
    Number,
    Text,
    WhereError,
    Word,
)
from cwconnect.connectwise.iso8601 import looks_iso, read_iso

Record = Mapping[str, Any]
Test = Callable[[Record], bool | None]
_Values = Callable[[Record], tuple[Any, ...]]

_NO_TYPES: Final[Mapping[str, str]] = MappingProxyType({})
_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {"=": operator.eq, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
)
# What ConnectWise's conditions call otherwise than its records do.
_PLACES: Final = {"lastupdated": ("_info", "lastUpdated"), "dateentered": ("_info", "dateEntered")}


@dataclass(frozen=True, slots=True)
class Condition:
    """A tree that records can be tested by; `parts` are those of an AND or OR."""

    node: Node
    test: Test
    parts: tuple[Condition, ...] = ()

    def failed(self, record: Record) -> Node:
        """Return what a record that does not pass fails by: of an AND, the first part that is not true."""
        if isinstance(self.node, And):
            return next((part.failed(record) for part in self.parts if part.test(record) is not True), self.node)
        return self.node


def compile_where(node: Node, *, field_types: Mapping[str, str] = _NO_TYPES) -> Condition:
    """Return the test of a tree; `field_types` as `to_conditions` takes them.

    Raises `WhereError` for a value that is not of its field's type.
    """
    types = {name.lower().replace("/", "."): kind for name, kind in field_types.items()}
    return _compiled(node, types)


def find_value(record: Record, name: str) -> Any:
    """Return what a record has at a dotted name, in any case; None where it has nothing."""
    value: Any = record
    for key in name.replace("/", ".").split("."):
        value = _member(value, key)
    return value


def same_value(value: Any, wanted: str | float | bool | None) -> bool:
    """Return whether a record's value equals what a person wrote, as `=` does; what is absent equals null."""
    if wanted is None or value is None:
        return wanted is value
    if isinstance(wanted, bool):
        return value is wanted
    if isinstance(wanted, str):
        return _as_text(value) == wanted.casefold()
    return bool(_as_number(value) == _as_number(wanted))


def in_words(node: Node) -> str:
    """Return a tree as CEQL, on one line."""
    if isinstance(node, Comparison):
        if node.operator.startswith("IS "):
            return f"{node.field} {node.operator}"
        values = node.value if isinstance(node.value, tuple) else (node.value,)
        written = ", ".join(_written(value) for value in values)
        return f"{node.field} {node.operator} {f'({written})' if isinstance(node.value, tuple) else written}"
    word = " AND " if isinstance(node, And) else " OR "
    return word.join(in_words(part) if isinstance(part, Comparison) else f"({in_words(part)})" for part in node.parts)


def _written(value: Literal) -> str:
    match value:
        case Text(text):
            return "'" + text.replace("'", "''") + "'"
        case Instant(moment):
            return f"'{moment.isoformat()}'"
        case Null():
            return "NULL"
        case Word() | Number() | Boolean():
            return plain_text(value)


def _compiled(node: Node, types: Mapping[str, str]) -> Condition:
    if isinstance(node, Comparison):
        return Condition(node, _comparison(node, types))
    parts = tuple(_compiled(part, types) for part in node.parts)
    return Condition(node, _joined([part.test for part in parts], decisive=not isinstance(node, And)), parts)


def _joined(tests: list[Test], *, decisive: bool) -> Test:
    """Return AND, which one False decides, or OR, which one True does; what no part decides may be unknown."""

    def test(record: Record) -> bool | None:
        unknown = False
        for each in tests:
            answer = each(record)
            if answer is decisive:
                return decisive
            unknown = unknown or answer is None
        return None if unknown else not decisive

    return test


def _comparison(node: Comparison, types: Mapping[str, str]) -> Test:
    values = _values_of(node)
    if node.operator in ("IS NULL", "IS NOT NULL"):
        is_null = node.operator == "IS NULL"
        return lambda record: all(value is None for value in values(record)) is is_null
    literals = node.value if isinstance(node.value, tuple) else (node.value,)
    sign = node.operator.removeprefix("NOT ")
    kind = types.get(node.field.lower().replace("/", "."))
    tests = [_test_of(node, sign, literal, kind) for literal in literals]
    negated = sign != node.operator

    def test(record: Record) -> bool | None:
        answers = [each(value) for value in values(record) for each in tests]
        answer = True if True in answers else None if None in answers or not answers else False
        return answer if answer is None else answer is not negated

    return test


def _test_of(node: Comparison, sign: str, literal: Literal, kind: str | None) -> Callable[[Any], bool | None]:
    """Return the test of one value of a record by one literal; None where the value is not of the literal's kind."""
    if sign == "LIKE":
        if isinstance(literal, Instant | Null):
            raise WhereError(f"{node.field}: a LIKE takes a text.")
        pieces = plain_text(literal).casefold().replace("*", "%").split("%")
        return lambda value: None if (text := _as_text(value)) is None else _is_like(text, pieces)
    wanted, adapt = _adapted(node, literal, kind)
    differs = sign == "!="
    compare: Callable[[Any, Any], bool] = _SIGNS.get(sign, operator.eq)
    return lambda value: None if (found := adapt(value)) is None else compare(found, wanted) is not differs


def _adapted(node: Comparison, literal: Literal, kind: str | None) -> tuple[Any, Callable[[Any], Any]]:
    """Return a literal as its field's type needs it, and what makes a record's value comparable with it."""
    if isinstance(literal, Instant):
        return whole_seconds(literal.value, node.operator), _as_instant
    if isinstance(literal, Null):
        raise WhereError(f"{node.field} can't be compared with NULL by {node.operator}.")
    text = plain_text(literal)
    match kind or kind_by_form(literal):
        case "date" if looks_iso(text):
            return whole_seconds(read_date(node.field, text), node.operator), _as_instant
        case "number" if NUMBER.fullmatch(text.strip()):
            return Decimal(text.strip()), _as_number
        case "boolean" if text.strip().lower() in ("true", "false"):
            return text.strip().lower() == "true", _as_boolean
        case "text":
            return text.casefold(), _as_text
    raise WhereError(f"{node.field} holds a {kind}, and {text[:80]!r} is none.")


def _is_like(text: str, pieces: list[str]) -> bool:
    """Return whether a text consists of the pieces in their order, with anything between them."""
    first, *inner = pieces
    if not inner:
        return text == first
    last = inner.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in inner:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _values_of(node: Comparison) -> _Values:
    """Return what reads a field's value; `email` of a contact has several, those of its communication items."""
    name = node.field.replace("/", ".")
    place = _PLACES.get(name.lower())

    def values(record: Record) -> tuple[Any, ...]:
        value = find_value(record, name)
        if value is None and place is not None:
            value = find_value(record, ".".join(place))
        if value is None and name.lower() == "email":
            items = _member(record, "communicationItems")
            return tuple(_emails(items)) or (None,)
        return (value,)

    return values


def _emails(items: Any) -> list[Any]:
    return [
        _member(item, "value")
        for item in (items if isinstance(items, list) else ())
        if same_value(_member(item, "communicationType"), "Email")
    ]


def _member(value: Any, key: str) -> Any:
    if not isinstance(value, Mapping):
        return None
    if key in value:
        return value[key]
    lower = key.lower()
    return next((item for name, item in value.items() if name.lower() == lower), None)


def _as_text(value: Any) -> str | None:
    return str(value).casefold() if isinstance(value, str | bool | int | float) else None


def _as_boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _as_number(value: Any) -> Any:
    """Return a number, or that of a text that is one and nothing else.

    A decimal is the one that is written, as in a literal: by its binary value 0.1 would be more than 0.1.
    """
    if isinstance(value, str):
        return Decimal(value.strip()) if NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, float):
        return None if math.isnan(value) else Decimal(repr(value))
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _as_instant(value: Any) -> datetime | None:
    """Return a stamp in whole seconds, as ConnectWise keeps them; None for what is none."""
    try:
        return read_iso(value).astimezone(UTC).replace(microsecond=0) if isinstance(value, str) else None
    except ValueError:
        return None
