"""Which lists of ConnectWise have callbacks, and by which word.

Source: ConnectWise's developer guide, "Callbacks". Nothing else has any: notes and time entries on a ticket are
announced as an update of the ticket.
"""

from __future__ import annotations

from collections.abc import Iterable

SERVICE_TICKETS, PROJECT_TICKETS = "/service/tickets", "/project/tickets"
_TICKET = "ticket"
_TYPE_OF_PATH = {
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
    SERVICE_TICKETS: _TICKET,
    PROJECT_TICKETS: _TICKET,
}
TYPES = frozenset(_TYPE_OF_PATH.values())


def type_of_path(path: str) -> str | None:
    """Return the callback type of a list by its path (`/company/contacts`, in any case); None if it has none."""
    return _TYPE_OF_PATH.get(path.lower())


def types_of_paths(paths: Iterable[str]) -> set[str]:
    """Return the callback types by which the changes of these lists are announced."""
    return {found for path in paths if (found := type_of_path(path)) is not None}


def paths_of_type(type_: str, record_type: str | None = None) -> frozenset[str]:
    """Return the lists that an announcement of this type may concern, in lower case.

    `record_type` is a ticket's `recordType`; a delete has none, and may concern either list of tickets.
    """
    if type_ == _TICKET and record_type:
        return frozenset({PROJECT_TICKETS if record_type.lower().startswith("project") else SERVICE_TICKETS})
    return frozenset(path for path, found in _TYPE_OF_PATH.items() if found == type_)
