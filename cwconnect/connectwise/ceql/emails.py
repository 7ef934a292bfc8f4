"""`email` in a contact's `where`: addresses stand in an array, into which only `childConditions` look."""

from __future__ import annotations

from typing import Final

from cwconnect.connectwise.ceql.conditions import to_conditions
from cwconnect.connectwise.ceql.tree import (
    And,
    Comparison,
    Node,
    Text,
    WhereError,
    comparisons_of,
    fields_of,
    map_comparisons,
)

_FIELD: Final = "email"
_TESTS: Final = {"=", "LIKE", "IN"}  # an array is searched for an item that meets them; no search finds what is absent
_IS_EMAIL: Final = Comparison("communicationItems.communicationType", "=", Text("Email"))
_VALUE: Final = "communicationItems.value"


def split_emails(node: Node) -> tuple[Node | None, str | None]:
    """Cut what asks for `email` off a contact's `where`: the rest, and ConnectWise's `childConditions`.

    ConnectWise joins the two by AND, and one item of the array has to meet all of the second. Raises `WhereError` for
    what can't be asked so: `email` beside other fields in an OR, compared twice, or by another operator.
    """
    parts = node.parts if isinstance(node, And) else (node,)
    asking = [part for part in parts if _FIELD in _names(part)]
    if not asking:
        return node, None
    if len(asking) > 1 or _names(asking[0]) != {_FIELD} or isinstance(asking[0], And):
        raise WhereError("email can stand in one part of a where, joined to the others by AND.")
    rest = tuple(part for part in parts if part is not asking[0])
    child = And((_IS_EMAIL, map_comparisons(asking[0], _on_item)))
    kept = None if not rest else rest[0] if len(rest) == 1 else And(rest)
    return kept, to_conditions(child, field_types={_VALUE: "text"})


def check_emails(node: Node) -> None:
    """Raise `WhereError` for a comparison of `email` by what no search among several addresses can mean."""
    for comparison in comparisons_of(node):
        if comparison.field.lower() == _FIELD:
            _on_item(comparison)


def _names(node: Node) -> set[str]:
    return {name.lower() for name in fields_of(node)}


def _on_item(comparison: Comparison) -> Comparison:
    if comparison.operator not in _TESTS:
        raise WhereError(f"email can be compared with =, LIKE and IN, and not with {comparison.operator}.")
    return Comparison(_VALUE, comparison.operator, comparison.value)
