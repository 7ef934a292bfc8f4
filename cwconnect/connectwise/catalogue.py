"""The catalogue: what the hub calls a resource, where ConnectWise has it, and its usual poll."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

DEFAULT_RESOURCES: Final = ("contacts", "incidents", "organizations")
UPDATED_FIELD: Final = "_info.lastUpdated"
_ENTERED: Final = "_info.dateEntered"
_DATE_FORMAT: Final = "yyyy-MM-dd'T'HH:mm:ss'Z'"
_POLL_QUERY: Final = "where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'"

# What a field holds: `date`, `number` or `boolean`. Others are text, or judged by the literal's form.
COMMON_FIELD_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "id": "number",
        "lastUpdated": "date",
        "_info.lastUpdated": "date",
        "dateEntered": "date",
        "_info.dateEntered": "date",
    }
)


@dataclass(frozen=True)
class Resource:
    """One list of ConnectWise as the hub knows it. `created_field` is None where records have none (contacts).

    `titles`: of which fields a record's title is made (titles.py). `web_record`: what ConnectWise's own pages call such
    a record (web_links.py); empty where no source says so.
    """

    name: str
    path: str
    created_field: str | None
    aliases: tuple[str, ...]
    titles: tuple[str, ...]
    web_record: str
    field_types: Mapping[str, str] = field(repr=False, compare=False)


def find_resource(name: str) -> Resource | None:
    """Find a resource of the catalogue by its hub name or alias, in any case."""
    return _BY_NAME.get(name.strip().lower())


def resource_for_path(path: str) -> Resource | None:
    """Find a resource of the catalogue by ConnectWise's path, like `/company/contacts`, in any case."""
    return _BY_PATH.get(path.strip().lower().rstrip("/"))


def all_resources() -> tuple[Resource, ...]:
    """Return the catalogue, in its own order."""
    return _CATALOGUE


def all_names() -> frozenset[str]:
    """Return the hub names and aliases of the catalogue, in small letters."""
    return frozenset(_BY_NAME)


def default_configuration(resource: Resource) -> dict[str, Any]:
    """Make the poll configuration of a resource in the wire's shape (the seed's "Example JSON with Polling")."""
    return {
        "url": f"/hubs/crm/{resource.name}?{_POLL_QUERY}",
        "idField": "id",
        "datesConfiguration": {
            "updatedDateField": UPDATED_FIELD,
            "updatedDateFormat": _DATE_FORMAT,
            "updatedDateTimezone": "GMT",
            "createdDateField": resource.created_field or UPDATED_FIELD,
            "createdDateFormat": _DATE_FORMAT,
            "createdDateTimezone": "GMT",
        },
    }


def _make(
    name: str,
    path: str,
    created_field: str | None = _ENTERED,
    *,
    aliases: tuple[str, ...] = (),
    titles: tuple[str, ...] = ("name",),
    web_record: str = "",
    dates: str = "",
    numbers: str = "",
    booleans: str = "",
    references: str = "",
) -> Resource:
    types = dict(COMMON_FIELD_TYPES)
    types |= dict.fromkeys(dates.split(), "date")
    types |= dict.fromkeys(numbers.split(), "number")
    types |= dict.fromkeys(booleans.split(), "boolean")
    types |= {f"{reference}.id": "number" for reference in references.split()}
    return Resource(name, path, created_field, aliases, titles, web_record, MappingProxyType(types))


def _make_tickets(name: str, path: str, *, aliases: tuple[str, ...] = (), web_record: str = "") -> Resource:
    return _make(
        name,
        path,
        aliases=aliases,
        titles=("summary",),
        web_record=web_record,
        dates="requiredDate closedDate dateResolved dateResplan dateResponded estimatedStartDate",
        numbers="budgetHours actualHours priority.sort duration",
        booleans="closedFlag approved allowAllClientsPortalView customerUpdatedFlag isInSla hasChildTicket",
        references="board status company site contact type subType item owner priority team source project phase "
        "agreement serviceLocation department location parentTicket",
    )


_CATALOGUE: Final[tuple[Resource, ...]] = (
    _make(
        "contacts",
        "/company/contacts",
        None,
        titles=("firstName lastName",),
        web_record="ContactFV",
        dates="birthDay anniversary",
        booleans="inactiveFlag marriedFlag childrenFlag disablePortalLoginFlag unsubscribeFlag defaultBillingFlag "
        "defaultFlag",
        references="company site department relationship managerContact assistantContact",
    ),
    _make(
        "organizations",
        "/company/companies",
        aliases=("accounts",),
        titles=("name", "identifier"),
        web_record="CompanyFV",
        dates="dateAcquired dateDeleted",
        numbers="annualRevenue numberOfEmployees yearEstablished",
        booleans="deletedFlag leadFlag unsubscribeFlag",
        references="status country territory market defaultContact site timeZone billToCompany parentCompany",
    ),
    _make_tickets("incidents", "/service/tickets", aliases=("tickets",), web_record="ServiceFV"),
    _make_tickets("project-tickets", "/project/tickets"),
    _make(
        "opportunities",
        "/sales/opportunities",
        web_record="OpportunityFV",
        dates="expectedCloseDate closedDate pipelineChangeDate dateBecameLead",
        booleans="closedFlag",
        references="type stage status priority rating primarySalesRep secondarySalesRep company contact site campaign",
    ),
    _make(
        "activities",
        "/sales/activities",
        web_record="ActivityFV",
        dates="dateStart dateEnd",
        booleans="notifyFlag",
        references="type company contact status assignTo opportunity ticket agreement campaign",
    ),
    _make(
        "agreements",
        "/finance/agreements",
        web_record="AgreementFV",
        dates="startDate endDate nextInvoiceDate billStartDate",
        numbers="applicationLimit billAmount",
        booleans="noEndingDateFlag cancelledFlag oneTimeFlag billableTimeInvoice",
        references="type company contact site parentAgreement location department",
    ),
    _make(
        "invoices",
        "/finance/invoices",
        titles=("invoiceNumber, company.name",),
        dates="date dueDate taxDate",
        numbers="subtotal total balance payments credits salesTax remainingDownpayment",
        booleans="addToBatchEmailList",
        references="status company billToCompany shippedFromCompany billingTerms currency",
    ),
    _make(
        "time-entries",
        "/time/entries",
        "dateEntered",
        titles=("member.name, ticket.summary, company.name",),
        web_record="TimeEntryFV",
        dates="timeStart timeEnd",
        numbers="chargeToId actualHours hoursDeduct hoursBilled hourlyRate",
        booleans="addToDetailDescriptionFlag addToInternalAnalysisFlag addToResolutionFlag",
        references="company member workType workRole agreement timeSheet ticket project",
    ),
    _make(
        "expense-entries",
        "/expense/entries",
        "dateEntered",
        titles=("member.name, type.name, company.name",),
        dates="date",
        numbers="chargeToId amount billAmount agreementAmount odometerStart odometerEnd",
        references="company type member paymentMethod classification agreement expenseReport",
    ),
    _make(
        "configurations",
        "/company/configurations",
        web_record="ConfigFV",
        dates="installationDate purchaseDate warrantyExpirationDate",
        booleans="activeFlag needsRenewalFlag billFlag showRemoteFlag showAutomateFlag",
        references="type status company contact site location vendor manufacturer",
    ),
    _make(
        "projects",
        "/project/projects",
        web_record="ProjectHeaderFV",
        dates="actualStart actualEnd estimatedStart estimatedEnd",
        numbers="actualHours estimatedHours percentComplete budgetHours",
        booleans="closedFlag billTime",
        references="board status company contact site manager type location department agreement",
    ),
    _make(
        "schedule-entries",
        "/schedule/entries",
        dates="dateStart dateEnd",
        numbers="objectId hours",
        booleans="doneFlag acknowledgedFlag allowScheduleConflictsFlag",
        references="member where reminder status type",
    ),
    _make(
        "members",
        "/system/members",
        titles=("firstName lastName", "identifier"),
        dates="hireDate",
        numbers="hourlyRate dailyCapacity",
        booleans="inactiveFlag adminFlag disableOnlineFlag",
        references="securityRole type timeZone defaultLocation defaultDepartment workRole",
    ),
    _make(
        "purchase-orders",
        "/procurement/purchaseorders",
        titles=("poNumber, vendorCompany.name",),
        dates="poDate shipmentDate dateClosed",
        numbers="freightCost salesTax subTotal total",
        booleans="closedFlag",
        references="status vendorCompany vendorContact vendorSite terms warehouse",
    ),
    _make(
        "products",
        "/procurement/products",
        titles=("description", "catalogItem.identifier"),
        numbers="quantity price cost discount",
        booleans="cancelledFlag taxableFlag invoicedFlag",
        references="catalogItem company ticket project opportunity agreement invoice",
    ),
    _make("campaigns", "/marketing/campaigns", dates="startDate endDate", references="type subType status"),
)


def _index(pairs: Iterable[tuple[str, Resource]]) -> dict[str, Resource]:
    return {key.lower(): resource for key, resource in pairs}


_BY_NAME: Final = _index((name, resource) for resource in _CATALOGUE for name in (resource.name, *resource.aliases))
_BY_PATH: Final = _index((resource.path, resource) for resource in _CATALOGUE)
