"""`/system/callbacks` and the route of the keys, as recorded on a real site."""

from __future__ import annotations

import http.client
import threading
from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer, Store
from cwconnect.sandbox.callbacks.entries import TYPES
from tests.sandbox.caller import BASE, Answer, Caller
from tests.support.sandboxes import start_sandbox

CALLBACKS = "/system/callbacks"
WANTED: dict[str, Any] = {
    "url": "https://hooks.example/c/T0ken?recordId=",
    "objectId": 1,
    "type": "contact",
    "level": "owner",
    "payloadVersion": "3.0.0",
    "inactiveFlag": False,
    "isSelfSuppressedFlag": False,
}


def refused(answer: Answer) -> tuple[int, str, str, list[tuple[str, str, str]]]:
    """Return the status, code and message of a refusal, and code, message and field of its errors."""
    said = answer.json
    errors = [(error["code"], error["message"], error["field"]) for error in said.get("errors", [])]
    return answer.status, said["code"], said["message"], errors


def key_path(store: Store, company: str = "acme", key_id: str = "") -> str:
    found = key_id or store.callbacks.keyring.current(company).id
    return f"/v2025_1//system/callbackkey/index.rails?companyName={company}&id={found}"


def test_a_registration_has_the_recorded_shape(caller: Caller) -> None:
    made = caller.post(CALLBACKS, WANTED)
    assert made.status == 201
    assert made.json == WANTED | {
        "id": 1,
        "memberId": 243,
        "isSoapCallbackFlag": False,
        "connectWiseID": made.json["connectWiseID"],
        "_info": {"lastUpdated": made.json["_info"]["lastUpdated"], "updatedBy": "api"},
    }
    assert caller.get(f"{CALLBACKS}/1").json == made.json


def test_what_is_left_out_has_its_usual_value_and_a_description_is_kept(caller: Caller) -> None:
    given = {name: WANTED[name] for name in ("url", "objectId", "type", "level")} | {"description": "cwconnect 7"}
    made = caller.post(CALLBACKS, given | {"nothing": 1}).json
    assert {name: made.get(name) for name in WANTED} == WANTED
    assert made["description"] == "cwconnect 7"
    assert "nothing" not in made


@pytest.mark.parametrize("kind", sorted(set(TYPES.values())))
def test_each_type_can_be_registered(caller: Caller, kind: str) -> None:
    assert caller.post(CALLBACKS, WANTED | {"type": kind}).status == 201
    assert caller.post(CALLBACKS, WANTED | {"type": kind, "level": kind, "objectId": 7}).status == 201


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"url": "hooks.example/c"}, ("InvalidField", "Invalid URL", "url")),
        ({"url": "ftp://hooks.example/"}, ("InvalidField", "Invalid URL", "url")),
        ({"url": "https://"}, ("InvalidField", "Invalid URL", "url")),
        ({"url": "https://hooks.example:0x/"}, ("InvalidField", "Invalid URL", "url")),
        (
            {"level": "galaxy"},
            (
                "InvalidObject",
                "Unrecognized level for type, see documentation for supported levels for each type",
                "level",
            ),
        ),
        (
            {"type": "campaign"},
            (
                "InvalidObject",
                "Unrecognized level for type, see documentation for supported levels for each type",
                "level",
            ),
        ),
        ({"objectId": None}, ("MissingRequiredField", "The objectId field is required.", "objectId")),
        ({"description": "x" * 101}, ("InvalidField", "Length must be 100 or less", "description")),
        ({}, ("ObjectExists", "A matching callback entry already exists", "objectId")),
    ],
)
def test_what_can_not_be_registered_is_refused_in_the_recorded_words(
    caller: Caller, change: dict[str, object], error: tuple[str, str, str]
) -> None:
    caller.post(CALLBACKS, WANTED)
    answer = caller.post(CALLBACKS, WANTED | change)
    assert refused(answer) == (400, "InvalidObject", "callbackEntry object is invalid", [error])
    assert caller.get(f"{CALLBACKS}/count").json == {"count": 1}


def test_registrations_are_listed_by_conditions_order_and_page(caller: Caller) -> None:
    for kind in ("contact", "ticket", "company"):
        caller.post(CALLBACKS, WANTED | {"type": kind})
    found = caller.get(CALLBACKS, conditions='url contains "T0ken" and type != "ticket"', orderBy="id desc").json
    assert [entry["type"] for entry in found] == ["company", "contact"]
    first = caller.get(CALLBACKS, pageSize=2)
    assert (len(first.json), 'rel="next"' in (first.headers["Link"] or "")) == (2, True)
    assert caller.get(f"{CALLBACKS}/count", conditions="inactiveFlag = false").json == {"count": 3}


def test_a_registration_is_changed_whole_or_in_part(caller: Caller) -> None:
    made = caller.post(CALLBACKS, WANTED).json
    changed = caller.patch(f"{CALLBACKS}/1", {"op": "replace", "path": "inactiveFlag", "value": True}).json
    assert changed == made | {"inactiveFlag": True, "_info": changed["_info"]}
    put = caller.send("PUT", f"{BASE}{CALLBACKS}/1", WANTED | {"url": "https://hooks.example/new?recordId="}).json
    assert put == made | {"url": "https://hooks.example/new?recordId=", "_info": put["_info"]}


def test_a_change_is_refused_as_a_registration_is(caller: Caller) -> None:
    caller.post(CALLBACKS, WANTED)
    caller.post(CALLBACKS, WANTED | {"type": "company"})
    same = caller.patch(f"{CALLBACKS}/2", {"op": "replace", "path": "type", "value": "contact"})
    assert refused(same)[3][0][0] == "ObjectExists"
    bad = caller.send("PUT", f"{BASE}{CALLBACKS}/2", WANTED | {"url": "x"})
    assert refused(bad)[3] == [("InvalidField", "Invalid URL", "url")]


def test_a_registration_is_removed_once(caller: Caller) -> None:
    caller.post(CALLBACKS, WANTED)
    assert caller.send("DELETE", f"{BASE}{CALLBACKS}/1").status == 204
    again = caller.send("DELETE", f"{BASE}{CALLBACKS}/1")
    assert refused(again) == (404, "ConnectWiseApi", "The endpoint does not exist.", [])
    assert caller.get(f"{CALLBACKS}/1").json["code"] == "NotFound"


def test_a_role_may_be_kept_from_registrations_and_a_site_may_lack_them(caller: Caller, store: Store) -> None:
    store.forbid("callbacks")
    assert [caller.get(CALLBACKS).status, caller.post(CALLBACKS, WANTED).status] == [403, 403]
    assert caller.get(CALLBACKS).json["code"] == "Security"
    store.allow("callbacks")
    caller.control("withdraw", list="callbacks")
    for answer in (caller.get(CALLBACKS), caller.post(CALLBACKS, WANTED), caller.get(f"{CALLBACKS}/count")):
        assert refused(answer) == (404, "ConnectWiseApi", "The endpoint does not exist.", [])
    caller.control("restore", list="callbacks")
    assert caller.get(CALLBACKS).json == []


def test_a_registration_can_be_made_and_its_answer_lost(caller: Caller, store: Store) -> None:
    store.fail_next(method="POST", path="callbacks", drop="after")
    assert caller.get(CALLBACKS).json == []
    with pytest.raises(http.client.RemoteDisconnected):
        caller.post(CALLBACKS, WANTED)
    caller.close()
    assert [entry["url"] for entry in caller.get(CALLBACKS).json] == [WANTED["url"]]
    assert refused(caller.post(CALLBACKS, WANTED))[3][0][0] == "ObjectExists"


def test_registrations_of_others_stand_beside(caller: Caller, store: Store) -> None:
    other = store.create("callbacks", {"url": "https://theirs.example/?id="})
    assert caller.get(CALLBACKS).json == [other]
    assert other["inactiveFlag"]
    assert "callbacks" not in store.lists()


def test_nothing_by_itself_touches_registrations(store: Store, sandbox: SandboxServer) -> None:
    other = store.create("callbacks")
    for _ in range(50):
        sandbox.changer.change_something()
    assert store.get("callbacks", other["id"]) == other


def test_the_key_is_given_to_everyone_as_text(caller: Caller, store: Store) -> None:
    no_login: dict[str, str | None] = {"Authorization": None, "clientId": None}
    answer = caller.send("GET", key_path(store), headers=no_login)
    assert (answer.status, answer.json) == (200, {"signing_key": store.callbacks.keyring.current("acme").key})
    assert (answer.headers["Content-Type"] or "").startswith("text/plain")
    assert caller.send("GET", key_path(store).replace("acme", "ACME"), headers=no_login).json == answer.json


def test_the_key_may_need_a_login(caller: Caller, store: Store) -> None:
    caller.control("settings", callback_key_needs_login=True)
    assert caller.send("GET", key_path(store), headers={"Authorization": None}).status == 401
    assert caller.send("GET", key_path(store)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v2025_1//system/callbackkey/index.rails",
        "/v2025_1/system/callbackkey/index.rails?companyName=acme&id=nothing",
        "/v2025_1/system/callbackkey/index.rails?companyName=other&id=KEY",
        "/v1999_1/system/callbackkey/index.rails?companyName=acme&id=KEY",
    ],
)
def test_a_key_that_is_not_there_is_not_found(caller: Caller, store: Store, path: str) -> None:
    key_id = store.callbacks.keyring.current("acme").id
    answer = caller.send("GET", path.replace("KEY", key_id))
    assert refused(answer) == (404, "ConnectWiseApi", "The endpoint does not exist.", [])


def test_a_key_is_replaced_under_a_new_id_or_in_place(caller: Caller, store: Store) -> None:
    first = store.callbacks.keyring.current("acme")
    second = caller.control("rotate_signing_key").json["result"]
    given = [caller.send("GET", key_path(store, key_id=key_id)).json["signing_key"] for key_id in (first.id, second)]
    assert (given[0], given[0] != given[1], first.id != second) == (first.key, True, True)
    assert store.callbacks.rotate_key(same_id=True) == second
    assert caller.send("GET", key_path(store, key_id=second)).json["signing_key"] not in given


def test_the_route_of_the_keys_fails_as_others_do(caller: Caller, store: Store) -> None:
    store.fail_next(path="callbackkey", status=503)
    assert [caller.get(CALLBACKS).status, caller.send("GET", key_path(store)).status] == [200, 503]


def test_no_thread_runs_where_nobody_is_registered() -> None:
    with start_sandbox() as server:
        server.store.change("contacts", 1, {"title": "Owner"}, visible_after=0.01)
        server.store.change("contacts", 1, {"title": "Partner"})
        assert server.store.callbacks.summary() == {"counts": {}, "waiting": 0, "latest": []}
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("sandbox-callbacks")]
