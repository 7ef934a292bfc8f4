"""The REST API itself: who may call, which path means what, and what it does."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass
from typing import Any

from cwconnect.sandbox import errors, query
from cwconnect.sandbox.catalogue import ListSpec
from cwconnect.sandbox.errors import Response, answer
from cwconnect.sandbox.jsontext import Record, loads
from cwconnect.sandbox.patching import apply_patch
from cwconnect.sandbox.records import make_record
from cwconnect.sandbox.store import Login, Store
from cwconnect.sandbox.table import Row, Table
from cwconnect.sandbox.timestamps import to_text
from cwconnect.sandbox.wire import Request

PREFIX = re.compile(r"/(?P<codebase>[^/]+)/apis/3\.0(?P<path>/.*)?", re.IGNORECASE)
CODEBASES = ("v4_6_release", "v2025_1")
_ID = re.compile(r"\d{1,18}")
VERSION = "v2025.1"


def respond(store: Store, request: Request) -> Response:
    """Answer one request, refusals included."""
    try:
        company = request.path.lower().removeprefix("/login/companyinfo/")
        if company != request.path.lower():
            return _company_info(store.login, company)
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
    company, given = _credentials(request.headers.get("authorization", ""))
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


def _credentials(header: str) -> tuple[str, str]:
    """Return company and `public:private` of `Basic base64(company+public:private)`, blanks where there are none."""
    scheme, _, coded = header.partition(" ")
    try:
        text = base64.b64decode(coded.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    company, _, keys = text.partition("+")
    return company, keys


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
    table, last = store.find_table(path), ""
    if table is None:
        above, _, last = path.rpartition("/")
        table = store.find_table(above)
    if table is None or not (last in {"", "count"} or _ID.fullmatch(last)):
        raise errors.no_endpoint()
    if table.forbidden:
        raise errors.forbidden()
    with store.lock:
        store.settle()
        call = _Call(store, request, table)
        return call.record(int(last)) if last.isdigit() else call.count() if last else call.list()


@dataclass(frozen=True)
class _Call:
    """A request that has found its list. The store is locked meanwhile."""

    store: Store
    request: Request
    table: Table

    @property
    def spec(self) -> ListSpec:
        return self.table.spec

    def list(self) -> Response:
        if self.request.method == "POST":
            return self._create()
        self._only("GET")
        return query.answer_list(self.table, self._ask())

    def count(self) -> Response:
        self._only("GET")
        return query.answer_count(self.table, self._ask())

    def record(self, number: int) -> Response:
        self._only("GET", "PATCH", "PUT", "DELETE")
        row = self.table.row(number)
        if row is None or number in self.table.hidden:
            raise errors.refusal(404, "NotFound", f"{self.spec.entity} {number} not found")
        if self.request.method == "GET":
            return Response(200, query.project_body(self.table, row, self._ask().params.get("fields", "")))
        if self.request.method == "DELETE":
            self.table.drop(number)
            return Response(204)
        return self._write(row)

    def _create(self) -> Response:
        given, now = self._body(), self.store.now()
        if not isinstance(given, dict):
            raise errors.invalid_object(self.spec.resource, "A record is a JSON object.")
        self._check_required(given)
        made = make_record(self.spec, self.store.seed, self.table.take_id(), now, now)
        flags = {key: False for key, value in made.items() if isinstance(value, bool)}
        kept = {key: made[key] for key in ("id", "dateEntered") if key in made}
        return self._store(kept | flags | _writable(given) | {"_info": made["_info"]}, 201)

    def _write(self, row: Row) -> Response:
        record: Record = loads(row.body)
        if self.request.method == "PATCH":
            apply_patch(record, self._body(), self.spec.resource)
        else:
            given = self._body()
            if not isinstance(given, dict):
                raise errors.invalid_object(self.spec.resource, "A record is a JSON object.")
            record = {"id": row.id} | _writable(given) | {"_info": record.get("_info")}
        self._check_required(record)
        record["_info"] = {**(record["_info"] or {}), "lastUpdated": to_text(self.store.now()), "updatedBy": "api"}
        return self._store(record, 200)

    def _store(self, record: Record, status: int) -> Response:
        self.table.put(record)
        return answer(record, status)

    def _check_required(self, record: Record) -> None:
        lacking = [name for name in self.spec.required if record.get(name) in (None, "")]
        if lacking:
            raise errors.missing_fields(self.spec.resource, lacking)

    def _body(self) -> Any:
        try:
            return loads(self.request.body)
        except ValueError:
            raise errors.invalid_object(self.spec.resource, "The body is not valid JSON.") from None

    def _only(self, *methods: str) -> None:
        if self.request.method not in methods:
            message = f"The requested resource does not support http method '{self.request.method}'."
            raise errors.Refused(answer({"message": message}, 405, (("Allow", ", ".join(methods)),)))

    def _ask(self) -> query.Ask:
        host = self.store.link_host or self.request.headers.get("host", "127.0.0.1")
        forward = self.request.headers.get("pagination-type", "").lower() == "forward-only"
        params = {name.lower(): text for name, text in self.request.query}
        url, store = f"http://{host}{self.request.path}", self.store
        return query.Ask(
            params, self.request.query, url, forward, store.largest_page, store.send_links, store.raw_controls
        )


def _writable(given: Record) -> Record:
    return {key: value for key, value in given.items() if key not in {"id", "_info"}}
