"""References of a write: found by id, identifier or name, and stored whole, as ConnectWise answers them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cwconnect.sandbox.field_types import FieldType
from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.parts import BASE
from cwconnect.sandbox.values import UnfitValueError, id_of

if TYPE_CHECKING:
    from cwconnect.sandbox.data import Data
    from cwconnect.sandbox.table import Row, Table

_OWN = re.compile(r"\{(\w+)\}")
_NAMED_BY = ("identifier", "name")


class NoSuchRecordError(LookupError):
    """A reference names a record that is not there; the message says which."""


def resolved(data: Data, value: object, field: FieldType, record: Record) -> Record | None:
    """Return the reference that a write gives as `value` for a field of `record`; None where it is null.

    UnfitValueError for what is no reference, NoSuchRecordError for one to nothing. Into a list of which this sandbox
    holds no records, any id will do.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise UnfitValueError('A reference is wanted, such as {"id": 1}.')
    number = id_of(value.get("id"))
    named = next(((key, value[key]) for key in _NAMED_BY if isinstance(value.get(key), str)), None)
    if number is None and (value.get("id") is not None or named is None):
        raise UnfitValueError('A reference is wanted, such as {"id": 1}.')
    table = _table(data, field.target, record)
    if table is None:
        return value if number is None else value | {"id": number}
    row = _row_named(table, *named) if number is None and named else table.row(number or 0)
    if row is None or row.id in table.hidden:
        raise NoSuchRecordError(f"{table.spec.entity} {str(number or (named or ('', ''))[1])[:50]} not found")
    return reference_to(table, row)


def reference_to(table: Table, row: Row) -> Record:
    """Return a reference to a record: its id, what it is called, and where to find it."""
    record = table.record(row)
    made: Record = {"id": row.id}
    if isinstance(record.get("identifier"), str):
        made["identifier"] = record["identifier"]
    if "firstName" in record:
        made["name"] = f"{record.get('firstName') or ''} {record.get('lastName') or ''}".strip()
    elif title := next((record[key] for key in ("name", "description", "summary") if record.get(key)), None):
        made["summary" if title == record.get("summary") else "name"] = title
    return made | {"_info": {f"{table.spec.resource}_href": f"{BASE}{table.spec.path}/{row.id}"}}


def _table(data: Data, target: str, record: Record) -> Table | None:
    """Return the list that a reference leads into; None where it is not known or holds nothing."""
    above = _OWN.search(target)
    owner = record.get(above[1]) if above else None
    number = id_of(owner.get("id")) if isinstance(owner, dict) else None
    if not target or (above and number is None):
        return None
    path = _OWN.sub(str(number), target)
    table = data.nested_table(path) if above else data.find_table(path)
    return None if table is None or table.next_id == table.spec.first else table


def _row_named(table: Table, key: str, name: str) -> Row | None:
    wanted = name.casefold()
    return next((row for row in table.rows if str(table.record(row).get(key)).casefold() == wanted), None)
