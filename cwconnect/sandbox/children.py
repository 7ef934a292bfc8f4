"""`childConditions` and `customFieldConditions`: tests of what a record holds in arrays.

A record passes if one of its items meets the whole condition. Items are called by their array's name
(`communicationItems/value`), those of `customFields` in `customFieldConditions` by their own (`caption`, `value`).
"""

from __future__ import annotations

from dataclasses import dataclass

from cwconnect.sandbox.conditions import compile_conditions
from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.names import Field, Names
from cwconnect.sandbox.predicates import Predicate
from cwconnect.sandbox.table import Row, Table

_CUSTOM = "customFields"


class _Item(Row):
    """One item of an array, in the dress of a row."""

    __slots__ = ("record",)

    def __init__(self, record: Record) -> None:
        super().__init__(0, None, b"")
        self.record = record


@dataclass(frozen=True)
class _CustomNames:
    """The names of custom fields, without the array's name before them."""

    names: Names

    def find(self, name: str) -> Field | None:
        return self.names.find(f"{_CUSTOM}/{name}")


def compile_child_conditions(text: str, table: Table) -> Predicate:
    """Return the test that some item of some array meets `text`."""
    return _any_item(table, compile_conditions(text, table.names.items, _record_of), None)


def compile_custom_conditions(text: str, table: Table) -> Predicate:
    """Return the test that some custom field meets `text`."""
    return _any_item(table, compile_conditions(text, _CustomNames(table.names.items), _record_of), _CUSTOM)


def _any_item(table: Table, test: Predicate, only: str | None) -> Predicate:
    def passes(row: Row) -> bool:
        arrays = ((key, value) for key, value in table.record(row).items() if isinstance(value, list))
        items = (_Item({key: item}) for key, value in arrays if only in {None, key} for item in value)
        return any(test(item) for item in items)

    return passes


def _record_of(row: Row) -> Record:
    return row.record if isinstance(row, _Item) else {}
