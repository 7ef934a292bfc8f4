"""The REST API itself: who may call, which path means what, and what it does."""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from functools import partial

from cwconnect.sandbox import bundles, errors
from cwconnect.sandbox.callbacks import routes
from cwconnect.sandbox.companies import credentials
from cwconnect.sandbox.errors import Response, answer
from cwconnect.sandbox.special_calls import call_type
from cwconnect.sandbox.store import Login, Store
from cwconnect.sandbox.table import Table
from cwconnect.sandbox.wire import Request

PREFIX = re.compile(r"/(?P<codebase>[^/]+)/apis/3\.0(?P<path>/.*)?", re.IGNORECASE)
CODEBASES = ("v4_6_release", "v2025_1")
_ID = re.compile(r"\d{1,18}")
_SEARCHED = {"/service/tickets", "/project/tickets"}
VERSION = "v2025.1"


def respond(store: Store, request: Request) -> Response:
    """Answer one request, refusals included."""
    try:
        company = request.path.lower().removeprefix("/login/companyinfo/")
        if company != request.path.lower():
            return _company_info(store.login, company)
        if (asked := routes.KEY_PATH.fullmatch(request.path)) and asked["codebase"].lower() in CODEBASES:
            if store.callbacks.settings.key_needs_login:
                check_login(store.login, request)
            return routes.signing_key(store, request)
        found = PREFIX.fullmatch(request.path)
        if found is None:
            raise errors.no_endpoint()
        if found["codebase"].lower() not in CODEBASES:
            raise errors.cannot_route()
        check_login(store.login, request)
        return _route(store, request, (found["path"] or "").rstrip("/"))
    except errors.Refused as refused:
        return refused.response


def check_login(login: Login, request: Request) -> None:
    """Refuse a wrong company (400), wrong or missing keys (401), a missing (401) or wrong (400) clientId."""
    company, given = credentials(request)
    if company.lower() != login.company.lower() and company:
        raise errors.cannot_route()
    wanted = f"{login.public_key}:{login.private_key}"
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise errors.unauthorized()
    client_id = request.headers.get("clientid", "").strip()
    if not client_id:
        raise errors.refusal(401, "Unauthorized", "The clientId header is missing.")
    if login.client_id is not None and client_id != login.client_id:
        raise errors.refusal(login.wrong_client_id_status, "InvalidClientId", "The clientId is invalid.")


def _company_info(login: Login, company: str) -> Response:
    if company.strip("/") != login.company.lower():
        return answer(None)
    return answer(
        {
            "CompanyName": login.company.title(),
            "Codebase": "v2025_1/",
            "VersionCode": VERSION,
            "VersionNumber": "v4.6.99999",
            "CompanyID": login.company,
            "IsCloud": "True",
        }
    )


def _route(store: Store, request: Request, path: str) -> Response:
    if path.lower() == "/system/info" and request.method == "GET":
        about = {"version": VERSION, "isCloud": True, "serverTimeZone": "UTC", "licenseBits": [], "cloudRegion": "NA"}
        return answer(about)
    if path.lower() in bundles.PATHS and request.method == "POST":
        count = path.lower().endswith("/count")
        return bundles.answer_bundle(request.body, partial(_get, store, request), count=count)
    table, last = _table_at(store, path), ""
    if table is None:
        above, _, last = path.rpartition("/")
        table, last = _table_at(store, above), last.lower()
    if table is None or table.withdrawn or not (last in {"", "count"} or _ID.fullmatch(last) or _searches(table, last)):
        raise errors.no_endpoint()
    if table.forbidden:
        raise errors.forbidden()
    with store.lock:
        store.settle()
        kind = routes.CallbackCall if table is store.callbacks.table else call_type(table)
        call = kind(store, request, table)
        if last.isdigit():
            return call.record(int(last))
        return {"count": call.count, "search": call.search}.get(last, call.list)()


def _searches(table: Table, last: str) -> bool:
    return last == "search" and table.spec.path in _SEARCHED


def _get(store: Store, request: Request, path: str, query: tuple[tuple[str, str], ...]) -> Response:
    """Answer a part of a bundle, as if it had been asked for alone."""
    return _route(store, replace(request, method="GET", path=path, query=query, body=b""), path)


def _table_at(store: Store, path: str) -> Table | None:
    return store.find_table(path) or store.nested_table(path)
