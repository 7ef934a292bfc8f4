"""The tree of a `where`: comparisons joined by And and Or. It knows neither CEQL's spelling nor ConnectWise's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

OPERATORS: Final = ("=", "!=", "<", ">", "<=", ">=", "LIKE", "NOT LIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL")


class WhereError(ValueError):
    """A `where` that can't be read or put to ConnectWise; the message begins `Error parsing query`.

    Source: docs/wire-contract.md#2-instances.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"Error parsing query: {reason}")


@dataclass(frozen=True, slots=True)
class Text:
    """A literal in quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Word:
    """A literal without quotes that is no number, boolean or null: `Acme`, or a date."""

    value: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number without quotes, as many decimals as were written."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class Boolean:
    """A bare `true` or `false`, in any case."""

    value: bool


@dataclass(frozen=True, slots=True)
class Null:
    """What `IS NULL` and `IS NOT NULL` compare with."""


@dataclass(frozen=True, slots=True)
class Instant:
    """A literal that holds a `${…}` template: the instant it stands for (UTC), whatever its pattern and zone."""

    value: datetime


Literal = Text | Word | Number | Boolean | Null | Instant


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, one of `OPERATORS`, and a literal; a tuple of literals for IN and NOT IN."""

    field: str
    operator: str
    value: Literal | tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class And:
    """All of its parts hold."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of its parts holds, or several."""

    parts: tuple[Node, ...]


Node = Comparison | And | Or


def map_comparisons(node: Node, function: Callable[[Comparison], Comparison]) -> Node:
    """Return the tree with every comparison replaced by what the function makes of it."""
    if isinstance(node, Comparison):
        return function(node)
    return type(node)(tuple(map_comparisons(part, function) for part in node.parts))


def fields_of(node: Node) -> set[str]:
    """Return the names of all fields that the tree compares, as they were written."""
    return {comparison.field for comparison in comparisons_of(node)}


def comparisons_of(node: Node) -> list[Comparison]:
    """Return the comparisons that the tree is made of, from left to right."""
    if isinstance(node, Comparison):
        return [node]
    return [comparison for part in node.parts for comparison in comparisons_of(part)]


def negate(node: Node) -> Node:
    """Return the tree that holds where this one does not; a comparison with null holds in neither, as in SQL."""
    if isinstance(node, Comparison):
        return Comparison(node.field, _OPPOSITES[node.operator], node.value)
    parts = tuple(negate(part) for part in node.parts)
    return Or(parts) if isinstance(node, And) else And(parts)


_PAIRS: Final = (
    ("=", "!="),
    ("<", ">="),
    (">", "<="),
    ("LIKE", "NOT LIKE"),
    ("IN", "NOT IN"),
    ("IS NULL", "IS NOT NULL"),
)
_OPPOSITES: Final = {**dict(_PAIRS), **{second: first for first, second in _PAIRS}}
