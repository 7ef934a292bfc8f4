"""POST, PATCH, PUT and DELETE, and ConnectWise's refusals."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cwconnect.sandbox import Store
from tests.sandbox.caller import BASE, CONTACTS, Caller
from tests.support.sandboxes import start_sandbox

NOON = datetime(2026, 5, 4, 12, 0, 0, 900_000, tzinfo=UTC)


def test_a_post_makes_a_record_with_the_next_id_and_a_stamp() -> None:
    with start_sandbox(clock=lambda: NOON) as server, Caller(server) as caller:
        made = caller.post(CONTACTS, {"firstName": "Quinn", "id": 5, "_info": {"lastUpdated": "2001-01-01T00:00:00Z"}})
        assert (made.status, made.json["id"], made.json["firstName"]) == (201, 31, "Quinn")
        assert made.json["_info"]["lastUpdated"] == "2026-05-04T12:00:00Z"
        assert caller.get(f"{CONTACTS}/31").json == made.json


def test_a_record_without_what_it_must_have_is_refused(caller: Caller) -> None:
    answer = caller.post(CONTACTS, {"lastName": "Quinn"})
    assert answer.status == 400
    assert answer.json == {
        "code": "InvalidObject",
        "message": "contact object is invalid",
        "errors": [
            {
                "code": "MissingRequiredField",
                "message": "The firstName field is required.",
                "resource": "contact",
                "field": "firstName",
            }
        ],
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"'])
def test_a_body_that_is_no_record_is_refused(caller: Caller, body: bytes) -> None:
    assert caller.send("POST", BASE + CONTACTS, body).json["code"] == "InvalidObject"
    assert caller.send("PUT", f"{BASE}{CONTACTS}/1", body).json["code"] == "InvalidObject"


def test_a_patch_replaces_adds_and_removes_and_moves_the_stamp(caller: Caller, store: Store) -> None:
    store.clock_offset = 86400
    before = caller.get(f"{CONTACTS}/3").json
    answer = caller.patch(
        f"{CONTACTS}/3",
        {"op": "replace", "path": "/title", "value": "Owner"},
        {"op": "replace", "path": "company", "value": {"id": 17}},
        {"op": "add", "path": "/nickName", "value": "Q"},
        {"op": "add", "path": "/types/-", "value": {"id": 9}},
        {"op": "replace", "path": "/communicationItems/0/value", "value": "555"},
        {"op": "remove", "path": "/communicationItems/1"},
        {"op": "remove", "path": "/site"},
    )
    record = answer.json
    assert answer.status == 200
    assert (record["title"], record["company"]["id"], record["nickName"]) == ("Owner", 17, "Q")
    assert (record["types"][-1], [item["value"] for item in record["communicationItems"]]) == ({"id": 9}, ["555"])
    assert "site" not in record
    assert record["_info"]["lastUpdated"] > before["_info"]["lastUpdated"]
    assert caller.get(f"{CONTACTS}/3").json == record


@pytest.mark.parametrize(
    "patch",
    [
        {"op": "replace", "path": "/title"},
        {"op": "move", "path": "/title", "value": 1},
        {"op": "replace", "path": "/id", "value": 1},
        {"op": "replace", "path": "/_info/lastUpdated", "value": "x"},
        {"op": "replace", "path": "/types/99", "value": 1},
        {"op": "replace", "path": "/title/x", "value": 1},
        {"op": "remove", "path": "/firstName"},
    ],
)
def test_a_patch_that_can_not_be_applied_changes_nothing(caller: Caller, patch: dict[str, object]) -> None:
    before = caller.get(f"{CONTACTS}/3").json
    assert caller.patch(f"{CONTACTS}/3", {"op": "replace", "path": "/title", "value": "No"}, patch).status == 400
    assert caller.get(f"{CONTACTS}/3").json == before


def test_a_patch_must_be_an_array(caller: Caller) -> None:
    assert caller.send("PATCH", f"{BASE}{CONTACTS}/3", {"title": "x"}).status == 400


def test_a_put_replaces_the_record_but_not_its_id(caller: Caller) -> None:
    record = caller.send("PUT", f"{BASE}{CONTACTS}/3", {"firstName": "Only", "id": 99}).json
    texts = {name: value for name, value in record.items() if not isinstance(value, bool | list | dict)}
    assert texts == {"id": 3, "firstName": "Only"}


def test_a_delete_leaves_no_trace_and_its_id_is_not_used_again(caller: Caller) -> None:
    assert caller.send("DELETE", f"{BASE}{CONTACTS}/30").status == 204
    assert caller.get(f"{CONTACTS}/30").json == {"code": "NotFound", "message": "Contact 30 not found"}
    assert caller.post(CONTACTS, {"firstName": "Quinn"}).json["id"] == 31
    assert caller.get(f"{CONTACTS}/count").json == {"count": 30}


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_id_that_is_not_there_is_not_found(caller: Caller, method: str) -> None:
    answer = caller.send(method, f"{BASE}{CONTACTS}/57919", [])
    assert (answer.status, answer.json["message"]) == (404, "Contact 57919 not found")


@pytest.mark.parametrize(("method", "path"), [("DELETE", CONTACTS), ("POST", f"{CONTACTS}/1"), ("PUT", CONTACTS)])
def test_a_method_that_does_not_fit_is_refused(caller: Caller, method: str, path: str) -> None:
    assert caller.send(method, BASE + path, {}).status == 405
