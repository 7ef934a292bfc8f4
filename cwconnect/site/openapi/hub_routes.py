"""The routes of a hub (docs/wire-contract.md#live-reads, #writes, #discovery)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cwconnect.core.openapi import Operation, Parameter
from cwconnect.site.openapi.examples import FIELDS_EXAMPLE, RECORD_EXAMPLE
from cwconnect.site.openapi.shapes import ANYTHING, TEXT, TEXTS, listed, referred
from polling.api.v1.idempotency import ONCE

HUBS = "Hubs"
OWN = "Acts on the instance of the Element token."
PAGE_SIZE = Parameter("pageSize", {"type": "integer", "minimum": 1, "maximum": 999_999_999}, "At most 1000 are given.")
NEXT_PAGE = Parameter("nextPage", TEXT, "The Elements-Next-Page-Token of the answer before.")
_LIST = (
    Parameter("where", TEXT, "CEQL: lastUpdated > '2018-07-31T19:39:46Z' AND company.id = 250."),
    Parameter("fields", TEXT),
    Parameter("orderBy", TEXT),
    Parameter("page", {"type": "integer", "minimum": 0, "maximum": 999_999_999}, "From 1; 0 is the first page too."),
    Parameter(
        "returnTotalCount", TEXT | {"examples": ["true"]}, "true adds Elements-Total-Count; so does returnCount."
    ),
    PAGE_SIZE,
    NEXT_PAGE,
)
_TRANSFER = Parameter(
    "transferContactId", {"type": "string", "pattern": "^[0-9]{1,18}$"}, "Of a contact: who takes over what it has."
)
_WRITES = (
    f"{OWN} The API key must have the right to write to ConnectWise, and the instance `hub.writes.enabled`. "
    "With an `Idempotency-Key` it is done once within 24 hours; where the answer was lost it is not done again: 409."
)
_ONCE = tuple(replace(header, description="Done once, and answered with the same words.") for header in ONCE)
_WRITE = Operation(
    HUBS,
    "Change what the body names of a record; 200",
    ANYTHING,
    body=referred("RecordBody"),
    body_examples={"a contact": {"title": "Head of IT", "company": {"id": "250"}}},
    example=RECORD_EXAMPLE,
    headers=_ONCE,
    errors=(400, 403, 405, 409, 413, 422, 500),
    description=f"A plain partial object; references and lists are replaced whole. {_WRITES}",
)
_PING = Operation(
    HUBS,
    "Ask ConnectWise whether the keys work",
    referred("Ping"),
    example={"endpoint": "connectwisecrmrest", "valid": True},
    errors=(400, 403, 500),
    description=OWN,
)
_OBJECTS = Operation(
    HUBS, "List the resources' names", TEXTS, example=["contacts", "incidents"], errors=(400, 403), description=OWN
)
_FIELDS = Operation(
    HUBS,
    "Describe the fields of a resource",
    referred("Fields"),
    query=(
        Parameter(
            "customFieldsOnly", TEXT | {"examples": ["true"]}, "true leaves the custom fields of this ConnectWise."
        ),
    ),
    example=FIELDS_EXAMPLE,
    errors=(400, 403, 500),
    description=f"{OWN} What ConnectWise shows of its fields is kept for an hour.",
)
_ONE = "/hubs/{hub}/{resource}/{recordId}"

HUB_ROUTES: Mapping[str, Operation] = {
    "GET /ping": _PING,
    "GET /hubs/{hub}/ping": _PING,
    "GET /objects": _OBJECTS,
    "GET /hubs/{hub}/objects": _OBJECTS,
    "GET /objects/{resource}/metadata": _FIELDS,
    "GET /hubs/{hub}/objects/{resource}/metadata": _FIELDS,
    "GET /hubs/{hub}/{resource}": Operation(
        HUBS,
        "Read a list of ConnectWise through the Element token's instance",
        listed(ANYTHING),
        query=_LIST,
        paged=True,
        example=[RECORD_EXAMPLE],
        errors=(403, 500),
        description="The hub's name is not checked, and a resource of the catalogue may be asked for without it: "
        "GET /contacts. A resource that the catalogue lacks is written with its module.",
    ),
    "POST /hubs/{hub}/{resource}": replace(
        _WRITE, summary="Create a record of ConnectWise; 200", description=f"Answers the record with its id. {_WRITES}"
    ),
    f"GET {_ONE}": Operation(
        HUBS,
        "Read one record of ConnectWise",
        ANYTHING,
        example=RECORD_EXAMPLE,
        errors=(400, 403, 500),
        description=OWN,
    ),
    f"PATCH {_ONE}": _WRITE,
    f"PUT {_ONE}": replace(
        _WRITE,
        summary="Replace a record of ConnectWise; 200",
        description=f"ConnectWise resets what the body leaves out. {_WRITES}",
    ),
    f"DELETE {_ONE}": replace(
        _WRITE,
        summary="Delete a record of ConnectWise; 200",
        answer=None,
        body=None,
        body_examples={},
        query=(_TRANSFER,),
        errors=(400, 403, 405, 409, 422, 500),
        description=_WRITES,
    ),
}
