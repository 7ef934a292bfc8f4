"""What a request does to a list: read it, count it, read or write one of its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cwconnect.sandbox import errors, query
from cwconnect.sandbox.catalogue import API_MEMBER, ListSpec
from cwconnect.sandbox.drafts import Draft
from cwconnect.sandbox.errors import Response, answer
from cwconnect.sandbox.field_types import record_type
from cwconnect.sandbox.jsontext import Record, loads
from cwconnect.sandbox.store import Store
from cwconnect.sandbox.table import Row, Table
from cwconnect.sandbox.timestamps import to_text
from cwconnect.sandbox.wire import Request

_FILTERS: Final = {"conditions", "childconditions", "customfieldconditions", "orderby"}
_METHODS: Final = {"C": "POST", "P": "PATCH", "U": "PUT", "D": "DELETE"}


@dataclass(frozen=True)
class Call:
    """A request that has found its list. The store is locked meanwhile."""

    store: Store
    request: Request
    table: Table

    @property
    def spec(self) -> ListSpec:
        return self.table.spec

    @property
    def draft(self) -> Draft:
        """What a write makes of a record."""
        return Draft(self.store, self.table)

    def list(self) -> Response:
        """Answer a request for the list itself."""
        if self.request.method == "POST" and self._may("C"):
            return self._create()
        self._only("GET", *self._writes("C"))
        return query.answer_list(self.table, self._ask())

    def count(self) -> Response:
        """Answer how many records there are."""
        self._only("GET")
        return query.answer_count(self.table, self._ask())

    def search(self) -> Response:
        """Answer a list whose conditions and order come in the body, for those that are too long for a URL."""
        self._only("POST")
        given = {name.lower(): value for name, value in self._given().items() if value is not None}
        for name, value in given.items():
            if name in _FILTERS and not isinstance(value, str):
                raise errors.invalid_object("filterValues", "A text is wanted.", field=name)
        ask = self._ask()
        params = ask.params | {name: value for name, value in given.items() if name in _FILTERS}
        return query.answer_list(self.table, replace(ask, params=params))

    def record(self, number: int) -> Response:
        """Answer a request for one record."""
        self._only("GET", *self._writes("PUD"))
        row = self.table.row(number)
        if row is None or number in self.table.hidden:
            raise self.not_found(number)
        if self.request.method == "GET":
            return Response(200, query.project_body(self.table, row, self._ask().params.get("fields", "")))
        if self.request.method == "DELETE":
            self.removed(loads(row.body))
            return Response(204)
        return self._write(row)

    def not_found(self, number: int) -> errors.Refused:
        """Return what is answered where there is no such record."""
        return errors.refusal(404, "NotFound", f"{self.spec.entity} {number} not found")

    def _create(self) -> Response:
        return self._store(self.new(self._given()), 201)

    def new(self, given: Record) -> Record:
        """Return the record that a POST makes."""
        return self.draft.new(given)

    def replaced(self, record: Record, given: Record) -> Record:
        """Return what a PUT of `given` makes of a record."""
        return self.draft.replaced(record, given)

    def patched(self, record: Record, patch: object) -> Record | None:
        """Return what a PATCH makes of a record; None where nothing changes."""
        return self.draft.patched(record, patch)

    def check(self, record: Record) -> None:
        """Refuse a record that may not be stored, though each of its members may."""

    def removed(self, record: Record) -> None:
        """Remove a record that is there."""
        self.store.retract(self.table, record["id"], by=API_MEMBER)

    def _write(self, row: Row) -> Response:
        record: Record = loads(row.body)
        if self.request.method == "PATCH":
            patched = self.patched(record, self._body())
            if patched is None:
                return answer(record)
            record = patched
        else:
            record = self.replaced(record, self._given())
        if "_info" in record:
            stamps = {"lastUpdated": to_text(self.store.now()), "updatedBy": API_MEMBER}
            record["_info"] = {**(record["_info"] or {}), **stamps}
        return self._store(record, 200)

    def _store(self, record: Record, status: int) -> Response:
        self.check(record)
        self.store.publish(self.table, record["id"], lambda: record, by=API_MEMBER)
        return answer(record, status)

    def _given(self) -> Record:
        given = self._body()
        if not isinstance(given, dict):
            raise errors.invalid_object(self.spec.resource, "A record is a JSON object.")
        return given

    def _body(self) -> Any:
        try:
            return loads(self.request.body)
        except ValueError:
            raise errors.invalid_object(self.spec.resource, "The body is not valid JSON.") from None

    def _may(self, letter: str) -> bool:
        """Whether ConnectWise has this write on the list; it has all on lists that its description does not know."""
        kind = record_type(self.spec.path)
        return kind is None or letter in kind.methods

    def _writes(self, letters: str) -> Sequence[str]:
        return [_METHODS[letter] for letter in letters if self._may(letter)]

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
