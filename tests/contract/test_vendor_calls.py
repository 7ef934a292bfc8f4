"""Each call of the vendor's own contract tests, with method, body and answer, on the sandbox's ConnectWise.

Every success is 200, a POST's and a DELETE's too. A PATCH's body is a plain partial object, ids may be text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from pytest_django import Settings

from polling.detection.poll_loop import poll_due
from tests.support.api_caller import Api
from tests.support.hub_writer import Hub
from tests.support.sandboxes import start_sandbox

pytestmark = pytest.mark.django_db
RECORDS = {"contacts": 12, "organizations": 9, "incidents": 9, "opportunities": 5, "configurations": 5, "members": 4}
RECORDS |= {"time-entries": 12}
BULK = {"instanceId", "id", "status"}
COMPANY = {"company": {"id": "4"}}


@dataclass(frozen=True)
class Resource:
    """What a program does with one: what it creates, what it changes, and which verbs the vendor tests of it."""

    path: str
    verbs: str
    body: dict[str, Any]
    change: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.path


OPPORTUNITY = {"name": "A deal", "expectedCloseDate": "2026-09-01T00:00:00Z", "primarySalesRep": {"id": "1"}}
OPPORTUNITY |= {"contact": {"id": "3"}} | COMPANY
CONFIGURATION = {"name": "WS-1", "type": {"id": "1"}} | COMPANY
TIME = {"chargeToId": "3", "chargeToType": "ServiceTicket", "timeStart": "2026-05-04T12:00:00Z", "member": {"id": "2"}}
ORGANIZATION = {"identifier": "Ada", "name": "Ada"}
FIELD = {"podId": 1, "caption": "VIP", "sequenceNumber": 2, "fieldTypeIdentifier": "Text"}
NOTE = {"text": "Called", "detailDescriptionFlag": True}
RESOURCES = [
    Resource("contacts", "POST LIST GET PATCH PUT DELETE", {"firstName": "Ada"} | COMPANY, {"title": "Countess"}),
    Resource(
        "organizations", "POST LIST GET PATCH PUT DELETE", {"identifier": "Ada", "name": "Ada"}, {"name": "Ada Ltd"}
    ),
    Resource("fields", "POST LIST GET PATCH PUT DELETE", FIELD, {"caption": "Very"}),
    Resource("incidents", "POST LIST GET PATCH DELETE", {"summary": "On fire"} | COMPANY, {"summary": "Out"}),
    Resource("opportunities", "POST LIST GET PATCH DELETE", OPPORTUNITY, {"name": "Another deal"}),
    Resource("incidents/3/comments", "POST LIST GET PATCH DELETE", NOTE, {"text": "Called again"}),
    Resource("time-entries", "POST LIST DELETE", TIME),
    Resource("configurations", "POST LIST DELETE", CONFIGURATION),
    Resource("incidents/3/members", "POST", {"member": {"id": "2"}}),
]


@pytest.fixture
def hub(api: Api, settings: Settings) -> Iterator[Hub]:
    settings.CONNECTWISE_CLIENT_ID = "a-client-id"
    with start_sandbox(records=RECORDS) as server:
        yield Hub(api, server)


def done(answer: Any) -> Any:
    """Return what a call that must succeed answers: 200, whatever the verb."""
    assert answer.status_code == 200, answer.content
    return answer.json() if answer.content else None


def holds(record: dict[str, Any], given: dict[str, Any]) -> bool:
    """Whether a record has what was given for it; of a reference its id."""

    def plain(value: Any) -> str:
        return str(value["id"] if isinstance(value, dict) else value)

    return all(plain(record.get(name)) == plain(value) for name, value in given.items())


@pytest.mark.parametrize("resource", RESOURCES, ids=str)
def test_every_verb_that_the_vendor_tests_of_a_resource(hub: Hub, resource: Resource) -> None:
    verbs = resource.verbs.split()
    made = done(hub("POST", resource.path, resource.body))
    one = f"{resource.path}/{made['id']}"
    assert isinstance(made["id"], int)
    if resource.path != "incidents/3/members":
        assert holds(made, resource.body), made
    if "LIST" in verbs:
        assert made["id"] in [record["id"] for record in done(hub("GET", resource.path))]
    if "GET" in verbs:
        assert done(hub("GET", one)) == made
    if "PATCH" in verbs:
        assert done(hub("PATCH", one, resource.change)) | {"_info": 0} == made | resource.change | {"_info": 0}
    if "PUT" in verbs:
        assert holds(done(hub("PUT", one, resource.body)), resource.body)
    if "DELETE" in verbs:
        assert done(hub("DELETE", one)) is None
        assert hub("GET", one).status_code == 404
    assert {entry.details["outcome"] for entry in hub.audited} == {"done"}


def test_configurations_of_an_incident_are_attached_by_put_and_listed(hub: Hub) -> None:
    assert done(hub("GET", "incidents/3/configurations")) == []
    assert done(hub("PUT", "incidents/3/configurations", {"id": "4"}))["id"] == 4
    assert hub.sent == ["POST"]
    assert [each["id"] for each in done(hub("GET", "incidents/3/configurations"))] == [4]
    again = hub("PUT", "incidents/3/configurations", {"id": "4"})
    assert (again.status_code, "id" in again.json()["message"]) == (400, True)
    assert done(hub("DELETE", "incidents/3/configurations/4")) is None


def test_time_entries_of_an_incident_are_read_with_a_where(hub: Hub) -> None:
    mine = done(hub("POST", "time-entries", TIME))
    done(hub("POST", "time-entries", TIME | {"chargeToId": 4}))
    found = done(hub("GET", "incidents/3/time-entries"))
    assert mine["id"] in [entry["id"] for entry in found]
    assert {(entry["chargeToId"], entry["chargeToType"]) for entry in found} == {(3, "ServiceTicket")}
    narrowed = f"incidents/3/time-entries?where=id%3D{mine['id']}%20OR%20id%3D999"
    assert [entry["id"] for entry in done(hub("GET", narrowed))] == [mine["id"]]
    assert done(hub("GET", "incidents/9/time-entries?where=id%3E0%20OR%20id%3D1")) == []


def test_a_member_is_added_to_an_incident_and_listed(hub: Hub) -> None:
    name = hub.store.get("members", 2)["identifier"]  # type: ignore[index]  # it is there
    made = done(hub("POST", "incidents/3/members", {"identifier": name}))
    assert (made["objectId"], made["member"]["id"]) == (3, 2)
    done(hub("POST", "incidents/4/members", {"member": {"id": "3"}}))
    listed = done(hub("GET", "incidents/3/members"))
    assert [(entry["objectId"], entry["member"]["id"]) for entry in listed] == [(3, 2)]


@pytest.mark.parametrize("before", ["", "hubs/crm/"])
def test_discovery(hub: Hub, before: str) -> None:
    def get(path: str) -> Any:
        return hub.api("GET", f"/{before}{path}", auth=hub.auth)

    assert done(get("ping")) == {"endpoint": "connectwisecrmrest", "valid": True}
    assert {"contacts", "incidents", "organizations", "opportunities", "time-entries"} <= set(done(get("objects")))
    fields = {each["vendorPath"]: each for each in done(get("objects/contacts/metadata"))["fields"]}
    assert fields["firstName"]["vendorRequired"] is True
    assert {method["name"] for method in fields["firstName"]["method"]} >= {"GET", "POST"}
    custom = done(get("objects/contacts/metadata?customFieldsOnly=true"))["fields"]
    assert custom
    assert all(each["custom"] for each in custom)
    assert get("objects/nothing/metadata").status_code == 404


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", list(range(1, 13))),
        ("where=id%20%3E%2010", [11, 12]),
        ("where=id%20IN%20(3,5)&orderBy=id%20desc", [5, 3]),
        ("where=lastUpdated%3E'2001-01-01T00:00:00Z'&pageSize=2", [1, 2]),
        ("page=2&pageSize=5", [6, 7, 8, 9, 10]),
        ("page=0&pageSize=1&returnTotalCount=true", [1]),
        ("fields=id,firstName&pageSize=1", [1]),
    ],
)
def test_live_reads(hub: Hub, query: str, ids: list[int]) -> None:
    answer = hub("GET", f"contacts?{query}")
    assert [record["id"] for record in done(answer)] == ids
    assert answer.headers["Elements-Returned-Count"] == str(len(ids))
    if "fields" in query:
        assert set(done(answer)[0]) <= {"id", "firstName", "_info"}
    if "returnTotalCount" in query:
        assert answer.headers["Elements-Total-Count"] == "12"


def test_the_pages_of_a_list_follow_each_other_by_their_tokens(hub: Hub) -> None:
    first = hub("GET", "contacts?pageSize=7")
    following = hub("GET", f"contacts?nextPage={first.headers['Elements-Next-Page-Token']}")
    assert [record["id"] for record in done(first) + done(following)] == list(range(1, 13))
    assert "Elements-Next-Page-Token" not in following.headers


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "incidents", {"summary": "No company"}, 400, "company"),
        ("PATCH", "incidents/999", {"summary": "x"}, 404, ""),
        ("GET", "incidents/999", None, 404, ""),
        ("DELETE", "incidents/999", None, 404, ""),
        ("PATCH", "incidents", {"summary": "x"}, 405, ""),
        ("POST", "nothing", {"summary": "x"}, 400, "nothing"),
        ("PATCH", "incidents/1", [{"op": "replace", "path": "summary", "value": "x"}], 400, "JSON object"),
    ],
)
def test_errors_have_the_contracts_shape(hub: Hub, method: str, path: str, body: Any, status: int, words: str) -> None:
    answer = hub(method, path, body)
    assert answer.status_code == status, answer.content
    error = answer.json()
    assert error.keys() - {"providerMessage"} == {"requestId", "message"}
    assert words in error["message"]
    assert ("providerMessage" in error) == (status == 404 or words == "company")


@pytest.mark.parametrize("before", ["", "hubs/crm/"])
@pytest.mark.parametrize("where", ["", " where id > 7"])
def test_first_load(hub: Hub, before: str, where: str) -> None:
    """The bulk job: asked for by a query, looked at, and fetched as either of the product's two kinds of file."""
    ids = list(range(8 if where else 1, 13))
    query = urlencode({"q": "select * from contacts" + where})  # noqa: S608  (not SQL: the product's own query)
    asked = done(hub.api("POST", f"/{before}bulk/query?{query}", auth=hub.auth))
    assert (asked["instanceId"], asked["status"], asked.keys()) == (hub.instance.pk, "CREATED", BULK)
    one = f"/{before}bulk/{asked['id']}"
    assert done(hub.api("GET", f"{one}/status", auth=hub.auth))["status"] == "CREATED"
    assert hub.api("GET", f"{one}/contacts", auth=hub.auth).status_code == 409
    poll_due(deadline=float("inf"))
    status = done(hub.api("GET", f"{one}/status", auth=hub.auth))
    assert (status["status"], status["recordsCount"], status["recordsFailedCount"]) == ("COMPLETED", len(ids), 0)
    files = {}
    for kind in ("application/json", "text/csv"):
        asked_for = {"Authorization": hub.auth, "Accept": kind}
        files[kind] = hub.api.client.get(f"{one}/contacts", headers=asked_for).getvalue()
    assert [record["id"] for record in json.loads(files["application/json"])] == ids
    text = files["text/csv"].decode()
    assert [row["id"] for row in csv.DictReader(io.StringIO(text))] == [str(number) for number in ids]
    assert done(hub.api("PUT", f"{one}/cancel", auth=hub.auth))["status"] == "CANCELLED"
    assert hub.api("GET", f"{one}/contacts", auth=hub.auth).status_code == 409


def test_field_mapping(hub: Hub) -> None:
    """A transformation is put, read and written through, and taken away."""
    fields = [{"path": "givenName", "vendorPath": "firstName"}, {"path": "employer.id", "vendorPath": "company.id"}]
    ways = [{"type": "passThrough", "properties": {"fromVendor": False}}]
    body = {"vendorName": "contacts", "fields": fields, "configuration": ways}
    place = f"/instances/{hub.instance.pk}/transformations/people"
    done(hub.api("PUT", place, body))
    assert done(hub.api("GET", place))["vendorName"] == "contacts"
    made = done(hub("POST", "people", {"givenName": "Ada", "employer": {"id": 4}}))
    assert (made["givenName"], made["employer"]["id"]) == ("Ada", 4)
    assert done(hub("GET", f"people/{made['id']}"))["givenName"] == "Ada"
    refused = hub.api("PUT", place, body | {"script": {"body": "done(transformedObject)"}})
    assert (refused.status_code, "scripts are not run" in refused.json()["message"]) == (400, True)
    done(hub.api("DELETE", place))
    assert hub("GET", "people").status_code == 400
