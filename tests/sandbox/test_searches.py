"""Lists asked for by POST: `…/search` with conditions in the body, and `/system/bundles` with several at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer, Store
from tests.sandbox.caller import BASE, Answer, Caller
from tests.support.sandboxes import start_sandbox

SEARCH, BUNDLES = "/service/tickets/search", "/system/bundles"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with start_sandbox(records={"contacts": 5, "incidents": 30, "organizations": 3, "project-tickets": 3}) as server:
        yield server


def ids(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.body
    return [record["id"] for record in answer.json]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"conditions": "id in (3, 9, 40)"}, [3, 9]),
        ({"Conditions": "id > 28", "orderBy": "id desc"}, [30, 29]),
        ({"conditions": "id < 3", "childConditions": "", "customFieldConditions": None}, [1, 2]),
        ({"customFieldConditions": 'caption="Asset tag" and value="A000007"'}, [7]),
        ({}, [*range(1, 26)]),
    ],
)
def test_a_search_takes_its_conditions_from_the_body(caller: Caller, body: object, found: list[int]) -> None:
    assert ids(caller.post(SEARCH, body)) == found


def test_a_search_may_be_longer_than_a_url_and_has_pages(caller: Caller) -> None:
    body = {"conditions": " or ".join(f"id = {number}" for number in range(1, 2000))}
    first = caller.post(f"{SEARCH}?pageSize=20&fields=id", body)
    assert (ids(first), ids(caller.post(f"{SEARCH}?pageSize=20&page=2", body))) == ([*range(1, 21)], [*range(21, 31)])
    assert 'rel="next"' in first.headers["Link"]
    assert first.json[0] == {"id": 1}


@pytest.mark.parametrize("body", [{"conditions": 5}, {"orderBy": ["id"]}, [], b"{"])
def test_a_search_that_can_not_be_read_is_refused(caller: Caller, body: object) -> None:
    assert caller.send("POST", BASE + SEARCH, body).status == 400


def test_only_tickets_are_searched_and_only_by_post(caller: Caller, store: Store) -> None:
    assert ids(caller.post("/Project/Tickets/Search", {"conditions": "id = 2"})) == [2]
    assert caller.get(SEARCH).status == 405
    assert caller.post("/company/contacts/search", {}).status == 404
    assert caller.post(SEARCH, {"conditions": "oddity = 1"}).json["code"] == "ApiFindCondition"
    store.forbid("incidents")
    assert caller.post(SEARCH, {}).status == 403


def bundle(caller: Caller, *requests: dict[str, Any], path: str = BUNDLES) -> list[dict[str, Any]]:
    answer = caller.post(path, {"requests": [*requests]})
    assert answer.status == 200, answer.body
    results: list[dict[str, Any]] = answer.json["results"]
    return results


def test_a_bundle_is_answered_part_by_part(caller: Caller, store: Store) -> None:
    store.forbid("contacts")
    asked = [
        {
            "Version": "2019.3",
            "SequenceNumber": 1,
            "ResourceType": "ticket",
            "ApiRequest": {"Filters": {"conditions": "id < 4", "orderBy": "id desc"}, "Page": {"pageSize": 2}},
        },
        {"sequenceNumber": 2, "resourceType": "Company", "apiRequest": {"id": 3, "fields": "id,name"}},
        {"sequenceNumber": 3, "resourceType": "CompanySite", "apiRequest": {"parentId": 2, "fields": "id"}},
        {"sequenceNumber": 4, "resourceType": "contact"},
        {"sequenceNumber": 5, "resourceType": "company", "apiRequest": {"id": 4}},
        {"sequenceNumber": 6, "resourceType": "oddity"},
        {"sequenceNumber": 7, "resourceName": "ticket", "apiRequest": {"filters": {"conditions": "oddity = 1"}}},
    ]
    results = bundle(caller, *asked)
    assert [result["sequenceNumber"] for result in results] == [1, 2, 3, 4, 5, 6, 7]
    assert [result["success"] for result in results] == [True, True, True, False, False, False, False]
    assert [result["statusCode"] for result in results] == [200, 200, 200, 403, 404, 404, 400]
    assert [entity["id"] for entity in results[0]["entities"]] == [3, 2]
    assert (results[0]["version"], results[0]["resourceType"]) == ("2019.3", "ticket")
    assert results[1]["entities"] == [{"id": 3, "name": caller.get("/company/companies/3").json["name"]}]
    assert results[2]["entities"] == [{"id": 101}, {"id": 102}, {"id": 103}]
    assert [result["error"]["code"] for result in results[3:]] == [
        *("Security", "NotFound", "NotFound", "ApiFindCondition")
    ]


def test_a_bundle_may_only_count(caller: Caller) -> None:
    request = {"sequenceNumber": 1, "resourceType": "ticket", "apiRequest": {"filters": {"conditions": "id > 20"}}}
    (result,) = bundle(caller, request, path=f"{BUNDLES}/count")
    assert (result["count"], result["success"], "entities" in result) == (10, True, False)


@pytest.mark.parametrize("body", [b"", b"[]", {}, {"requests": {}}])
def test_a_bundle_that_is_none_is_refused(caller: Caller, body: object) -> None:
    answer = caller.send("POST", BASE + BUNDLES, body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, "requests")


@pytest.mark.parametrize("request_", ["x", None, {}, {"resourceType": 5, "apiRequest": []}])
def test_a_part_that_is_none_fails_alone(caller: Caller, request_: Any) -> None:
    results = bundle(caller, request_, {"resourceType": "company"})
    assert [result["success"] for result in results] == [False, True]


def test_a_bundle_writes_nothing_and_is_asked_by_post(caller: Caller) -> None:
    assert caller.get(BUNDLES).status == 404
    asked = {"resourceType": "contact", "apiRequest": {"entity": {"firstName": "Quinn"}}}
    assert len(bundle(caller, asked)[0]["entities"]) == 5
