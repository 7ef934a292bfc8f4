"""Random CEQL trees and records, their spelling in CEQL, and what a tree selects by plain Python.

For tests that compare: parsing with the tree, and what ConnectWise's conditions select with what `evaluate` selects.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from hypothesis import strategies as st

from cwconnect.connectwise.ceql.conditions import (
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
    Word,
)

# Fields of a contact, and what each holds.
FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "id": "number",
        "firstName": "text",
        "title": "text",
        "inactiveFlag": "boolean",
        "company.id": "number",
        "company.name": "text",
        "_info.lastUpdated": "date",
    }
)
INSTANT: Final = datetime(2018, 7, 31, 19, 39, 46, tzinfo=UTC)
_KEYWORDS: Final = {"and", "or", "not", "in", "is", "like", "null", "true", "false"}
_ORDERED: Final = ("=", "!=", "<", ">", "<=", ">=")
_TEXTS: Final = st.text(string.ascii_letters + "0123456789 '%*-", max_size=4)
_TENTHS: Final = st.sampled_from((-30, -10, -1, 0, 1, 3, 7, 10, 15, 20))
_MOMENTS: Final = st.integers(-2, 2).map(lambda n: datetime.fromtimestamp(INSTANT.timestamp() + n, UTC))


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


_LITERALS: Final[dict[str, st.SearchStrategy[Literal]]] = {
    "number": _TENTHS.map(lambda tenths: Number(Decimal(tenths) / 10)),
    "text": _TEXTS.map(Text)
    | st.text(string.ascii_letters, min_size=1).filter(lambda w: w.lower() not in _KEYWORDS).map(Word),
    "boolean": st.booleans().map(Boolean),
    "date": st.one_of(_MOMENTS.map(_stamp).map(Text), _MOMENTS.map(_stamp).map(Word), st.just(Instant(INSTANT))),
}
_VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "number": _TENTHS.map(lambda tenths: tenths / 10 if tenths % 10 else tenths // 10),
    "text": _TEXTS,
    "boolean": st.booleans(),
    "date": _MOMENTS.map(_stamp),
}


def comparisons(fields: Mapping[str, str] = FIELDS) -> st.SearchStrategy[Comparison]:
    """One comparison of a field with a literal of its kind."""
    return st.one_of([_comparison(field, kind) for field, kind in sorted(fields.items())])


def _comparison(field: str, kind: str) -> st.SearchStrategy[Comparison]:
    literals = _LITERALS[kind]
    lists = st.lists(literals, min_size=1, max_size=3).map(tuple)
    forms = [
        st.builds(
            Comparison, st.just(field), st.sampled_from(_ORDERED if kind != "boolean" else ("=", "!=")), literals
        ),
        st.builds(Comparison, st.just(field), st.sampled_from(("IN", "NOT IN")), lists),
        st.builds(Comparison, st.just(field), st.sampled_from(("IS NULL", "IS NOT NULL")), st.just(Null())),
    ]
    if kind == "text":
        forms.append(st.builds(Comparison, st.just(field), st.sampled_from(("LIKE", "NOT LIKE")), literals))
    return st.one_of(forms)


def trees(fields: Mapping[str, str] = FIELDS) -> st.SearchStrategy[Node]:
    """A tree of comparisons under And and Or, some levels deep."""

    def joined(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        several = st.lists(parts, min_size=2, max_size=3).map(tuple)
        return several.map(And) | several.map(Or)

    return st.recursive(comparisons(fields), joined, max_leaves=8)


def records(fields: Mapping[str, str] = FIELDS) -> st.SearchStrategy[dict[str, Any]]:
    """A record that has some of the fields; others are null or absent. `id` is always there."""

    def nested(flat: dict[str, Any]) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for name, value in flat.items():
            *outer, last = name.split(".")
            place = record
            for key in outer:
                place = place.setdefault(key, {})
            place[last] = value
        return record

    optional = {name: st.none() | _VALUES[kind] for name, kind in fields.items() if name != "id"}
    return st.fixed_dictionaries({"id": st.integers(1, 1000)}, optional=optional).map(nested)


def spell(node: Node) -> str:
    """Return a tree in CEQL; parentheses stand around every inner And and Or."""
    if isinstance(node, Comparison):
        return _spell_comparison(node)
    word = " AND " if isinstance(node, And) else " OR "
    return word.join(spell(part) if isinstance(part, Comparison) else f"({spell(part)})" for part in node.parts)


def _spell_comparison(node: Comparison) -> str:
    if isinstance(node.value, tuple):
        return f"{node.field} {node.operator} ({', '.join(_spell_literal(value) for value in node.value)})"
    return (
        f"{node.field} {node.operator} {_spell_literal(node.value)}".rstrip()
        if node.value != Null()
        else (f"{node.field} {node.operator}")
    )


def _spell_literal(value: Literal) -> str:
    match value:
        case Text(text):
            doubled = text.replace("'", "''")
            return f"'{doubled}'"
        case Number(number):
            return f"{number:f}"
        case Boolean(truth):
            return "true" if truth else "false"
        case Word(word):
            return word
        case Instant():
            return "'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'"
        case Null():
            return "null"


def evaluate(node: Node, record: Mapping[str, Any]) -> bool:
    """Return whether a tree selects a record. A comparison with null is neither true nor false, as in SQL."""
    return _answer(node, record) is True


def _answer(node: Node, record: Mapping[str, Any]) -> bool | None:
    if isinstance(node, Comparison):
        return _compare(node, _field(record, node.field))
    answers = [_answer(part, record) for part in node.parts]
    decisive = isinstance(node, Or)
    return decisive if decisive in answers else None if None in answers else not decisive


def _field(record: Mapping[str, Any], name: str) -> Any:
    value: Any = record
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _compare(node: Comparison, found: Any) -> bool | None:
    if node.operator in ("IS NULL", "IS NOT NULL"):
        return (found is None) == (node.operator == "IS NULL")
    if found is None:
        return None
    values = node.value if isinstance(node.value, tuple) else (node.value,)
    have, config = _comparable(found), [_comparable(_plain(value)) for value in values]
    match node.operator.removeprefix("NOT "):
        case "IN":
            result = have in config
        case "LIKE":
            result = _like(str(found), str(_plain(values[0])))
        case operator:
            result = _ORDER[operator](have, config[0])
    return result != node.operator.startswith("NOT ")


_ORDER: Final = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


def _plain(value: Literal) -> Any:
    return _stamp(value.value) if isinstance(value, Instant) else None if isinstance(value, Null) else value.value


def _comparable(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(str(value))
    return value.casefold() if isinstance(value, str) else value


def _like(text: str, pattern: str) -> bool:
    pieces = re.split("[%*]", pattern)
    return re.fullmatch(".*".join(map(re.escape, pieces)), text, re.IGNORECASE | re.DOTALL) is not None
