"""The routes of callbacks: `/system/callbacks` where it differs from other lists, and the route of the keys."""

from __future__ import annotations

import re

from cwconnect.sandbox import errors
from cwconnect.sandbox.callbacks.entries import check, entry_of
from cwconnect.sandbox.calls import Call
from cwconnect.sandbox.catalogue import API_MEMBER
from cwconnect.sandbox.drafts import lacking_fields
from cwconnect.sandbox.errors import Response
from cwconnect.sandbox.jsontext import Record, dumps
from cwconnect.sandbox.store import Store
from cwconnect.sandbox.timestamps import to_text
from cwconnect.sandbox.wire import Request

KEY_PATH = re.compile(r"/+(?P<codebase>[^/]+)/+system/callbackkey/index\.rails", re.IGNORECASE)


def signing_key(store: Store, request: Request) -> Response:
    """Answer with the key of the company and id asked for, as text; 404 where there is none."""
    asked = {name.lower(): text for name, text in request.query}
    key = store.callbacks.keyring.find(asked.get("companyname", ""), asked.get("id", ""))
    if key is None or request.method != "GET":
        raise errors.no_endpoint()
    return Response(200, dumps({"signing_key": key}), content_type="text/plain; charset=utf-8")


class CallbackCall(Call):
    """A request for `/system/callbacks`."""

    def not_found(self, number: int) -> errors.Refused:
        """Return what is answered where there is no such registration: to a DELETE as if there were no such path."""
        return errors.no_endpoint() if self.request.method == "DELETE" else super().not_found(number)

    def new(self, given: Record) -> Record:
        """Return the registration that a POST makes."""
        number = self.table.take_id()
        info = {"lastUpdated": to_text(self.store.now()), "updatedBy": API_MEMBER}
        return entry_of(given, number=number, guid=f"5eed0000-0000-4000-8000-{number:012X}", info=info)

    def replaced(self, record: Record, given: Record) -> Record:
        """Return what a PUT of `given` makes of a registration."""
        return entry_of(given, number=record["id"], guid=record["connectWiseID"], info=record["_info"])

    def check(self, record: Record) -> None:
        """Refuse a registration that may not be; remember under which name of ours it was made."""
        if lacking := lacking_fields(self.spec, record):
            raise errors.invalid_fields(self.spec.resource, lacking)
        check(record, self.table)
        if self.request.method == "POST":
            host = self.request.headers.get("host")
            self.store.callbacks.sites[record["id"]] = f"http://{host}" if host else self.store.callbacks.site
        self.store.callbacks.forget_failures(record["id"])
