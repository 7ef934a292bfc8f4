"""The resources that people watch most, each with what no description of ConnectWise's API says: aliases, web pages.

The catalogue begins with them. All others stand in `lists.txt` (further_resources.py).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from cwconnect.connectwise.resource import COMMON_FIELD_TYPES, Resource

_ENTERED: Final = "_info.dateEntered"


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


COMMON_RESOURCES: Final[tuple[Resource, ...]] = (
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
