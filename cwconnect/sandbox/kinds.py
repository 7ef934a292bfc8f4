"""The made-up records, kind by kind, with the fields that ConnectWise's own have; without `id` and `_info`."""

from __future__ import annotations

from collections.abc import Callable

from cwconnect.sandbox import parts
from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.moments import to_text
from cwconnect.sandbox.parts import Draw, choose, company_ref, member_ref, ref

Kind = Callable[[int, Draw, int], Record]
COMPANIES = 40


def _company(draw: Draw) -> Record:
    return company_ref(1 + draw.below(COMPANIES))


def _site(draw: Draw) -> Record:
    return choose(draw, ("Main", "Branch", "Warehouse"), "site", "/company/companies/1/sites")


def _contact(number: int, draw: Draw, _stamp: int) -> Record:
    first, last = draw.pick(parts.FIRST_NAMES), draw.pick(parts.LAST_NAMES)
    mail, number_text = f"{first}.{last}{number}@example.com".lower(), parts.phone(draw)
    return {
        "firstName": first,
        "lastName": last,
        "company": _company(draw),
        "site": {"id": 1, "name": "Main"},
        "title": draw.pick(parts.TITLES),
        "inactiveFlag": draw.below(20) == 0,
        "marriedFlag": False,
        "childrenFlag": False,
        "disablePortalLoginFlag": True,
        "unsubscribeFlag": False,
        "mobileGuid": f"{draw.below(1 << 30):08x}-5eed-4a5e-8c0d-{number:012x}",
        "defaultPhoneType": "Direct",
        "defaultPhoneNbr": number_text,
        "defaultBillingFlag": False,
        "defaultFlag": draw.below(10) == 0,
        "communicationItems": [
            _communication(number * 2, 2, "Direct", number_text, "Phone"),
            _communication(number * 2 + 1, 1, "Email", mail, "Email") | {"domain": "@example.com"},
        ],
        "types": [{"id": 1, "name": "End User"}],
        "customFields": _custom_fields(draw),
    }


def _communication(number: int, kind: int, name: str, value: str, medium: str) -> Record:
    return {
        "id": number,
        "type": {"id": kind, "name": name},
        "value": value,
        "defaultFlag": True,
        "communicationType": medium,
    }


def _custom_fields(draw: Draw) -> list[Record]:
    field = {"id": 1, "caption": "Customer Number", "type": "Text", "entryMethod": "EntryField", "numberOfDecimals": 0}
    return [field | {"value": f"C{draw.below(100000):05d}"}]


def _organization(number: int, draw: Draw, _stamp: int) -> Record:
    name, (city, state, code) = parts.company_name(number), draw.pick(parts.CITIES)
    return {
        "identifier": name.replace(" ", ""),
        "name": name,
        "status": choose(draw, ("Active", "Inactive", "Credit Hold"), "status", "/company/companies/statuses"),
        "addressLine1": f"{1 + draw.below(900)} {draw.pick(parts.STREETS)}",
        "city": city,
        "state": state,
        "zip": code,
        "country": ref(1, "United States", "country", "/company/countries"),
        "phoneNumber": parts.phone(draw),
        "website": f"www.{name.replace(' ', '').lower()}.example",
        "territory": choose(draw, ("North", "South", "West"), "location", "/system/locations"),
        "types": [{"id": 1, "name": "Client"}],
        "site": _site(draw),
        "deletedFlag": False,
    }


def _ticket(number: int, draw: Draw, stamp: int) -> Record:
    contact = f"{draw.pick(parts.FIRST_NAMES)} {draw.pick(parts.LAST_NAMES)}"
    return {
        "summary": draw.pick(parts.TROUBLES),
        "recordType": "ServiceTicket",
        "board": choose(draw, ("Help Desk", "Network", "Alerts"), "board", "/service/boards"),
        "status": choose(draw, ("New", "In Progress", "Waiting", "Closed"), "status", "/service/boards/1/statuses"),
        "company": _company(draw),
        "site": _site(draw),
        "contact": ref(1 + draw.below(500), contact, "contact", "/company/contacts"),
        "contactName": contact,
        "contactEmailAddress": f"{contact.replace(' ', '.').lower()}@example.com",
        "type": choose(draw, ("Request", "Incident", "Change"), "type", "/service/boards/1/types"),
        "subType": choose(draw, ("Hardware", "Software", "Access"), "subType", "/service/boards/1/subtypes"),
        "owner": member_ref(draw),
        "priority": ref(3, "Priority 3 - Medium", "priority", "/service/priorities") | {"sort": 3},
        "severity": draw.pick(("Low", "Medium", "High")),
        "impact": draw.pick(("Low", "Medium", "High")),
        "requiredDate": to_text(stamp + 86400 * 3),
        "budgetHours": float(draw.below(8)),
        "actualHours": draw.below(40) / 4,
        "closedFlag": draw.below(3) == 0,
        "approved": True,
    }


def _project_ticket(number: int, draw: Draw, stamp: int) -> Record:
    project = ref(1 + draw.below(20), f"Project {1 + draw.below(20)}", "project", "/project/projects")
    return _ticket(number, draw, stamp) | {"recordType": "ProjectTicket", "project": project}


def _opportunity(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "name": f"{draw.pick(('Server', 'Firewall', 'Cloud', 'Support'))} deal {number}",
        "expectedCloseDate": to_text(stamp + 86400 * 30),
        "stage": choose(draw, ("Prospect", "Quote", "Negotiation"), "stage", "/sales/stages"),
        "status": choose(draw, ("Open", "Won", "Lost"), "status", "/sales/opportunities/statuses"),
        "primarySalesRep": member_ref(draw),
        "company": _company(draw),
        "closedFlag": draw.below(4) == 0,
    }


def _activity(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "name": f"Call about: {draw.pick(parts.TROUBLES)}",
        "type": choose(draw, ("Call", "Meeting", "Email"), "type", "/sales/activities/types"),
        "company": _company(draw),
        "status": choose(draw, ("Open", "Closed"), "status", "/sales/activities/statuses"),
        "assignTo": member_ref(draw),
        "dateStart": to_text(stamp + 3600),
        "dateEnd": to_text(stamp + 7200),
    }


def _agreement(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "name": f"Managed services {number}",
        "type": choose(draw, ("Managed", "Block Hours"), "type", "/finance/agreements/types"),
        "company": _company(draw),
        "startDate": to_text(stamp - 86400 * 365),
        "noEndingDateFlag": True,
        "cancelledFlag": False,
        "billAmount": float(100 * draw.below(50)),
        "agreementStatus": "Active",
    }


def _invoice(number: int, draw: Draw, stamp: int) -> Record:
    total = draw.below(100000) / 100
    return {
        "invoiceNumber": str(10000 + number),
        "type": "Miscellaneous",
        "status": choose(draw, ("New", "Sent", "Paid"), "status", "/finance/billingStatuses"),
        "company": _company(draw),
        "reference": f"PO {draw.below(9999):04d}",
        "date": to_text(stamp),
        "dueDate": to_text(stamp + 86400 * 30),
        "total": total,
        "balance": total if draw.below(2) else 0.0,
    }


def _time_entry(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "company": _company(draw),
        "chargeToId": 1 + draw.below(500),
        "chargeToType": "ServiceTicket",
        "member": member_ref(draw),
        "timeStart": to_text(stamp - 3600),
        "timeEnd": to_text(stamp),
        "actualHours": 1.0,
        "billableOption": "Billable",
        "notes": f"Looked into: {draw.pick(parts.TROUBLES)}",
        "status": "Open",
    }


def _expense_entry(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "company": _company(draw),
        "chargeToId": 1 + draw.below(500),
        "chargeToType": "ServiceTicket",
        "member": member_ref(draw),
        "type": choose(draw, ("Mileage", "Meals", "Parking"), "type", "/expense/types"),
        "amount": draw.below(20000) / 100,
        "billableOption": "Billable",
        "date": to_text(stamp),
        "notes": draw.pick(parts.STREETS),
    }


def _configuration(number: int, draw: Draw, _stamp: int) -> Record:
    return {
        "name": f"WS-{number:05d}",
        "type": choose(draw, ("Workstation", "Server", "Printer"), "type", "/company/configurations/types"),
        "status": choose(draw, ("Active", "Retired"), "status", "/company/configurations/statuses"),
        "company": _company(draw),
        "serialNumber": f"SN{draw.below(1 << 30):010d}",
        "modelNumber": f"M{draw.below(900)}",
        "activeFlag": True,
    }


def _project(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "name": f"{draw.pick(('Migration', 'Office move', 'Rollout', 'Audit'))} {number}",
        "board": ref(4, "Projects", "board", "/service/boards"),
        "company": _company(draw),
        "status": choose(draw, ("Open", "Closed"), "status", "/project/statuses"),
        "estimatedStart": to_text(stamp),
        "estimatedEnd": to_text(stamp + 86400 * 60),
        "percentComplete": draw.below(100) / 100,
        "manager": member_ref(draw),
    }


def _schedule_entry(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "objectId": 1 + draw.below(500),
        "member": member_ref(draw),
        "type": ref(4, "Service", "type", "/schedule/types"),
        "name": f"Visit {number}",
        "dateStart": to_text(stamp + 3600),
        "dateEnd": to_text(stamp + 7200),
        "doneFlag": False,
    }


def _member(number: int, draw: Draw, _stamp: int) -> Record:
    first, last = draw.pick(parts.FIRST_NAMES), draw.pick(parts.LAST_NAMES)
    return {
        "identifier": f"{first[:1]}{last}{number}".lower(),
        "firstName": first,
        "lastName": last,
        "title": draw.pick(parts.TITLES),
        "officeEmail": f"member{number}@example.com",
        "inactiveFlag": False,
        "licenseClass": "F",
    }


def _purchase_order(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "poNumber": f"PO-{number:05d}",
        "vendorCompany": _company(draw),
        "status": choose(draw, ("New", "Ordered", "Received"), "status", "/procurement/purchaseorderstatuses"),
        "poDate": to_text(stamp),
        "total": draw.below(500000) / 100,
        "closedFlag": False,
    }


def _product(number: int, draw: Draw, _stamp: int) -> Record:
    item = draw.pick(("Laptop", "Dock", "Switch", "License"))
    return {
        "catalogItem": {"id": 1 + draw.below(50), "identifier": item.upper()},
        "description": f"{item} {number}",
        "quantity": float(1 + draw.below(5)),
        "price": draw.below(200000) / 100,
        "cost": draw.below(100000) / 100,
        "billableOption": "Billable",
        "cancelledFlag": False,
    }


def _campaign(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "name": f"Campaign {number}",
        "type": choose(draw, ("Mail", "Event"), "type", "/marketing/campaigns/types"),
        "status": choose(draw, ("Active", "Done"), "status", "/marketing/campaigns/statuses"),
        "startDate": to_text(stamp),
        "inactive": False,
    }


def generic(number: int, draw: Draw, _stamp: int) -> Record:
    """Give a record of a list that the catalogue does not know."""
    return {"name": f"Record {number}", "description": draw.pick(parts.TROUBLES), "inactiveFlag": False}


KINDS: dict[str, Kind] = {
    "contacts": _contact,
    "organizations": _organization,
    "incidents": _ticket,
    "project-tickets": _project_ticket,
    "opportunities": _opportunity,
    "activities": _activity,
    "agreements": _agreement,
    "invoices": _invoice,
    "time-entries": _time_entry,
    "expense-entries": _expense_entry,
    "configurations": _configuration,
    "projects": _project,
    "schedule-entries": _schedule_entry,
    "members": _member,
    "purchase-orders": _purchase_order,
    "products": _product,
    "campaigns": _campaign,
}
