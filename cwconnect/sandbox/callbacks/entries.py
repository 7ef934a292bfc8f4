"""What `/system/callbacks` takes, and refuses in the recorded words (docs/connectwise.md#callbacks)."""

from __future__ import annotations

from urllib.parse import urlsplit

from cwconnect.sandbox.errors import invalid_object
from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.table import Table

TYPES = {
    "/sales/activities": "activity",
    "/finance/agreements": "agreement",
    "/company/companies": "company",
    "/company/configurations": "configuration",
    "/company/contacts": "contact",
    "/expense/entries": "expense",
    "/finance/invoices": "invoice",
    "/system/members": "member",
    "/sales/opportunities": "opportunity",
    "/procurement/catalog": "productcatalog",
    "/project/projects": "project",
    "/procurement/purchaseorders": "purchaseorder",
    "/schedule/entries": "schedule",
    "/time/entries": "time",
    "/service/tickets": "ticket",
    "/project/tickets": "ticket",
}
"""The type of callback by the path of its list; other lists have none."""
ALL_RECORDS = "owner"
"""The level of a callback for all records of its type. At the level named as the type, `objectId` is one record."""
_RESOURCE = "callbackEntry"
_LONGEST_DESCRIPTION = 100
_DEFAULTS: Record = {
    "memberId": 243,
    "payloadVersion": "3.0.0",
    "inactiveFlag": False,
    "isSoapCallbackFlag": False,
    "isSelfSuppressedFlag": False,
}
_TAKEN = ("url", "objectId", "type", "level", "payloadVersion", "inactiveFlag", "isSelfSuppressedFlag", "description")
_MATCHED = ("url", "objectId", "type", "level")


def entry_of(given: Record, *, number: int, guid: str, info: Record) -> Record:
    """Return the entry as it is stored and shown, its members in the recorded order."""
    taken = {name: given[name] for name in _TAKEN if given.get(name) is not None}
    shown = {"id": number, **{name: taken.pop(name) for name in _MATCHED if name in taken}, **_DEFAULTS, **taken}
    stamps = {name: info[name] for name in ("lastUpdated", "updatedBy") if name in info}
    return shown | {"connectWiseID": guid, "_info": stamps}


def check(entry: Record, table: Table) -> None:
    """Refuse, in the recorded words, an entry that can't be stored; its `type` and `level` may be in any case."""
    if not _is_url(entry["url"]):
        raise invalid_object(_RESOURCE, "Invalid URL", field="url")
    kind, level = str(entry["type"]).lower(), str(entry["level"]).lower()
    if kind not in TYPES.values() or level not in (ALL_RECORDS, kind):
        words = "Unrecognized level for type, see documentation for supported levels for each type"
        raise invalid_object(_RESOURCE, words, field="level", code="InvalidObject")
    if len(str(entry.get("description", ""))) > _LONGEST_DESCRIPTION:
        words = f"Length must be {_LONGEST_DESCRIPTION} or less"
        raise invalid_object(_RESOURCE, words, field="description")
    if any(_same(entry, table.record(row)) for row in table.rows if row.id != entry["id"]):
        words = "A matching callback entry already exists"
        raise invalid_object(_RESOURCE, words, field="objectId", code="ObjectExists")


def _is_url(text: object) -> bool:
    try:
        parts = urlsplit(str(text))
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _same(entry: Record, other: Record) -> bool:
    named = all(str(entry.get(name)).lower() == str(other.get(name)).lower() for name in ("objectId", "type", "level"))
    return named and entry.get("url") == other.get("url")
