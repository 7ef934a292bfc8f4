"""The product's routes of the first load: copies of whole resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cwconnect.core.openapi import Operation, Parameter
from cwconnect.site.openapi.hub_routes import HUBS, NEXT_PAGE, OWN, PAGE_SIZE
from cwconnect.site.openapi.shapes import ANYTHING, TEXT, listed, referred

_COPY: dict[str, Any] = {
    "instanceId": 523232,
    "id": "73",
    "status": "COMPLETED",
    "query": "select * from contacts where company.id = 250",
    "objectName": "contacts",
    "recordsCount": 12480,
    "recordsFailedCount": 0,
    "recordsTotal": 12480,
    "progress": 100,
    "watchedFrom": "2018-07-31T19:34:45Z",
    "notWatched": None,
    "createdDate": "2018-07-31T19:39:46Z",
    "startedDate": "2018-07-31T19:39:46Z",
    "finishedDate": "2018-07-31T19:40:36Z",
    "expiresDate": "2018-08-03T19:40:36Z",
    "error": None,
    "recordErrors": [],
}
_STATUS = Operation(
    HUBS,
    "Show how far a copy came",
    referred("Copy"),
    example=_COPY,
    errors=(400,),
    description=f"{OWN} What changed from `watchedFrom` on, and is not in the copy, comes as an event.",
)

BULK: Mapping[str, Operation] = {
    "POST /hubs/{hub}/bulk/query": Operation(
        HUBS,
        "Ask for a copy of a resource",
        referred("CopyBegun"),
        query=(
            Parameter(
                "q",
                TEXT | {"examples": ["select * from contacts where company.id = 250"]},
                "In the query, or as a member of a JSON body. Names of fields may stand in place of the *.",
                required=True,
            ),
        ),
        example={"instanceId": 523232, "id": "73", "status": "CREATED"},
        errors=(403, 409),
        description=f"{OWN} The workers read it page by page, behind the polls; ask for its status.",
    ),
    "GET /hubs/{hub}/bulk": Operation(
        HUBS,
        "List the instance's copies, newest first",
        listed(referred("Copy")),
        query=(
            PAGE_SIZE,
            NEXT_PAGE,
        ),
        paged=True,
        example=[_COPY],
        description=OWN,
    ),
    "GET /hubs/{hub}/bulk/{copy}/status": _STATUS,
    "PUT /hubs/{hub}/bulk/{copy}/cancel": replace(
        _STATUS,
        summary="End a copy, or drop a complete one's records",
        example=_COPY | {"status": "CANCELLED"},
        description=f"{OWN} One that has failed or was cancelled before stays as it is.",
    ),
    "GET /hubs/{hub}/bulk/{copy}/{resource}": Operation(
        HUBS,
        "Download a complete copy",
        listed(ANYTHING),
        example=[{"id": 17, "firstName": "…", "_info": {"lastUpdated": "2018-07-31T19:39:46Z"}}],
        media=("text/csv", "application/x-ndjson"),
        errors=(400, 409),
        description=f"{OWN} As JSON, CSV or lines of JSON, by `Accept`. 409 as long as it is not complete.",
    ),
}
