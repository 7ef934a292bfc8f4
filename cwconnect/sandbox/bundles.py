"""`/system/bundles`: several lists asked for by one POST, each answered with a status of its own.

An item has `sequenceNumber`, `resourceType`, `version` and `apiRequest`, with `id`, `parentId`, `filters`, `page` and
`fields` within; all names stand in any case. The resource is called by its records' name, such as `ticket` or
`purchaseOrderLineItem`; the latter wants the `parentId`. The whole answers 200 whatever became of its parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cwconnect.sandbox import errors
from cwconnect.sandbox.errors import Refused, Response, answer
from cwconnect.sandbox.field_types import list_of
from cwconnect.sandbox.jsontext import Record, loads
from cwconnect.sandbox.values import id_of

PATHS: Final = ("/system/bundles", "/system/bundles/count")
Query = tuple[tuple[str, str], ...]
Get = Callable[[str, Query], Response]
"""Answers a GET of a path with a query; Refused."""


def answer_bundle(body: bytes, get: Get, *, count: bool) -> Response:
    """Answer all requests of a body by `get`, in their order: with records, or with their number; Refused."""
    try:
        given = _lowered(loads(body))
    except ValueError:
        given = {}
    requests = given.get("requests")
    if not isinstance(requests, list):
        raise errors.invalid_object("bundleRequestsCollection", "An array is wanted.", field="requests")
    return answer({"results": [_result(_lowered(request), get, count=count) for request in requests]})


def _result(request: Record, get: Get, *, count: bool) -> Record:
    resource = str(request.get("resourcetype") or request.get("resourcename") or "")
    said = {"sequenceNumber": request.get("sequencenumber", 0), "resourceType": resource}
    said |= {"version": request["version"]} if "version" in request else {}
    try:
        found = loads(get(*_asked(resource, _lowered(request.get("apirequest")), count=count)).body)
    except Refused as refused:
        response = refused.response
        return said | {"success": False, "statusCode": response.status, "error": loads(response.body)}
    if count:
        return said | {"count": found["count"], "success": True, "statusCode": 200}
    return said | {"entities": found if isinstance(found, list) else [found], "success": True, "statusCode": 200}


def _asked(resource: str, request: Record, *, count: bool) -> tuple[str, Query]:
    """Return path and query of what one item asks for; Refused where there is no such resource."""
    number, parent = id_of(request.get("id")), id_of(request.get("parentid"))
    path = list_of(resource, nested=parent is not None) or (parent and list_of(resource, nested=False))
    if not path:
        raise errors.refusal(404, "NotFound", f"There is no resource type {resource[:50]!r}.")
    path = path.replace("{}", str(parent))
    path += "/count" if count else f"/{number}" if number is not None else ""
    named = _lowered(request.get("filters")) | _lowered(request.get("page")) | {"fields": request.get("fields")}
    return path, tuple((name, str(value)) for name, value in named.items() if value not in (None, ""))


def _lowered(given: Any) -> Record:
    """Return an object with its names in lower case; empty for what is none."""
    return {name.lower(): value for name, value in given.items()} if isinstance(given, dict) else {}
