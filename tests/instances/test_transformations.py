"""Field mappings: kept, refused in words, and what the hub reads by them."""

from __future__ import annotations

from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from instances.hub.mappings import mapping_of, names_of
from instances.models import AuditEntry, Instance, Transformation
from instances.provisioning import delete_instance
from tests.instances.test_hubs import Hub
from tests.support.api_caller import Api

FIELDS = [
    {"path": "givenName", "vendorPath": "firstName"},
    {"path": "employer.label", "vendorPath": "company.name"},
    {"path": "phones[*].number", "vendorPath": "communicationItems[*].value"},
]
BODY: dict[str, Any] = {"vendorName": "contacts", "fields": FIELDS}
PASSES = [{"type": "passThrough", "properties": {"fromVendor": True, "toVendor": True}}]


@pytest.fixture
def hub(api: Api, sandbox: SandboxServer) -> Hub:
    return Hub(api, api.create(sandbox.url))


def put(hub: Hub, name: str = "people", /, **change: Any) -> Any:
    return hub.api("PUT", f"/instances/{hub.number}/transformations/{name}", BODY | change)


def test_a_mapping_is_set_shown_listed_replaced_and_deleted_by_both_ways(hub: Hub) -> None:
    shown = {"name": "people", "level": "instance", **BODY, "configuration": []}
    ways = ((f"/instances/{hub.number}/transformations", hub.api.tenant.auth), ("/instances/transformations", hub.auth))
    for base, auth in ways:
        assert hub.api("PUT", f"{base}/people", BODY, auth=auth).json() == shown
        assert hub.api("GET", f"{base}/people", auth=auth).json() == shown
        assert hub.api("PUT", f"{base}/people", shown | {"configuration": PASSES}, auth=auth).status_code == 200
        assert hub.api("GET", base, auth=auth).json() == [shown | {"configuration": PASSES}]
        assert names_of(Instance.objects.get(pk=hub.number)) == ["people"]
        assert hub.api("DELETE", f"{base}/people", auth=auth).status_code == 200
        assert hub.api("GET", base, auth=auth).json() == []
        assert {hub.api(how, f"{base}/people", auth=auth).status_code for how in ("GET", "DELETE")} == {404}
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert [action for action in actions if "mapping" in action] == [
        "field mapping set",
        "field mapping set",
        "field mapping deleted",
    ] * 2


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"script": {"body": "done(record)"}}, "script: scripts are not run here"),
    ({"fields": [FIELDS[0] | {"script": "x"}]}, "fields[0].script: scripts are not run here"),
    (
        {"configuration": [{"type": "script", "properties": {"script": "x"}}]},
        "configuration[0].properties.script: scripts",
    ),
    ({"vendorName": None}, "vendorName: is required"),
    ({"vendorName": "nonsense"}, "vendorName: there is no resource"),
    ({"vendorName": "../x/y"}, "vendorName: there is no resource"),
    ({"fields": None}, "fields: must be a list"),
    ({"fields": []}, "fields: must be a list"),
    ({"fields": ["x"]}, "fields[0]: must be an object"),
    ({"fields": [FIELDS[0]] * 501}, "fields: holds more than 500"),
    ({"fields": [{"path": "a"}]}, "fields[0].vendorPath: must be a field's name"),
    ({"fields": [{"path": 7, "vendorPath": "a"}]}, "fields[0].path: must be a field's name"),
    ({"fields": [{"path": "a..b", "vendorPath": "a"}]}, "fields[0].path: 'a..b' is no path"),
    ({"fields": [{"path": "a[0]", "vendorPath": "a"}]}, "fields[0].path: 'a[0]' is no path"),
    ({"fields": [{"path": "a.b.c.d.e.f.g.h.i.j.k", "vendorPath": "a"}]}, "fields[0].path: is more than 10 names deep"),
    (
        {"fields": [{"path": "a[*].b[*].c[*].d[*]", "vendorPath": "a"}]},
        "fields[0].path: goes through more than 3 lists",
    ),
    ({"fields": [{"path": "a[*].b", "vendorPath": "c"}]}, "fields[0].path: has [*] 1 times, and vendorPath 0 times"),
    ({"fields": [{"path": "id", "vendorPath": "c"}]}, "fields[0].path: id is always ConnectWise's own"),
    ({"fields": [FIELDS[0], FIELDS[0]]}, "fields[1].path: makes givenName a value again"),
    ({"fields": [FIELDS[0], {"path": "givenName.x", "vendorPath": "y"}]}, "fields[1].path: makes givenName an object"),
    (
        {"fields": [FIELDS[0], {"path": "x", "vendorPath": "firstName"}]},
        "fields[1].vendorPath: makes firstName a value",
    ),
    (
        {"fields": [FIELDS[2], {"path": "phones[*].kind", "vendorPath": "types[*].name"}]},
        "fields[1].path: the list phones",
    ),
    ({"fields": [FIELDS[0] | {"other": 1}]}, "fields[0].other: is not known here"),
    ({"configuration": {}}, "configuration: must be a list"),
    ({"configuration": [{"type": "keep", "properties": {}}]}, "configuration[0].type: must be remove or passThrough"),
    ({"configuration": [{"type": "remove"}]}, "configuration[0].properties: must be an object"),
    (
        {"configuration": [{"type": "remove", "properties": {"up": True}}]},
        "configuration[0].properties.up: is not known",
    ),
    (
        {"configuration": [{"type": "remove", "properties": {"toVendor": 1}}]},
        "configuration[0].properties.toVendor: must",
    ),
    (
        {"configuration": [*PASSES, {"type": "remove", "properties": {"toVendor": True}}]},
        "configuration[1].properties.",
    ),
    ({"name": "others"}, "name: the body says another"),
    ({"level": "platform"}, "level: only instance"),
    ({"surprise": 1}, "surprise: is not known here"),
]


def test_every_bad_input_is_a_400_that_names_the_field(hub: Hub) -> None:
    for change, words in WRONG:
        answer = put(hub, **change)
        assert (answer.status_code, answer.json().get("message", "")[: len(words)]) == (400, words), change
    for name in ("contacts", "Tickets", "objects", "instance_id", "9lives", "a" * 101):
        answer = put(hub, name)
        assert (answer.status_code, answer.json()["message"][:6]) == (400, "name: ")
    assert hub.api("PUT", f"/instances/{hub.number}/transformations/people", "[]").status_code == 400
    assert not Transformation.objects.exists()


def test_an_instance_has_so_many_and_no_more(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instances.hub.transformations.MOST", 1)
    assert [put(hub, name).status_code for name in ("people", "others", "people")] == [200, 400, 200]


def test_a_list_and_a_record_are_read_in_the_mapping_s_shape(hub: Hub) -> None:
    put(hub)
    theirs = hub.get("contacts/17").json()
    ours = hub.get("people/17").json()
    assert (
        ours == hub.get("people", where="id = 17").json()[0] == mapping_of(Transformation.objects.get()).shown(theirs)
    )
    assert ours["id"] == 17
    assert ours["givenName"] == theirs["firstName"]
    assert ours["employer"] == {"label": theirs["company"]["name"]}
    assert set(ours) <= {"id", "givenName", "employer", "phones"}


def test_what_is_not_mapped_is_passed_through_where_asked_for(hub: Hub) -> None:
    put(hub, configuration=PASSES)
    theirs, ours = hub.get("contacts/17").json(), hub.get("people/17").json()
    assert ours["lastName"] == theirs["lastName"]
    assert ours["company"] == {name: value for name, value in theirs["company"].items() if name != "name"}
    assert "firstName" not in ours


def test_names_in_the_query_are_the_mapping_s(hub: Hub) -> None:
    put(hub)
    name = hub.get("contacts/17").json()["firstName"]
    found = hub.get("people", where=f"givenName = '{name}' AND id > 0", orderBy="givenName desc", fields="id,givenName")
    assert found.status_code == 200, found.content
    assert {row["givenName"] for row in found.json()} == {name}
    assert all(set(row) == {"id", "givenName"} for row in found.json())
    assert hub.get("people", where="lastUpdated > '2000-01-01T00:00:00Z'").status_code == 200
    for parameter, text in (("where", "firstName = 'x'"), ("orderBy", "lastName"), ("fields", "id,lastName")):
        answer = hub.get("people", **{parameter: text})
        assert answer.status_code == 400
        assert "the transformation people has no such field" in answer.json()["message"]


def test_pages_of_a_mapped_list_follow_one_another(hub: Hub) -> None:
    put(hub)
    first = hub.get("people", pageSize=20)
    second = hub.get("people", nextPage=first.headers["Elements-Next-Page-Token"])
    assert [row["id"] for row in first.json() + second.json()] == list(range(1, 31))
    assert all("givenName" in row for row in second.json())


def test_another_instance_knows_nothing_of_it(hub: Hub, sandbox: SandboxServer) -> None:
    put(hub)
    other = Hub(hub.api, hub.api.create(sandbox.url))
    assert other.get("people").status_code == 400
    assert other.api("GET", f"/instances/{other.number}/transformations").json() == []


def test_it_goes_with_its_instance(hub: Hub) -> None:
    put(hub)
    instance = Instance.objects.get(pk=hub.number)
    delete_instance(instance)
    assert put(hub).status_code == 404
    Instance.objects.get(pk=hub.number).delete()
    assert not Transformation.objects.exists()
