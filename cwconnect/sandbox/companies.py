"""The companies that one host serves: each with its own data, roles, faults and callbacks, as a cloud host has many."""

from __future__ import annotations

import base64
import binascii

from cwconnect.sandbox.errors import UnknownCompanyError
from cwconnect.sandbox.store import Store
from cwconnect.sandbox.wire import Request

_INFO = "/login/companyinfo/"


class Companies:
    """The stores by company, in any case. The first one also gets the requests that name no company of ours."""

    def __init__(self, stores: list[Store]) -> None:
        self.stores = stores
        self._by_name = {store.login.company.lower(): store for store in stores}

    def store(self, company: str) -> Store:
        """Return a company's store; UnknownCompanyError."""
        found = self._by_name.get(company.lower())
        if found is None:
            raise UnknownCompanyError(f"There is no company {company!r}.")
        return found

    def asked_by(self, request: Request) -> Store:
        """Return the store of the company that a request logs in to, or asks about."""
        if len(self.stores) == 1:
            return self.stores[0]
        path = request.path.lower()
        about = path.removeprefix(_INFO).strip("/") if path.startswith(_INFO) else ""
        named = next((text for name, text in request.query if name.lower() == "companyname"), "")
        company, _ = credentials(request)
        return self._by_name.get((about or company or named).lower(), self.stores[0])


def credentials(request: Request) -> tuple[str, str]:
    """Return company and `public:private` of `Basic base64(company+public:private)`, blanks where there are none."""
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    try:
        text = base64.b64decode(coded.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    company, _, keys = text.partition("+")
    return company, keys
