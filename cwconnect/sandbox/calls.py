"""What a request does to a list: read it, count it, read or write one of its records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cwconnect.sandbox import errors, query
from cwconnect.sandbox.catalogue import API_MEMBER, ListSpec
from cwconnect.sandbox.errors import Response, answer
from cwconnect.sandbox.jsontext import Record, loads
from cwconnect.sandbox.patching import apply_patch
from cwconnect.sandbox.records import make_record
from cwconnect.sandbox.store import Store
from cwconnect.sandbox.table import Row, Table
from cwconnect.sandbox.timestamps import to_text
from cwconnect.sandbox.wire import Request


@dataclass(frozen=True)
class Call:
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
            raise self.not_found(number)
        if self.request.method == "GET":
            return Response(200, query.project_body(self.table, row, self._ask().params.get("fields", "")))
        if self.request.method == "DELETE":
            self.store.retract(self.table, number, by=API_MEMBER)
            return Response(204)
        return self._write(row)

    def not_found(self, number: int) -> errors.Refused:
        """Return what is answered where there is no such record."""
        return errors.refusal(404, "NotFound", f"{self.spec.entity} {number} not found")

    def _create(self) -> Response:
        given = self._body()
        if not isinstance(given, dict):
            raise errors.invalid_object(self.spec.resource, "A record is a JSON object.")
        self._check_required(given)
        return self._store(self.new(given), 201)

    def new(self, given: Record) -> Record:
        """Return the record that a POST makes."""
        now = self.store.now()
        made = make_record(self.spec, self.store.seed, self.table.take_id(), now, now)
        flags = {key: False for key, value in made.items() if isinstance(value, bool)}
        kept = {key: made[key] for key in ("id", "dateEntered") if key in made}
        return kept | flags | _writable(given) | {"_info": made["_info"]}

    def replaced(self, record: Record, given: Record) -> Record:
        """Return what a PUT of `given` makes of a record."""
        return {"id": record["id"]} | _writable(given) | {"_info": record.get("_info")}

    def check(self, record: Record) -> None:
        """Refuse a record that may not be stored; the required fields are looked at before."""

    def _write(self, row: Row) -> Response:
        record: Record = loads(row.body)
        if self.request.method == "PATCH":
            apply_patch(record, self._body(), self.spec.resource)
        else:
            given = self._body()
            if not isinstance(given, dict):
                raise errors.invalid_object(self.spec.resource, "A record is a JSON object.")
            record = self.replaced(record, given)
        self._check_required(record)
        stamps = {"lastUpdated": to_text(self.store.now()), "updatedBy": API_MEMBER}
        record["_info"] = {**(record["_info"] or {}), **stamps}
        return self._store(record, 200)

    def _store(self, record: Record, status: int) -> Response:
        self.check(record)
        self.store.publish(self.table, record["id"], lambda: record, by=API_MEMBER)
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
