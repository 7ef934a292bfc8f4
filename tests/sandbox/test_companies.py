"""Several companies on one host: each by its own login, with records, roles, faults and callbacks of its own."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from cwconnect.sandbox import SandboxServer, Store
from tests.sandbox.caller import BASE, CLIENT_ID, CONTACTS, Answer, Caller, basic
from tests.sandbox.hooked import arrivals, key_of, register, signed_by
from tests.support.receivers import Receiver
from tests.support.sandboxes import start_sandbox


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with start_sandbox(more_companies=["Beta"]) as server:
        yield server


def by(caller: Caller, company: str, method: str = "GET", path: str = f"{CONTACTS}/1", body: object = None) -> Answer:
    """Send a request of a company."""
    headers: dict[str, str | None] = {"Authorization": basic(f"{company}+PUB:PRIV"), "clientId": CLIENT_ID}
    return caller.send(method, BASE + path, body, headers)


def test_a_change_is_the_companys_own(caller: Caller, sandbox: SandboxServer) -> None:
    assert by(caller, "acme").json == by(caller, "beta").json
    sandbox.companies.store("BETA").change("contacts", 1, {"title": "Theirs"})
    assert [by(caller, company).json["title"] == "Theirs" for company in ("acme", "Beta")] == [False, True]


def test_so_are_roles_faults_keys_clock_and_log(caller: Caller, sandbox: SandboxServer) -> None:
    ours, theirs = sandbox.companies.stores
    theirs.forbid("contacts")
    assert [by(caller, company).status for company in ("acme", "beta")] == [200, 403]
    theirs.allow("contacts")
    theirs.fail_next(status=503)
    assert [by(caller, company).status for company in ("acme", "beta", "beta")] == [200, 503, 200]
    caller.control("settings", company="beta", clock_offset=-86400)
    assert by(caller, "acme").headers["Date"] != by(caller, "beta").headers["Date"]
    theirs.set_keys("A", "B")
    assert [by(caller, company).status for company in ("acme", "beta")] == [200, 401]
    assert (len(ours.requests), len(theirs.requests)) == (4, 5)


def test_a_company_that_is_not_served_is_refused(caller: Caller) -> None:
    assert by(caller, "gamma").status == 400
    assert caller.control("touch", company="gamma", list="contacts", id=1).status == 404
    info = [caller.send("GET", f"/login/companyinfo/{company}").json for company in ("acme", "Beta", "gamma")]
    assert [found and found["CompanyID"] for found in info] == ["acme", "Beta", None]


def test_registrations_and_keys_are_the_companys_own(
    caller: Caller, receiver: Receiver, sandbox: SandboxServer
) -> None:
    for company in ("acme", "beta"):
        wanted = {"url": f"{receiver.url}/{company}?recordId=", "objectId": 1, "type": "contact", "level": "owner"}
        assert by(caller, company, "POST", "/system/callbacks", wanted).json["id"] == 1
    assert caller.control("change", company="beta", list="contacts", id=1, fields={"title": "Theirs"}).status == 200
    sandbox.store.touch("contacts", 2)
    assert sandbox.store.callbacks.wait_idle()
    came = {urlsplit(got.target).path: got for got in receiver.got}
    assert {path: (got.json["CompanyId"], got.json["ID"]) for path, got in came.items()} == {
        "/acme": ("acme", 2),
        "/beta": ("Beta", 1),
    }
    ours, theirs = came["/acme"], came["/beta"]
    assert [signed_by(key_of(caller, got), got) for got in (ours, theirs)] == [True, True]
    assert signed_by(key_of(caller, ours), theirs) is False
    counts = [caller.send("GET", f"/_sandbox/callbacks?company={name}").json["counts"] for name in ("acme", "beta")]
    assert counts == [{"delivered": 1}] * 2


def test_a_hundred_companies_start_at_once() -> None:
    with start_sandbox(records={"contacts": 5}, more_companies=[f"c{n}" for n in range(99)]) as server:
        assert len(server.companies.stores) == 100


def test_a_store_can_take_the_place_of_the_one_before(
    caller: Caller, receiver: Receiver, sandbox: SandboxServer
) -> None:
    sandbox.store = Store({"contacts": 3})
    assert [caller.get(f"{CONTACTS}/count").json["count"], by(caller, "beta").status] == [3, 200]
    register(caller, receiver)
    sandbox.store.touch("contacts", 2)
    (got,) = arrivals(caller, receiver)
    assert signed_by(key_of(caller, got), got)
