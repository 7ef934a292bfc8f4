"""User-defined fields: `customFields` of records, by the definitions at `/system/userDefinedFields`.

A definition belongs to a pod, a part of ConnectWise's screens; which number a site gives to a pod is its own affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cwconnect.sandbox import values
from cwconnect.sandbox.jsontext import Record, loads
from cwconnect.sandbox.values import Problem, UnfitValueError

if TYPE_CHECKING:
    from cwconnect.sandbox.data import Data

LIST = "/system/userDefinedFields"
MEMBER = "customFields"
PODS = {
    1: ("/company/contacts",),
    2: ("/service/tickets", "/project/tickets"),
    3: ("/project/projects",),
    4: ("/sales/opportunities",),
    5: ("/sales/activities",),
    6: ("/company/companies",),
    7: ("/company/configurations",),
    8: ("/finance/agreements",),
}
"""The lists whose records show a pod's fields, by the number that this sandbox gives to the pod."""
_NUMBERS = {"Number", "Currency", "Percent"}


def definitions_for(data: Data, path: str) -> list[Record]:
    """Return the definitions that the records of a list have fields by, in their order."""
    pods = {pod for pod, paths in PODS.items() if path in paths}
    table = data.find_table(LIST) if pods else None
    found: list[Record] = [loads(row.body) for row in table.rows] if table else []
    mine = [definition for definition in found if definition.get("podId") in pods]
    return sorted(mine, key=lambda definition: (definition.get("sequenceNumber") or 0, definition["id"]))


def merged(definitions: Iterable[Record], held: object, given: Sequence[object]) -> tuple[list[Record], list[Problem]]:
    """Return a record's custom fields after a write, and what is wrong with those given.

    What is left out keeps its value; a null clears it. Those given are known by their `id`.
    """
    by_id = {definition["id"]: definition for definition in definitions}
    kept = {item["id"]: item.get("value") for item in held if "id" in item} if isinstance(held, list) else {}
    problems = []
    for item in given:
        number = values.id_of(item.get("id")) if isinstance(item, dict) else None
        if number not in by_id or not isinstance(item, dict):
            problems.append(Problem("InvalidField", f"There is no custom field {str(number or item)[:50]}.", MEMBER))
            continue
        try:
            kept[number] = _value(item.get("value"), by_id[number])
        except UnfitValueError as error:
            problems.append(Problem("InvalidField", f"{by_id[number].get('caption')}: {error}", MEMBER))
    problems += [
        Problem("MissingRequiredField", f"The {definition.get('caption')} field is required.", MEMBER)
        for definition in by_id.values()
        if definition.get("requiredFlag") and given and kept.get(definition["id"]) in (None, "")
    ]
    return [_shown(definition, kept.get(number)) for number, definition in by_id.items()], problems


def spread(data: Data, pod: object) -> None:
    """Set on all records of a pod's lists the fields that its definitions say now; their stamps stand still."""
    for path in PODS.get(pod, ()) if isinstance(pod, int) else ():
        table, definitions = data.table(path), definitions_for(data, path)
        for row in [*table.rows]:
            record: Record = loads(row.body)
            fields, _ = merged(definitions, record.pop(MEMBER, None), ())
            info = {"_info": record.pop("_info")} if "_info" in record else {}
            table.put(record | ({MEMBER: fields} if fields else {}) | info)


def _shown(definition: Record, value: object) -> Record:
    """Return a field as records show it: without a value where it has none, as newer sites do."""
    shown = {
        "id": definition["id"],
        "caption": definition.get("caption"),
        "type": definition.get("fieldTypeIdentifier", "Text"),
        "entryMethod": definition.get("entryTypeIdentifier", "EntryField"),
        "numberOfDecimals": definition.get("numberDecimals", 0),
    }
    return shown if value is None else shown | {"value": value}


def _value(value: object, definition: Record) -> object:
    kind = definition.get("fieldTypeIdentifier")
    if value is None or value == "":
        return None
    if kind in _NUMBERS:
        return values.number(value)
    if kind == "Checkbox":
        return values.boolean(value)
    return values.date(value) if kind == "Date" else values.text(value)
