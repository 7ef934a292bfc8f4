"""Who may call."""

from __future__ import annotations

import pytest

from cwconnect.sandbox import Store
from tests.sandbox.caller import BASE, CONTACTS, Caller, basic
from tests.support.sandboxes import start_sandbox

UNAUTHORIZED = {"code": "Unauthorized", "message": "Incorrect public/private key"}


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer x", "Basic !!!", basic("acme+PUB:wrong"), basic("acme+wrong:PRIV"), basic("nonsense")],
)
def test_wrong_or_missing_keys_answer_401_in_connectwises_words(caller: Caller, header: str | None) -> None:
    if header == basic("nonsense"):
        header = basic("+PUB:")
    answer = caller.get(headers={"Authorization": header})
    assert (answer.status, answer.json) == (401, UNAUTHORIZED)


def test_an_unknown_company_cannot_be_routed(caller: Caller) -> None:
    answer = caller.get(headers={"Authorization": basic("other+PUB:PRIV")})
    assert (answer.status, answer.body) == (400, b"Cannot route. Codebase/company is invalid")
    assert answer.headers["Content-Type"] == "text/plain"


def test_an_unknown_codebase_cannot_be_routed(caller: Caller) -> None:
    assert caller.send("GET", "/v1_0/apis/3.0/company/contacts").status == 400
    assert caller.send("GET", "/v2025_1/apis/3.0/company/contacts").status == 200


def test_a_missing_client_id_is_refused(caller: Caller) -> None:
    assert caller.get(headers={"clientId": None}).status == 401
    assert caller.get("/system/info", headers={"clientId": None}).status == 401


def test_a_wrong_client_id_is_refused_where_one_is_set() -> None:
    with start_sandbox(client_id="the-one") as server, Caller(server) as caller:
        assert caller.get().status == 400
        assert caller.get(headers={"clientId": "the-one"}).status == 200
        server.store.login.wrong_client_id_status = 403
        assert caller.get().status == 403


def test_keys_can_be_changed_while_it_runs(caller: Caller, store: Store) -> None:
    store.set_keys("NEW", "SECRET")
    assert caller.get().status == 401
    assert caller.get(headers={"Authorization": basic("acme+NEW:SECRET")}).status == 200


def test_company_info_needs_no_login(caller: Caller) -> None:
    bare: dict[str, str | None] = {"Authorization": None, "clientId": None}
    known = caller.send("GET", "/login/companyinfo/acme", headers=bare)
    assert known.json["Codebase"] == "v2025_1/"
    assert known.json["CompanyID"] == "acme"
    unknown = caller.send("GET", "/login/companyinfo/nobody", headers=bare)
    assert (unknown.status, unknown.json) == (200, None)


def test_system_info_names_the_version(caller: Caller) -> None:
    assert set(caller.get("/system/info").json) == {
        "version",
        "isCloud",
        "serverTimeZone",
        "licenseBits",
        "cloudRegion",
    }


@pytest.mark.parametrize("path", ["/company/nothing", "/company", "/company/contacts/1/nothing", "/company/contacts/x"])
def test_an_unknown_path_is_no_endpoint(caller: Caller, path: str) -> None:
    answer = caller.get(path)
    assert (answer.status, answer.json["message"]) == (404, "The endpoint does not exist.")


def test_a_role_that_lost_a_list_is_refused_there_alone(caller: Caller, store: Store) -> None:
    store.forbid("contacts")
    answer = caller.get()
    assert (answer.status, answer.json["code"]) == (403, "Security")
    assert caller.get("/service/tickets").status == 200
    store.allow("/company/contacts")
    assert caller.get().status == 200


def test_hidden_rows_vanish_from_lists_counts_and_ids(caller: Caller, store: Store) -> None:
    store.hide("contacts", [2, 3])
    assert [record["id"] for record in caller.get(pageSize=3).json] == [1, 4, 5]
    assert caller.get("/company/contacts/count").json == {"count": 28}
    assert caller.get(f"{CONTACTS}/2").status == 404
    store.show("contacts", [2])
    assert caller.get(f"{CONTACTS}/2").status == 200
    store.show("contacts")
    assert caller.get("/company/contacts/count").json == {"count": 30}


def test_the_log_says_what_was_asked_but_no_credentials(caller: Caller, store: Store) -> None:
    caller.get(pageSize=3, conditions="id = 1")
    (seen,) = store.requests
    assert (seen.method, seen.path) == ("GET", BASE + CONTACTS)
    assert seen.query == {"pageSize": "3", "conditions": "id = 1"}
    assert "clientid" in seen.headers
    assert "authorization" not in seen.headers
