"""The lists that the sandbox serves: hub name, path, and what distinguishes one kind of record from another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.parts import Draw

Created = Literal["none", "info", "top", "unstamped"]
Kind = Callable[[int, Draw, int], Record]
"""Makes a record's fields from its number, a draw and its stamp (Unix seconds)."""
API_MEMBER = "api"
"""The member that all callers of the REST API are."""


@dataclass(frozen=True)
class ListSpec:
    """One list. `created` says where a record keeps its creation date, or that it has no `_info` at all; `edit` is the
    field that moves by itself.

    `aside` keeps a list out of the counts, and so from changes by themselves.

    `also` names fields that conditions may call though the made-up records leave them out, as newer sites leave out
    what is null.

    `linking` names the fields by which a record beneath another one says whose it is.

    `kind` makes the records where the list's name says nothing of them: `amount` at the start, from the id `first` on.
    """

    name: str
    path: str
    entity: str
    required: tuple[str, ...] = ("name",)
    created: Created = "info"
    edit: str = "name"
    also: tuple[str, ...] = ()
    aside: bool = False
    kind: Kind | None = field(default=None, repr=False, compare=False)
    first: int = 1
    amount: int = 0
    linking: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """The entity as ConnectWise's error bodies spell it."""
        return self.entity[:1].lower() + self.entity[1:]


_ADDRESS = ("addressLine1", "addressLine2", "city", "state", "zip", "country/id", "country/name")
_CONTACT_ALSO = (
    *("type/id", "type/name", "relationship/name", "department/id", "department/name", "manager/id"),
    *("nickName", "school", "gender", "birthDay", "anniversary", "portalSecurityLevel", "userDefinedField1"),
    *_ADDRESS,
)
_COMPANY_ALSO = (
    *("addressLine2", "faxNumber", "market/id", "market/name", "defaultContact/id", "accountNumber", "dateAcquired"),
    *("annualRevenue", "numberOfEmployees", "leadFlag", "vendorIdentifier", "dateDeleted", "deletedBy"),
)
_TICKET_ALSO = (
    *("team/id", "team/name", "source/id", "source/name", "item/id", "item/name", "agreement/id", "agreement/name"),
    *("closedDate", "closedBy", "resources", "parentTicketId", "estimatedStartDate", "contactPhoneNumber", "poNumber"),
    *("serviceLocation/name", "sla/id", "slaStatus", "isInSla", "resPlanMinutes", "respondMinutes", "resolveMinutes"),
)
CATALOGUE = (
    ListSpec("contacts", "/company/contacts", "Contact", ("firstName",), "none", "title", _CONTACT_ALSO),
    ListSpec(
        "organizations",
        "/company/companies",
        "Company",
        ("identifier", "name"),
        edit="addressLine1",
        also=_COMPANY_ALSO,
    ),
    ListSpec("incidents", "/service/tickets", "Ticket", ("summary", "company"), edit="summary", also=_TICKET_ALSO),
    ListSpec(
        "project-tickets", "/project/tickets", "Ticket", ("summary", "project"), edit="summary", also=_TICKET_ALSO
    ),
    ListSpec("opportunities", "/sales/opportunities", "Opportunity"),
    ListSpec("activities", "/sales/activities", "Activity"),
    ListSpec("agreements", "/finance/agreements", "Agreement", ("name", "type", "company")),
    ListSpec("invoices", "/finance/invoices", "Invoice", ("company",), edit="reference"),
    ListSpec("time-entries", "/time/entries", "TimeEntry", ("timeStart",), "top", "notes"),
    ListSpec("expense-entries", "/expense/entries", "ExpenseEntry", ("amount", "date"), "top", "notes"),
    ListSpec("configurations", "/company/configurations", "Configuration", ("name", "type", "company")),
    ListSpec("projects", "/project/projects", "Project", ("name", "board", "company")),
    ListSpec("schedule-entries", "/schedule/entries", "ScheduleEntry", ("objectId",)),
    ListSpec("members", "/system/members", "Member", ("identifier", "firstName"), edit="title"),
    ListSpec("purchase-orders", "/procurement/purchaseorders", "PurchaseOrder", ("vendorCompany",), edit="poNumber"),
    ListSpec("products", "/procurement/products", "Product", ("catalogItem", "quantity"), edit="description"),
    ListSpec("campaigns", "/marketing/campaigns", "Campaign", ("name", "type")),
    ListSpec(
        "callbacks",
        "/system/callbacks",
        "CallbackEntry",
        ("url", "objectId", "type", "level"),
        "none",
        also=("description",),
        aside=True,
    ),
)
DEFAULT_RECORDS = {"contacts": 1000, "incidents": 500} | dict.fromkeys(
    (
        *("organizations", "configurations", "opportunities", "activities", "agreements", "invoices", "time-entries"),
        *("expense-entries", "projects", "project-tickets", "schedule-entries", "purchase-orders", "products"),
    ),
    40,
)
DEFAULT_RECORDS |= {"members": 8, "campaigns": 4}
_ALIASES = {"accounts": "organizations", "tickets": "incidents"}


def list_key(name: str) -> str:
    """Return the form under which a hub name or a path is looked up: lower case, no slash at either end."""
    key = name.strip().strip("/").lower()
    return _ALIASES.get(key, key)


def spec_for_path(path: str) -> ListSpec:
    """Return a plain list for a path that the catalogue does not know, such as `/company/notes`."""
    parts = path.strip("/").split("/")
    word = parts[-1].removesuffix("s") or "Record"
    return ListSpec("/" + "/".join(parts), "/" + "/".join(parts), word[:1].upper() + word[1:], (), "none")
