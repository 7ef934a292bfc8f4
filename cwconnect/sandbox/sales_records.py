"""The made-up records of sales, finance, hours and purchases; the others are in `kinds.py`."""

from __future__ import annotations

from cwconnect.sandbox import parts
from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.parts import Draw, choose, member_ref
from cwconnect.sandbox.reference_names import NAMES
from cwconnect.sandbox.timestamps import to_text


def opportunity(number: int, draw: Draw, stamp: int) -> Record:
    """Return an opportunity."""
    return {
        "name": f"{draw.pick(('Server', 'Firewall', 'Cloud', 'Support'))} deal {number}",
        "expectedCloseDate": to_text(stamp + 86400 * 30),
        "stage": choose(draw, ("Prospect", "Quote", "Negotiation"), "stage", "/sales/stages"),
        "status": choose(draw, ("Open", "Won", "Lost"), "status", "/sales/opportunities/statuses"),
        "primarySalesRep": member_ref(draw),
        "company": (company := parts.company(draw)),
        "contact": parts.contact_ref(draw),
        "site": parts.site(draw, company["id"]),
        "type": choose(draw, NAMES["/sales/opportunities/types"], "type", "/sales/opportunities/types"),
        "locationId": 1,
        "businessUnitId": 1,
        "customFields": [parts.custom_field(4, "Lead source", "Web site")],
        "rating": choose(draw, NAMES["/sales/opportunities/ratings"], "rating", "/sales/opportunities/ratings"),
    }


def activity(number: int, draw: Draw, stamp: int) -> Record:
    """Return an activity."""
    return {
        "name": f"Call about: {draw.pick(parts.PROBLEMS)}",
        "type": choose(draw, ("Call", "Meeting", "Email"), "type", "/sales/activities/types"),
        "company": parts.company(draw),
        "status": choose(draw, ("Open", "Closed"), "status", "/sales/activities/statuses"),
        "assignTo": member_ref(draw),
        "dateStart": to_text(stamp + 3600),
        "dateEnd": to_text(stamp + 7200),
        "customFields": [parts.custom_field(5, "Outcome", "Called back")],
    }


def agreement(number: int, draw: Draw, stamp: int) -> Record:
    """Return an agreement."""
    return {
        "name": f"Managed services {number}",
        "type": choose(draw, ("Managed", "Block Hours"), "type", "/finance/agreements/types"),
        "company": parts.company(draw),
        "startDate": to_text(stamp - 86400 * 365),
        "noEndingDateFlag": True,
        "cancelledFlag": False,
        "billAmount": float(100 * draw.below(50)),
        "agreementStatus": "Active",
        "contact": parts.contact_ref(draw),
    }


def invoice(number: int, draw: Draw, stamp: int) -> Record:
    """Return an invoice."""
    total = draw.below(100000) / 100
    return {
        "invoiceNumber": str(10000 + number),
        "type": "Miscellaneous",
        "status": choose(draw, ("New", "Sent", "Paid"), "status", "/finance/billingStatuses"),
        "company": parts.company(draw),
        "reference": f"PO {draw.below(9999):04d}",
        "date": to_text(stamp),
        "dueDate": to_text(stamp + 86400 * 30),
        "total": total,
        "balance": total if draw.below(2) else 0.0,
    }


def time_entry(number: int, draw: Draw, stamp: int) -> Record:
    """Return a time entry."""
    return {
        "company": parts.company(draw),
        "chargeToId": 1 + draw.below(500),
        "chargeToType": "ServiceTicket",
        "workType": choose(draw, NAMES["/time/workTypes"], "workType", "/time/workTypes"),
        "workRole": choose(draw, NAMES["/time/workRoles"], "workRole", "/time/workRoles"),
        "member": member_ref(draw),
        "timeStart": to_text(stamp - 3600),
        "timeEnd": to_text(stamp),
        "actualHours": 1.0,
        "billableOption": "Billable",
        "notes": f"Looked into: {draw.pick(parts.PROBLEMS)}",
        "status": "Open",
    }


def expense_entry(number: int, draw: Draw, stamp: int) -> Record:
    """Return an expense entry."""
    return {
        "company": parts.company(draw),
        "chargeToId": 1 + draw.below(500),
        "chargeToType": "ServiceTicket",
        "member": member_ref(draw),
        "type": choose(draw, ("Mileage", "Meals", "Parking"), "type", "/expense/types"),
        "amount": draw.below(20000) / 100,
        "billableOption": "Billable",
        "date": to_text(stamp),
        "notes": draw.pick(parts.STREETS),
    }


def purchase_order(number: int, draw: Draw, stamp: int) -> Record:
    """Return a purchase order."""
    return {
        "poNumber": f"PO-{number:05d}",
        "vendorCompany": parts.company(draw),
        "status": choose(draw, ("New", "Ordered", "Received"), "status", "/procurement/purchaseorderstatuses"),
        "poDate": to_text(stamp),
        "total": draw.below(500000) / 100,
        "closedFlag": False,
    }


def product(number: int, draw: Draw, _stamp: int) -> Record:
    """Return a product."""
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


def campaign(number: int, draw: Draw, stamp: int) -> Record:
    """Return a campaign."""
    return {
        "name": f"Campaign {number}",
        "type": choose(draw, ("Mail", "Event"), "type", "/marketing/campaigns/types"),
        "status": choose(draw, ("Active", "Done"), "status", "/marketing/campaigns/statuses"),
        "startDate": to_text(stamp),
        "inactive": False,
    }
