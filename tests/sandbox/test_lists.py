"""Order, fields, and the records themselves."""

from __future__ import annotations

import re

import pytest

from cwconnect.sandbox import CATALOGUE, Store
from tests.sandbox.caller import CONTACTS, Caller
from tests.support.sandboxes import start_sandbox


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        ("id desc", [5, 4, 3, 2, 1]),
        ("id asc", [1, 2, 3, 4, 5]),
        ("lastUpdated", [5, 1, 2, 3, 4]),
        ("_info/lastUpdated DESC", [3, 4, 2, 1, 5]),
        ("lastUpdated asc, id desc", [5, 1, 2, 4, 3]),
        ("company/name desc,id", [1, 2, 3, 5, 4]),
    ],
)
def test_rows_come_in_the_order_asked_for(order: str, ids: list[int]) -> None:
    stamps = ["2018-01-01", "2019-01-01", "2020-01-01", "2020-01-01", "2017-01-01"]
    with start_sandbox(records={}) as server:
        for stamp, company in zip(stamps, ["z", "Y", "b", None, "A"], strict=True):
            server.store.create("contacts", {"company": {"name": company}}, stamp=stamp)
        with Caller(server) as caller:
            assert [record["id"] for record in caller.get(orderBy=order).json] == ids


@pytest.mark.parametrize("order", ["nothing", "id sideways", "id asc desc"])
def test_an_order_that_can_not_be_read_is_refused(caller: Caller, order: str) -> None:
    assert caller.get(orderBy=order).json["code"] == "ApiFindCondition"


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ("id", {"id"}),
        ("ID,firstname,nothing", {"id", "firstName"}),
        ("firstName", {"firstName"}),
        ("id,_info", {"id", "_info"}),
        ("nothing", set()),
    ],
)
def test_only_the_fields_asked_for_come_and_unknown_ones_are_dropped(
    caller: Caller, fields: str, keys: set[str]
) -> None:
    assert {*caller.get(fields=fields).json[0]} == keys
    assert {*caller.get(f"{CONTACTS}/1", fields=fields).json} == keys


def test_fields_reach_into_references_and_arrays(caller: Caller) -> None:
    record = caller.get(fields="id,company/id,_info/lastUpdated,communicationItems/value").json[0]
    assert record["company"].keys() == {"id"}
    assert record["_info"].keys() == {"lastUpdated"}
    assert all(item.keys() == {"value"} for item in record["communicationItems"])


def test_a_whole_member_includes_its_parts(caller: Caller) -> None:
    assert len(caller.get(fields="company/id,company").json[0]["company"]) == 4
    assert len(caller.get(fields="company,company/id").json[0]["company"]) == 4


@pytest.mark.parametrize("spec", CATALOGUE, ids=lambda spec: spec.name)
def test_every_list_of_the_catalogue_lists_counts_and_filters(spec: object) -> None:
    assert hasattr(spec, "path")
    with start_sandbox(records={spec.path: 3}) as server, Caller(server) as caller:
        assert [record["id"] for record in caller.get(spec.path).json] == [1, 2, 3]
        assert caller.get(f"{spec.path}/count").json == {"count": 3}
        assert caller.get(f"{spec.path}/2").json["id"] == 2
        assert caller.ids("lastUpdated > [1990-01-01]", spec.path) == [1, 2, 3]


def test_only_contacts_do_not_say_when_they_were_made() -> None:
    with start_sandbox(records={"contacts": 1, "incidents": 1, "time-entries": 1}) as server, Caller(server) as caller:
        assert "dateEntered" not in caller.get(f"{CONTACTS}/1").json["_info"]
        assert "dateEntered" in caller.get("/service/tickets/1").json["_info"]
        assert "dateEntered" in caller.get("/time/entries/1").json


def test_stamps_are_utc_in_whole_seconds(caller: Caller) -> None:
    for record in caller.get().json:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["_info"]["lastUpdated"])


def test_contacts_are_about_a_kilobyte_with_company_and_communication(caller: Caller) -> None:
    record = caller.get(f"{CONTACTS}/1")
    assert 800 < len(record.body) < 1400
    assert record.json["company"]["_info"]["company_href"].endswith(f"/{record.json['company']['id']}")
    assert [item["communicationType"] for item in record.json["communicationItems"]] == ["Phone", "Email"]


def test_the_same_seed_makes_the_same_records() -> None:
    with start_sandbox(seed=7) as one, start_sandbox(seed=7) as two, start_sandbox(seed=8) as three:
        names = [[server.store.get("contacts", 5)] for server in (one, two, three)]
    first, second, third = ([record["firstName"], record["mobileGuid"]] for (record,) in names if record)
    assert first == second
    assert first != third


def test_a_list_the_catalogue_does_not_know_can_be_added() -> None:
    with (
        start_sandbox(records={"/company/notes": 2}, extra_paths=["/company/contacts/1/notes"]) as server,
        Caller(server) as caller,
    ):
        assert len(caller.get("/company/notes").json) == 2
        assert caller.get("/company/contacts/1/notes").json == []
        assert caller.get("/company/notes/9").json["message"] == "Note 9 not found"


def test_odd_characters_and_numbers_survive(caller: Caller, store: Store) -> None:
    odd = {"title": "a\u0000b\u2028\U0001f600", "nickName": "\ud800", "school": 2**70}
    store.change("contacts", 4, odd)
    record = caller.get(f"{CONTACTS}/4").json
    assert {key: record[key] for key in odd} == odd
    assert caller.get(fields="title", pageSize=1, conditions="id = 4").json == [{"title": odd["title"]}]
