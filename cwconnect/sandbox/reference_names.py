"""What stands in the lists that other records refer to: boards and their statuses, priorities, types, locations, …

A record's id is its place in its list, so a reference made from the same words points at it. Of a nested list, such as
a board's statuses, each parent has its own hundred of ids (`child_id`), since ids are unique in all of a site.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cwconnect.sandbox.jsontext import Record

HUNDRED: Final = 100
"""The ids that each parent has for the records beneath it."""

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "/service/boards": ("Help Desk", "Network", "Alerts", "Projects"),
    "/service/boards/{}/statuses": ("New", "In Progress", "Waiting", "Closed"),
    "/service/boards/{}/types": ("Request", "Incident", "Change"),
    "/service/boards/{}/subtypes": ("Hardware", "Software", "Access"),
    "/service/boards/{}/items": ("Laptop", "Printer", "Mailbox"),
    "/service/boards/{}/teams": ("First line", "Second line"),
    "/service/priorities": (
        "Priority 1 - Critical",
        "Priority 2 - High",
        "Priority 3 - Medium",
        "Priority 4 - Low",
    ),
    "/service/severities": ("Low", "Medium", "High"),
    "/service/impacts": ("Low", "Medium", "High"),
    "/service/sources": ("Phone", "Email Connector", "Portal"),
    "/service/SLAs": ("Standard", "Premium"),
    "/service/locations": ("On-Site", "Remote", "In-House"),
    "/company/companies/statuses": ("Active", "Inactive", "Credit Hold"),
    "/company/companies/types": ("Client", "Prospect", "Vendor"),
    "/company/companies/{}/sites": ("Main", "Branch", "Warehouse"),
    "/company/contacts/types": ("End User", "Approver", "Decision Maker"),
    "/company/contacts/departments": ("Accounting", "Operations", "Sales"),
    "/company/contacts/relationships": ("Employee", "Contractor"),
    "/company/communicationTypes": ("Email", "Direct", "Cell", "Fax"),
    "/company/configurations/types": ("Workstation", "Server", "Printer"),
    "/company/configurations/statuses": ("Active", "Retired"),
    "/company/countries": ("United States", "Canada", "United Kingdom", "Germany", "Australia"),
    "/company/marketDescriptions": ("Health care", "Legal", "Manufacturing"),
    "/company/noteTypes": ("Comments", "Sales", "Network"),
    "/company/ownershipTypes": ("Private", "Public"),
    "/company/states": ("Florida", "Colorado", "Maine", "Texas"),
    "/company/teamRoles": ("Account Manager", "Engineer", "Sales"),
    "/project/statuses": ("Open", "Closed"),
    "/project/phaseStatuses": ("Open", "Closed"),
    "/project/projectTypes": ("Installation", "Migration"),
    "/project/securityRoles": ("Project Manager", "Engineer"),
    "/project/projects/{}/phases": ("Plan", "Build", "Hand over"),
    "/sales/stages": ("Prospect", "Quote", "Negotiation"),
    "/sales/opportunities/statuses": ("Open", "Won", "Lost"),
    "/sales/opportunities/types": ("Hardware", "Services"),
    "/sales/opportunities/ratings": ("Cold", "Warm", "Hot"),
    "/sales/probabilities": ("10", "50", "90"),
    "/sales/activities/types": ("Call", "Meeting", "Email"),
    "/sales/activities/statuses": ("Open", "Closed"),
    "/finance/agreements/types": ("Managed", "Block Hours"),
    "/finance/billingCycles": ("Monthly", "Quarterly", "Yearly"),
    "/finance/billingStatuses": ("New", "Sent", "Paid"),
    "/finance/billingTerms": ("Net 10", "Net 30"),
    "/finance/currencies": ("US Dollar", "Euro"),
    "/finance/taxCodes": ("None", "State"),
    "/expense/types": ("Mileage", "Meals", "Parking"),
    "/expense/paymentTypes": ("Company card", "Own money"),
    "/time/workTypes": ("Regular", "Overtime"),
    "/time/workRoles": ("Engineer", "Technician"),
    "/time/chargeCodes": ("Training", "Vacation"),
    "/schedule/types": ("Vacation", "Meeting", "Sales", "Service"),
    "/schedule/statuses": ("Firm", "Tentative"),
    "/schedule/calendars": ("Office hours",),
    "/schedule/holidayLists": ("Public holidays",),
    "/schedule/holidayLists/{}/holidays": ("New Year", "Labor Day"),
    "/procurement/purchaseorderstatuses": ("New", "Ordered", "Received"),
    "/marketing/campaigns/types": ("Mail", "Event"),
    "/marketing/campaigns/statuses": ("Active", "Done"),
    "/system/locations": ("North", "South", "West"),
    "/system/departments": ("Services", "Sales"),
    "/system/members/types": ("Employee", "Contractor"),
    "/system/standardNotes": ("Thank you", "Next steps"),
    "/system/timeZoneSetups": ("US Eastern", "US Central"),
    "/system/securityroles": ("Admin", "Technician"),
    "/system/userDefinedFields": (
        *("Customer Number", "Asset tag", "Cost center", "Lead source", "Outcome", "Account code", "Seats"),
    ),
}


def more(template: str, place: int) -> Record:
    """Return what a list's record at a place (from 0) has besides its name; empty for most lists."""
    found = _MORE.get(template, {})
    return {key: value[place % len(value)] if isinstance(value, tuple) else value for key, value in found.items()}


# A tuple has one value for each of the list's records, in their order.
_MORE: Final[Mapping[str, Mapping[str, Any]]] = {
    "/service/boards": {"projectFlag": (False, False, False, True), "boardIcon": None},
    "/service/boards/{}/statuses": {
        "closedStatus": (False, False, False, True),
        "sortOrder": (10, 20, 30, 40),
        "displayOnBoard": True,
        "inactive": False,
        "timeEntryNotAllowed": False,
        "escalationStatus": ("NotResponded", "Responded", "Waiting", "Resolved"),
    },
    "/service/boards/{}/teams": {"members": [1, 2], "teamLeader": 1},
    "/service/priorities": {
        "sortOrder": (1, 2, 3, 4),
        "color": ("Red", "Orange", "Yellow", "White"),
        "level": "Priority1",
    },
    "/company/companies/statuses": {"notifyFlag": False, "disallowSavingFlag": False, "trackFlag": False},
    "/company/companies/types": {"vendorFlag": (False, False, True), "serviceAlertFlag": False},
    "/company/communicationTypes": {
        "emailFlag": (True, False, False, False),
        "phoneFlag": (False, True, True, False),
        "faxFlag": (False, False, False, True),
        "defaultFlag": (True, True, False, False),
    },
    "/sales/probabilities": {"probability": (10, 50, 90)},
    "/sales/opportunities/statuses": {
        "wonFlag": (False, True, False),
        "lostFlag": (False, False, True),
        "closedFlag": (False, True, True),
    },
    "/sales/activities/statuses": {"closedFlag": (False, True)},
    "/sales/activities/types": {"points": 1, "emailFlag": (False, False, True), "historyFlag": True},
    "/sales/opportunities/{}/notes": {"text": "They asked for a second offer."},
    "/service/tickets/{}/notes": {
        "text": ("The user called.", "Looked into it."),
        "createdBy": "jhansen",
        "externalFlag": False,
    },
    "/project/tickets/{}/notes": {"text": ("Planned.", "Begun."), "externalFlag": False},
    "/project/statuses": {"closedFlag": (False, True)},
    "/project/phaseStatuses": {"closedFlag": (False, True)},
    "/project/projects/{}/phases": {"wbsCode": ("1", "2", "3"), "scheduledHours": 8.0},
    "/system/locations": {"where": None},
    "/schedule/types": {"identifier": ("V", "M", "C", "S")},
    "/schedule/statuses": {"showAsTentativeFlag": (False, True)},
    "/system/standardNotes": {"contents": "Thank you for your patience."},
    "/system/userDefinedFields": {
        "podId": (1, 2, 3, 4, 5, 6, 6),
        "sequenceNumber": (1, 1, 1, 1, 1, 1, 2),
        "fieldTypeIdentifier": (*["Text"] * 6, "Number"),
        "entryTypeIdentifier": "EntryField",
        "numberDecimals": 0,
        "displayOnScreenFlag": True,
        "addAllLocations": True,
        "addAllBusinessUnits": True,
    },
}


def child_id(parent: int, place: int) -> int:
    """Return the id of the record at a place (from 0) beneath a parent."""
    return (parent - 1) * HUNDRED + place + 1
