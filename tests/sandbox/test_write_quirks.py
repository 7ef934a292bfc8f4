"""What real ConnectWise does with writes that nobody expects (docs/connectwise.md#writes)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer, Store
from tests.sandbox.caller import BASE, CONTACTS, Answer, Caller
from tests.sandbox.hooked import arrivals, register, said
from tests.support.receivers import Receiver
from tests.support.sandboxes import start_sandbox

TICKETS, COMPANIES, FIELDS = "/service/tickets", "/company/companies", "/system/userDefinedFields"
RECORDS = {"contacts": 10, "organizations": 10, "incidents": 5, "configurations": 5, "members": 4, "time-entries": 2}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with start_sandbox(records=RECORDS) as server:
        yield server


def problems(answer: Answer) -> set[tuple[str, str]]:
    """Return code and field of each error that a refusal names."""
    assert (answer.status, answer.json["code"]) == (400, "InvalidObject"), answer.body
    return {(error["code"], error["field"]) for error in answer.json["errors"]}


def replace(path: str, value: object) -> dict[str, object]:
    return {"op": "replace", "path": path, "value": value}


# -- types and required fields -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("summary", 5, "5"),
        ("budgetHours", "1.5", 1.5),
        ("budgetHours", 2, 2),
        ("parentTicketId", "3", 3),
        ("closedFlag", "True", True),
        ("requiredDate", "2026-05-04T12:00:00.1234567+02:00", "2026-05-04T10:00:00Z"),
        ("requiredDate", "2026-05-04", "2026-05-04T00:00:00Z"),
        ("severity", "high", "High"),
        ("SEVERITY", "high", "High"),
    ],
)
def test_a_value_is_read_leniently(caller: Caller, field: str, value: object, stored: object) -> None:
    made = caller.post(TICKETS, {"summary": "x", "company": {"id": 1}, field: value})
    name = next(name for name in made.json if name.lower() == field.lower())
    assert (made.status, made.json[name]) == (201, stored)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("summary", {}),
        ("summary", ["x"]),
        ("summary", "x" * 101),
        ("budgetHours", "much"),
        ("budgetHours", True),
        ("budgetHours", "inf"),
        ("parentTicketId", 1.5),
        ("closedFlag", "perhaps"),
        ("closedFlag", []),
        ("requiredDate", "tomorrow"),
        ("requiredDate", "2026-13-01T00:00:00Z"),
        ("requiredDate", 5),
        ("severity", "Awful"),
        ("customFields", {}),
        ("company", "Alder"),
        ("company", {}),
        ("company", {"id": "one"}),
        ("company", {"id": 0}),
        ("company", [1]),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_value_of_another_type_is_refused_with_its_field(
    caller: Caller, store: Store, method: str, field: str, value: object
) -> None:
    before = store.get("incidents", 1)
    record = {"summary": "x", "company": {"id": 1}} | {field: value}
    path = BASE + TICKETS + ("" if method == "POST" else "/1")
    answer = caller.send(method, path, [replace(field, value)] if method == "PATCH" else record)
    assert problems(answer) == {("InvalidField", field)}
    assert (store.get("incidents", 1), len(store.ids("incidents"))) == (before, 5)


def test_a_refusal_names_every_field(caller: Caller) -> None:
    answer = caller.post(TICKETS, {"budgetHours": "much", "board": {"id": 99}, "company": None})
    assert problems(answer) == {
        ("MissingRequiredField", "summary"),
        ("MissingRequiredField", "company"),
        ("InvalidField", "budgetHours"),
        ("NotFound", "board"),
    }
    assert caller.post(TICKETS, {"summary": "x", "company": {"id": 1}}).json["id"] == 6, "no id was lost"


def test_what_connectwise_does_not_know_is_dropped_and_null_is_left_out(caller: Caller) -> None:
    made = caller.post(CONTACTS, {"firstName": "Quinn", "oddity": 1, "lastName": None}).json
    assert made.keys().isdisjoint({"oddity", "lastName"})


# -- references --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{"id": 3}, {"id": "3"}, {"identifier": "cedarDental3"}, {"name": "Cedar Dental 3"}])
def test_a_reference_is_stored_whole(caller: Caller, given: dict[str, object]) -> None:
    company = caller.get(f"{COMPANIES}/3").json
    given = {key: company[key] if key in ("identifier", "name") else value for key, value in given.items()}
    made = caller.post(TICKETS, {"summary": "x", "company": given}).json["company"]
    assert (made["id"], made["identifier"], made["name"]) == (3, company["identifier"], company["name"])
    assert made["_info"]["company_href"].endswith(f"{COMPANIES}/3")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("company", {"id": 644}),
        ("company", {"identifier": "Nobody"}),
        ("contact", {"id": 11}),
        ("status", {"id": 101}),
        ("status", {"name": "Elsewhere"}),
        ("owner", {"id": 5}),
    ],
)
def test_a_reference_to_nothing_is_refused(caller: Caller, field: str, value: object) -> None:
    record = {"summary": "x", "company": {"id": 1}, "board": {"id": 1}} | {field: value}
    assert problems(caller.post(TICKETS, record)) == {("NotFound", field)}
    assert problems(caller.patch(f"{TICKETS}/1", replace("board", {"id": 1}), replace(field, value))) == {
        ("NotFound", field)
    }


def test_a_hidden_record_can_not_be_referred_to(caller: Caller, store: Store) -> None:
    store.hide("organizations", [3])
    assert problems(caller.post(TICKETS, {"summary": "x", "company": {"id": 3}})) == {("NotFound", "company")}


def test_into_a_list_without_records_any_reference_will_do(caller: Caller) -> None:
    made = caller.post(TICKETS, {"summary": "x", "company": {"id": 1}, "agreement": {"id": "77"}})
    assert (made.status, made.json["agreement"]) == (201, {"id": 77})


def test_a_new_ticket_has_what_connectwise_fills_in(caller: Caller) -> None:
    made = caller.post(TICKETS, {"summary": "x", "company": {"id": 1}, "board": {"name": "network"}}).json
    assert (made["board"]["id"], made["status"]["id"], made["status"]["name"]) == (2, 101, "New")
    assert (made["priority"]["id"], made["recordType"], made["closedFlag"]) == (3, "ServiceTicket", False)
    assert (made["_info"]["updatedBy"], made["_info"]["enteredBy"]) == ("api", "api")


# -- PATCH -------------------------------------------------------------------------------------------------------------


def test_a_path_into_a_reference_answers_200_and_changes_nothing(caller: Caller, store: Store) -> None:
    before = store.get("incidents", 1)
    store.clock_offset = 86400
    answer = caller.patch(f"{TICKETS}/1", replace("company/id", 9), replace("agreement/id", 9))
    assert (answer.status, answer.json, store.get("incidents", 1)) == (200, before, before)
    mixed = caller.patch(f"{TICKETS}/1", replace("company/id", 9), replace("summary", "New"))
    assert (mixed.json["summary"], mixed.json["company"]) == ("New", before and before["company"])


@pytest.mark.parametrize("path", ["Summary", "/Summary", "SUMMARY", "oddity", "Company", "company2/id"])
def test_a_path_in_another_case_or_unknown_is_not_found(caller: Caller, path: str) -> None:
    assert problems(caller.patch(f"{TICKETS}/1", replace(path, {"id": 1}))) == {
        ("InvalidField", path.strip("/").partition("/")[0])
    }


def test_a_reference_is_replaced_whole(caller: Caller) -> None:
    company = caller.patch(f"{TICKETS}/1", replace("company", {"id": "9"})).json["company"]
    assert (company["id"], company["name"]) == (9, caller.get(f"{COMPANIES}/9").json["name"])


def test_a_required_field_can_not_be_emptied(caller: Caller) -> None:
    assert problems(caller.patch(f"{TICKETS}/1", replace("company", None))) == {("MissingRequiredField", "company")}


# -- PUT ---------------------------------------------------------------------------------------------------------------


def test_a_put_resets_what_it_leaves_out_but_for_custom_fields(caller: Caller) -> None:
    before = caller.get(f"{TICKETS}/1").json
    made = caller.send("PUT", f"{BASE}{TICKETS}/1", {"summary": "Only", "company": {"id": 2}}).json
    assert made.keys().isdisjoint({"contact", "severity", "budgetHours"})
    assert (made["id"], made["closedFlag"], made["customFields"]) == (1, False, before["customFields"])
    assert made["_info"]["dateEntered"] == before["_info"]["dateEntered"]
    entry = caller.get("/time/entries/1").json
    put = caller.send("PUT", f"{BASE}/time/entries/1", {"timeStart": entry["timeStart"]}).json
    assert put["dateEntered"] == entry["dateEntered"]


def test_a_put_of_a_contact_with_communication_items_fails(caller: Caller) -> None:
    record = caller.get(f"{CONTACTS}/1").json
    put = f"{BASE}{CONTACTS}/1"
    assert problems(caller.send("PUT", put, record)) == {("InvalidField", "communicationItems")}
    del record["communicationItems"]
    assert caller.send("PUT", put, record).status == 200


# -- custom fields -----------------------------------------------------------------------------------------------------


def values(record: dict[str, Any]) -> dict[int, object]:
    """Return the values of a record's custom fields by id; None for one without."""
    return {field["id"]: field.get("value") for field in record["customFields"]}


@pytest.mark.parametrize("given", [[], None])
def test_an_empty_array_clears_no_custom_field(caller: Caller, given: object) -> None:
    before = values(caller.get(f"{COMPANIES}/1").json)
    assert values(caller.patch(f"{COMPANIES}/1", replace("customFields", given)).json) == before


def test_a_custom_field_that_is_left_out_keeps_its_value(caller: Caller) -> None:
    before = values(caller.get(f"{COMPANIES}/1").json)
    made = caller.patch(f"{COMPANIES}/1", replace("/customFields", [{"id": "7", "value": "12"}])).json
    assert values(made) == before | {7: 12}
    cleared = caller.patch(f"{COMPANIES}/1", replace("customFields", [{"id": 7, "value": None}])).json
    assert "value" not in cleared["customFields"][1]
    assert cleared["customFields"][1] == {
        "id": 7,
        "caption": "Seats",
        "type": "Number",
        "entryMethod": "EntryField",
        "numberOfDecimals": 0,
    }


@pytest.mark.parametrize("item", [{"id": 7, "value": "many"}, {"id": 1, "value": "x"}, {"value": "x"}, "x"])
def test_a_custom_field_that_does_not_fit_is_refused(caller: Caller, item: object) -> None:
    assert problems(caller.patch(f"{COMPANIES}/1", replace("customFields", [item]))) == {
        ("InvalidField", "customFields")
    }


def test_a_patch_may_have_to_replace_the_custom_fields(caller: Caller) -> None:
    assert caller.patch(f"{CONTACTS}/1", replace("title", "A")).status == 200
    caller.control("settings", patch_needs_custom_fields=True)
    assert problems(caller.patch(f"{CONTACTS}/1", replace("title", "B"))) == {("InvalidField", "customFields")}
    assert caller.patch(f"{CONTACTS}/1", replace("title", "B"), replace("/customFields", [])).json["title"] == "B"
    assert caller.patch("/time/entries/1", replace("notes", "B")).status == 200, "records without are not concerned"


def test_a_definition_gives_all_records_of_its_pod_a_field(caller: Caller, store: Store) -> None:
    stamp = (store.get("contacts", 1) or {})["_info"]["lastUpdated"]
    definition = {"podId": 1, "caption": "VIP", "sequenceNumber": 2, "fieldTypeIdentifier": "Checkbox"}
    made = caller.post(FIELDS, definition)
    assert (made.status, made.json["id"]) == (201, 8)
    record = caller.get(f"{CONTACTS}/1").json
    assert (record["customFields"][1]["caption"], record["_info"]["lastUpdated"]) == ("VIP", stamp)
    assert values(caller.post(CONTACTS, {"firstName": "Q", "customFields": [{"id": 8, "value": "true"}]}).json) == {
        1: None,
        8: True,
    }
    caller.patch(f"{FIELDS}/8", replace("caption", "Important"))
    assert caller.get(f"{CONTACTS}/11").json["customFields"][1]["caption"] == "Important"
    assert caller.send("DELETE", f"{BASE}{FIELDS}/8").status == 204
    assert values(caller.get(f"{CONTACTS}/11").json) == {1: None}


def test_a_required_custom_field_can_not_be_emptied(caller: Caller) -> None:
    caller.patch(f"{FIELDS}/1", replace("requiredFlag", value=True))
    answer = caller.patch(f"{CONTACTS}/1", replace("customFields", [{"id": 1, "value": ""}]))
    assert problems(answer) == {("MissingRequiredField", "customFields")}


@pytest.mark.parametrize(
    ("left_out", "code"),
    [("caption", "MissingRequiredField"), ("podId", "MissingRequiredField"), ("fieldTypeIdentifier", "InvalidField")],
)
def test_a_definition_is_checked_like_any_record(caller: Caller, left_out: str, code: str) -> None:
    given: dict[str, object] = {"podId": 1, "caption": "VIP", "sequenceNumber": 2, "fieldTypeIdentifier": "Text"}
    given[left_out] = None if code == "MissingRequiredField" else "Colour"
    assert problems(caller.post(FIELDS, given)) == {(code, left_out)}


# -- DELETE ------------------------------------------------------------------------------------------------------------


def test_a_contact_may_be_transferred_when_it_is_deleted(caller: Caller, store: Store) -> None:
    store.change("incidents", 1, {"contact": {"id": 4, "name": "Old"}})
    store.change("incidents", 2, {"contact": {"id": 44, "name": "Other"}})
    gone = f"{BASE}{CONTACTS}/4"
    assert caller.send("DELETE", f"{gone}?transferContactId=99").status == 404
    assert caller.send("DELETE", f"{gone}?transferContactId=x").status == 404
    assert problems(caller.send("DELETE", f"{gone}?transferContactId=4")) == {("InvalidField", "transferContactId")}
    assert store.get("contacts", 4) is not None
    assert caller.send("DELETE", f"{gone}?transferContactId=5").status == 204
    contacts = [(store.get("incidents", number) or {})["contact"] for number in (1, 2)]
    assert (contacts[0]["id"], contacts[1]["id"], store.get("contacts", 4)) == (5, 44, None)
    ticket = store.get("incidents", 1) or {}
    assert ticket["_info"]["updatedBy"] == "api"


# -- beneath a parent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "given", "link"),
    [
        (f"{TICKETS}/3/notes", {"text": "Called", "detailDescriptionFlag": True}, ("ticketId", 3)),
        (f"{TICKETS}/3/tasks", {"notes": "Do it"}, ("ticketId", 3)),
        (f"{COMPANIES}/2/notes", {"text": "Called"}, None),
        (f"{COMPANIES}/2/sites", {"name": "Annex"}, None),
        (f"{CONTACTS}/2/notes", {"text": "Called"}, ("contactId", 2)),
    ],
)
def test_records_beneath_a_parent_are_written(
    caller: Caller, path: str, given: dict[str, object], link: tuple[str, int] | None
) -> None:
    made = caller.post(path, given)
    assert (made.status, {key: made.json[key] for key in given}) == (201, given)
    assert link is None or made.json[link[0]] == link[1]
    one = f"{path}/{made.json['id']}"
    assert caller.get(one).json == made.json
    name = next(iter(given))
    assert caller.patch(one, replace(name, "Anew")).json[name] == "Anew"
    put = caller.send("PUT", BASE + one, given).json
    assert link is None or put[link[0]] == link[1], "a PUT does not take a record from its parent"
    assert caller.send("DELETE", BASE + one).status == 204
    assert caller.get(one).status == 404


def test_configurations_are_attached_to_a_ticket_by_their_ids(caller: Caller) -> None:
    path = f"{TICKETS}/1/configurations"
    assert caller.get(path).json == []
    made = caller.post(path, {"id": "4"})
    assert (made.status, made.json["id"], made.json["deviceIdentifier"]) == (201, 4, "WS-00004")
    assert problems(caller.post(path, {"id": 4})) == {("ObjectExists", "id")}
    assert problems(caller.post(path, {"id": 99})) == {("NotFound", "id")}
    assert problems(caller.post(path, {})) == {("NotFound", "id")}
    assert caller.patch(f"{path}/4", replace("deviceIdentifier", "x")).status == 405
    assert caller.send("DELETE", f"{BASE}{path}/4").status == 204
    assert caller.get(path).json == []


def test_a_list_that_connectwise_lets_nobody_write_refuses(caller: Caller) -> None:
    for path in ("/service/severities", f"{TICKETS}/1/timeentries"):
        answer = caller.post(path, {"name": "x"})
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    assert caller.post(f"{TICKETS}/99/notes", {"text": "x"}).status == 404


# -- callbacks ---------------------------------------------------------------------------------------------------------


def test_each_write_is_announced_once_and_what_changes_nothing_is_not(caller: Caller, receiver: Receiver) -> None:
    register(caller, receiver, "ticket")
    register(caller, receiver, "contact")
    caller.post(f"{TICKETS}/1/notes", {"text": "Called"})
    caller.patch(f"{TICKETS}/2", replace("company/id", 9))
    caller.patch(f"{TICKETS}/2", replace("Summary", "x"))
    caller.post(CONTACTS, {"firstName": "Quinn"})
    caller.post(CONTACTS, {"lastName": "Quinn"})
    caller.post(FIELDS, {"podId": 1, "caption": "VIP", "sequenceNumber": 2, "fieldTypeIdentifier": "Text"})
    caller.server.store.change("incidents", 3, {"contact": {"id": 4, "name": "Old"}})
    assert len(arrivals(caller, receiver)) == 3
    caller.send("DELETE", f"{BASE}{CONTACTS}/4?transferContactId=5")
    assert sorted(map(said, arrivals(caller, receiver))) == [
        ("contact", "added", 11),
        ("contact", "deleted", 4),
        ("ticket", "updated", 1),
        ("ticket", "updated", 3),
        ("ticket", "updated", 3),
    ]
