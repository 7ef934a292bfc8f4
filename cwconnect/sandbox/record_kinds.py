"""The made-up records, kind by kind, with the fields that ConnectWise's own have; without `id` and `_info`."""

from __future__ import annotations

from cwconnect.sandbox import parts, sales_records
from cwconnect.sandbox.catalogue import Kind
from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.parts import Draw, choose, member_ref, ref
from cwconnect.sandbox.reference_names import NAMES, child_id
from cwconnect.sandbox.timestamps import to_text


def _contact(number: int, draw: Draw, _stamp: int) -> Record:
    first, last = draw.pick(parts.FIRST_NAMES), draw.pick(parts.LAST_NAMES)
    mail, number_text = f"{first}.{last}{number}@example.com".lower(), parts.phone(draw)
    return {
        "firstName": first,
        "lastName": last,
        "company": (company := parts.company(draw)),
        "site": {"id": child_id(company["id"], 0), "name": "Main"},
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
        "customFields": [parts.custom_field(1, "Customer Number", f"C{draw.below(100000):05d}")],
    }


def _communication(number: int, kind: int, name: str, value: str, medium: str) -> Record:
    return {
        "id": number,
        "type": {"id": kind, "name": name},
        "value": value,
        "defaultFlag": True,
        "communicationType": medium,
    }


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
        "site": parts.site(draw, number),
        "deletedFlag": False,
        "customFields": [
            parts.custom_field(6, "Account code", f"AC{number:04d}"),
            parts.custom_field(7, "Seats", 1 + draw.below(80), "Number"),
        ],
    }


def _ticket(number: int, draw: Draw, stamp: int, board: Record | None = None) -> Record:
    contact = f"{draw.pick(parts.FIRST_NAMES)} {draw.pick(parts.LAST_NAMES)}"
    return {
        "summary": draw.pick(parts.PROBLEMS),
        "recordType": "ServiceTicket",
        "board": (board := board or choose(draw, NAMES["/service/boards"][:3], "board", "/service/boards")),
        "status": _of_board(draw, board, "status", "statuses"),
        "company": (company := parts.company(draw)),
        "site": parts.site(draw, company["id"]),
        "contact": ref(1 + draw.below(500), contact, "contact", "/company/contacts"),
        "contactName": contact,
        "contactEmailAddress": f"{contact.replace(' ', '.').lower()}@example.com",
        "type": _of_board(draw, board, "type", "types"),
        "subType": _of_board(draw, board, "subType", "subtypes"),
        "owner": member_ref(draw),
        "priority": ref(3, "Priority 3 - Medium", "priority", "/service/priorities") | {"sort": 3},
        "severity": draw.pick(("Low", "Medium", "High")),
        "impact": draw.pick(("Low", "Medium", "High")),
        "requiredDate": to_text(stamp + 86400 * 3),
        "budgetHours": float(draw.below(8)),
        "actualHours": draw.below(40) / 4,
        "closedFlag": draw.below(3) == 0,
        "approved": True,
        "customerUpdatedFlag": False,
        "automaticEmailContactFlag": False,
        "automaticEmailResourceFlag": False,
        "automaticEmailCcFlag": False,
        "customFields": [parts.custom_field(2, "Asset tag", f"A{number:06d}")],
    }


def _of_board(draw: Draw, board: Record, href: str, child: str) -> Record:
    names = NAMES[f"/service/boards/{{}}/{child}"]
    return parts.beneath(draw, board["id"], names, href, f"/service/boards/{board['id']}/{child}")


def _project_ticket(number: int, draw: Draw, stamp: int) -> Record:
    project = 1 + draw.below(20)
    path = f"/project/projects/{project}/phases"
    made = _ticket(number, draw, stamp, ref(4, "Projects", "board", "/service/boards"))
    return {key: value for key, value in made.items() if key not in {"severity", "impact"}} | {
        "recordType": "ProjectTicket",
        "project": ref(project, _project_name(project), "project", "/project/projects"),
        "phase": parts.beneath(draw, project, NAMES["/project/projects/{}/phases"], "phase", path),
    }


def _project_name(number: int) -> str:
    return f"{('Migration', 'Office move', 'Rollout', 'Audit')[number % 4]} {number}"


def _configuration(number: int, draw: Draw, _stamp: int) -> Record:
    return {
        "name": f"WS-{number:05d}",
        "type": choose(draw, NAMES["/company/configurations/types"], "type", "/company/configurations/types"),
        "status": choose(draw, ("Active", "Retired"), "status", "/company/configurations/statuses"),
        "company": parts.company(draw),
        "serialNumber": f"SN{draw.below(1 << 30):010d}",
        "modelNumber": f"M{draw.below(900)}",
        "activeFlag": True,
    }


def _project(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "name": _project_name(number),
        "billingMethod": "ActualRates",
        "board": ref(4, "Projects", "board", "/service/boards"),
        "company": parts.company(draw),
        "status": choose(draw, ("Open", "Closed"), "status", "/project/statuses"),
        "estimatedStart": to_text(stamp),
        "estimatedEnd": to_text(stamp + 86400 * 60),
        "percentComplete": draw.below(100) / 100,
        "manager": member_ref(draw),
        "customFields": [parts.custom_field(3, "Cost center", "4711")],
    }


def _schedule_entry(number: int, draw: Draw, stamp: int) -> Record:
    return {
        "objectId": 1 + draw.below(500),
        "member": member_ref(draw),
        "type": {"id": 4, "identifier": "S", "_info": {"type_href": f"{parts.BASE}/schedule/types/4"}},
        "name": f"Visit {number}",
        "dateStart": to_text(stamp + 3600),
        "dateEnd": to_text(stamp + 7200),
        "doneFlag": False,
    }


def _member(number: int, draw: Draw, stamp: int) -> Record:
    first, last = draw.pick(parts.FIRST_NAMES), draw.pick(parts.LAST_NAMES)
    known = parts.MEMBERS[number - 1] if number <= len(parts.MEMBERS) else ""
    return {
        "identifier": known or f"{first[:1]}{last}{number}".lower(),
        "firstName": first,
        "lastName": last,
        "title": draw.pick(parts.TITLES),
        "officeEmail": f"member{number}@example.com",
        "inactiveFlag": False,
        "licenseClass": "F",
        "defaultEmail": "Office",
        "defaultPhone": "Office",
        "hireDate": to_text(stamp - 86400 * 365),
        "companyActivityTabFormat": "SummaryList",
        "invoiceTimeTabFormat": "SummaryList",
        "invoiceScreenDefaultTabFormat": "ShowInvoicingTab",
        "invoicingDisplayOptions": "RemainOnInvoicingScreen",
        "agreementInvoicingDisplayOptions": "RemainOnInvoicingScreen",
    }


def _callback(number: int, _draw: Draw, _stamp: int) -> Record:
    """Return what somebody else has registered, which is switched off and so calls nobody."""
    return {
        "url": f"https://other.example/hooks/{number}?recordId=",
        "objectId": 1,
        "type": "contact",
        "level": "owner",
        "memberId": 243,
        "payloadVersion": "3.0.0",
        "inactiveFlag": True,
        "isSoapCallbackFlag": False,
        "isSelfSuppressedFlag": False,
        "connectWiseID": f"5eed0000-0000-4000-8000-{number:012X}",
    }


def generic(number: int, draw: Draw, _stamp: int) -> Record:
    """Return a record of a list that the catalogue does not know."""
    return {"name": f"Record {number}", "description": draw.pick(parts.PROBLEMS), "inactiveFlag": False}


KINDS: dict[str, Kind] = {
    "contacts": _contact,
    "organizations": _organization,
    "incidents": _ticket,
    "project-tickets": _project_ticket,
    "opportunities": sales_records.opportunity,
    "activities": sales_records.activity,
    "agreements": sales_records.agreement,
    "invoices": sales_records.invoice,
    "time-entries": sales_records.time_entry,
    "expense-entries": sales_records.expense_entry,
    "configurations": _configuration,
    "projects": _project,
    "schedule-entries": _schedule_entry,
    "members": _member,
    "purchase-orders": sales_records.purchase_order,
    "products": sales_records.product,
    "campaigns": sales_records.campaign,
    "callbacks": _callback,
}
