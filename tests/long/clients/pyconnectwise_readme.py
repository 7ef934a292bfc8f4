"""Run the examples of pyconnectwise's readme against the sandbox, and count which of them could.

It is Health IT's client, whose calls and models are made from ConnectWise's OpenAPI: each answer is read into a model,
which refuses members of another type than described. It has dependencies of its own:

    python -m venv readme
    readme/bin/pip install pyconnectwise
    python manage.py sandbox --port 8100   # elsewhere
    readme/bin/python tests/long/clients/pyconnectwise_readme.py 127.0.0.1:8100

The client speaks https alone, and the sandbox http: its `requests` is given the other scheme. Ids that the readme makes
up (250) are replaced by ones that the sandbox has. Its models are tried on more lists than the readme reads, and its
writes. Each example has its line; the exit code is 0 where all could.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

CLIENT_ID = "11111111-2222-4333-8444-555555555555"
Example = Callable[[Any], object]
LISTS = (
    *(("company", "contacts"), ("company", "configurations"), ("project", "projects"), ("project", "tickets")),
    *(("sales", "opportunities"), ("sales", "activities"), ("finance", "invoices"), ("time", "entries")),
    *(("expense", "entries"), ("schedule", "entries"), ("system", "members"), ("procurement", "products")),
    *(("procurement", "purchaseorders"), ("marketing", "campaigns"), ("service", "boards")),
)


def connect(host: str) -> Any:
    """Return the client, logged in; it asks for the codebase itself."""
    from pyconnectwise import ConnectWiseManageAPIClient  # type: ignore[import-not-found]  # of its own environment
    from pyconnectwise.clients import connectwise_client, manage_client  # type: ignore[import-not-found]  # as above
    from pyconnectwise.config import Config  # type: ignore[import-not-found]  # as above

    for module in (connectwise_client, manage_client):
        if hasattr(module, "requests"):
            module.requests = PlainRequests(module.requests)
    return ConnectWiseManageAPIClient("acme", host, CLIENT_ID, "PUB", "PRIV", config=Config(max_retries=5))


class PlainRequests:
    """The module `requests`, by http."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def request(self, method: str, url: str, **more: Any) -> Any:
        """Send a request."""
        return self._module.request(method, url.replace("https://", "http://", 1), timeout=30, **more)

    def get(self, url: str, **more: Any) -> Any:
        """Send a GET."""
        return self.request("GET", url, **more)


def page_through(api: Any) -> object:
    """Go forward and back, and over all pages: those of the readme, smaller, so that there are some."""
    pages = api.company.companies.paginated(1, 15)
    first = [company.id for company in pages.data]
    pages.get_next_page()
    second = [company.id for company in pages.data]
    pages.get_previous_page()
    assert [company.id for company in pages] == first != second
    every = [company.id for company in api.company.companies.paginated(1, 15).all()]
    assert len(every) == len(set(every)) == api.company.companies.count.get().count
    return every


def additions_of_agreements(api: Any) -> object:
    """Read all agreements, then all additions of each."""
    agreements = api.finance.agreements.paginated(1, 1000)
    return [api.finance.agreements.id(agreement.id).additions.get() for agreement in agreements.all()]


def write_a_contact(api: Any) -> object:
    """Make, change, replace and delete: not in the readme, but what the same classes offer."""
    made = api.company.contacts.post({"firstName": "Zoë", "lastName": "Taylor"})
    contact = api.company.contacts.id(made.id)
    changed = contact.patch([{"op": "replace", "path": "title", "value": "Owner"}])
    assert (changed.id, changed.title) == (made.id, "Owner")
    assert contact.put({"firstName": "Zoë", "lastName": "Weber"}).last_name == "Weber"
    contact.delete()
    return made


def read_models(module: str, name: str, api: Any) -> object:
    """Read a list into the client's models."""
    return getattr(getattr(api, module), name).get()


EXAMPLES: dict[str, Example] = {
    "get many": lambda api: api.company.companies.get(),
    "get one": lambda api: api.company.companies.id(25).get(),
    "get with params": lambda api: api.company.contacts.get(params={"conditions": "company/id=25"}),
    "child endpoints": lambda api: api.company.companies.id(25).sites.get(),
    "pagination": page_through,
    "all agreements, then all additions": additions_of_agreements,
    "all service tickets with an id": lambda api: api.service.tickets.get(params={"conditions": "id > 100"}),
    "writes": write_a_contact,
    **{f"models of {module}.{name}": partial(read_models, module, name) for module, name in LISTS},
}


def main(host: str) -> int:
    """Run all, and say of each what came of it."""
    api, passed = connect(host), 0
    for name, example in EXAMPLES.items():
        try:
            found = example(api)
        except Exception as error:  # noqa: BLE001 - whatever a client raises is this script's result
            last = traceback.extract_tb(error.__traceback__)[-1]
            print(f"{name} could not: {type(error).__name__}: {str(error)[:600]} ({last.name}, line {last.lineno})")
            continue
        passed += bool(found)
        print(f"{name}: {len(found) if isinstance(found, list) else 'done' if found else 'nothing found'}")
    print(f"{passed} of {len(EXAMPLES)} examples ran.")
    return 0 if passed == len(EXAMPLES) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
