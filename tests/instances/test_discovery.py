"""Discovery: `/ping`, `/objects` and the fields of each resource, with and without `/hubs/{hub}`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.cache import cache

from cwconnect.connectwise.catalogue import all_resources
from cwconnect.connectwise.client import Client
from cwconnect.core.plain_cache import RedisError
from cwconnect.sandbox import SandboxServer
from instances.hub import discovery
from instances.hub.known_fields import custom_fields, merged, record_fields, table_fields
from instances.models import Instance
from tests.support.api_caller import Api

FIELD: dict[str, Any] = {
    "type": "string",
    "vendorPath": "firstName",
    "vendorDisplayName": "First Name",
    "vendorNativeType": "string",
    "vendorRequired": True,
    "vendorReadOnly": False,
    "hidden": False,
    "method": [
        {"name": "GET", "response": True, "request": False},
        {"name": "POST", "request": True, "response": False},
    ],
    "filterable": True,
    "createable": True,
    "updateable": True,
    "custom": False,
}
CUSTOM = {"id": 7, "caption": "Customer Number", "type": "Text", "entryMethod": "EntryField", "value": "C1"}
BOTH = pytest.mark.parametrize("below", ["", "/hubs/crm", "/elements/api-v2", "/elements/api-v2/hubs/any"])


class OddCache:
    """A cache that answers every question alike, or is away."""

    def __init__(self, answer: str | RedisError) -> None:
        self.answer = answer

    def get(self, key: str) -> str:
        if isinstance(self.answer, RedisError):
            raise self.answer
        return self.answer

    def set(self, *_: object) -> None:
        if isinstance(self.answer, RedisError):
            raise self.answer


class Discovered:
    """The discovery of one instance."""

    def __init__(self, api: Api, url: str, **configuration: Any) -> None:
        created = api.create(url, **configuration)
        self.api, self.number = api, created["id"]
        self.auth = f"User {api.tenant.user_secret}, Element {created['token']}"

    def get(self, path: str, auth: str | None = None) -> Any:
        return self.api("GET", path, auth=auth or self.auth)

    def fields(self, query: str = "", name: str = "contacts") -> dict[str, dict[str, Any]]:
        answer = self.get(f"/objects/{name}/metadata{query}")
        assert answer.status_code == 200, answer.content
        return {field["vendorPath"]: field for field in answer.json()["fields"]}


@pytest.fixture
def hub(api: Api, sandbox: SandboxServer) -> Discovered:
    sandbox.store.change("contacts", 30, {"customFields": [CUSTOM], "oddity": 1.5, "title": "Chief"})
    return Discovered(api, sandbox.url)


def asked(sandbox: SandboxServer) -> int:
    return len(sandbox.store.requests)


@BOTH
def test_the_vendors_calls_are_answered_in_its_shape(hub: Discovered, below: str) -> None:
    assert hub.get(f"{below}/ping").json() == {"endpoint": "connectwisecrmrest", "valid": True}
    assert hub.get(f"{below}/objects").json() == [resource.name for resource in all_resources()]
    fields = hub.get(f"{below}/objects/contacts/metadata").json()["fields"]
    assert {each["vendorPath"]: each for each in fields}["firstName"] == FIELD
    assert hub.get(f"{below}/objects/contacts/metadata/").json() == {"fields": fields}


@BOTH
def test_an_unknown_object_is_404_and_nothing_is_asked(hub: Discovered, sandbox: SandboxServer, below: str) -> None:
    before = asked(sandbox)
    for name in ("unheard-of", "company/unheardOf", "contacts/17", "..", "company/.."):
        answer = hub.get(f"{below}/objects/{name}/metadata")
        assert (answer.status_code, set(answer.json())) == (404, {"requestId", "message"}), name
    assert asked(sandbox) == before


def test_every_name_that_is_listed_has_fields(hub: Discovered) -> None:
    names = hub.get("/objects").json()
    assert len(names) == len(set(names))
    assert [name for name in names if not table_fields(discovery.list_path(name))] == []


def test_a_resource_is_found_by_its_alias_and_its_path(hub: Discovered) -> None:
    assert hub.fields(name="company/contacts") == hub.fields() == hub.fields(name="Contacts")


def test_a_mapping_is_listed_and_has_the_fields_of_what_it_maps(
    hub: Discovered, other_api: Api, sandbox: SandboxServer
) -> None:
    body = {"vendorName": "contacts", "fields": [{"path": "givenName", "vendorPath": "firstName"}]}
    answer = hub.api("PUT", f"/instances/{hub.number}/transformations/people", body)
    assert answer.status_code == 200, answer.content
    names = [resource.name for resource in all_resources()]
    assert hub.get("/objects").json() == [*names, "people"]
    assert hub.fields(name="people") == hub.fields()
    other = Discovered(other_api, sandbox.url)
    assert other.get("/objects").json() == names
    assert other.get("/objects/people/metadata").status_code == 404


def test_the_table_the_record_and_the_custom_fields_stand_together(hub: Discovered) -> None:
    fields = hub.fields()
    assert len(fields) == len(hub.get("/objects/contacts/metadata").json()["fields"])
    assert fields["id"]["vendorReadOnly"] is True
    assert fields["id"]["method"] == FIELD["method"][:1]
    assert fields["company.id"] | {"method": None} == {
        "type": "integer",
        "vendorPath": "company.id",
        "vendorDisplayName": "Company Id",
        "vendorNativeType": "integer",
        "vendorRequired": False,
        "vendorReadOnly": False,
        "hidden": False,
        "method": None,
        "filterable": True,
        "createable": True,
        "updateable": True,
        "custom": False,
    }
    assert fields["company.name"]["createable"] is False
    assert (fields["company"]["type"], fields["company"]["filterable"]) == ("object", False)
    assert (fields["_info.lastUpdated"]["type"], fields["_info.lastUpdated"]["createable"]) == ("date", False)
    assert (fields["oddity"]["type"], fields["oddity"]["custom"]) == ("number", False)
    assert fields["customFields.Customer Number"]["custom"] is True
    assert not [name for name in fields if "_href" in name]


@pytest.mark.parametrize("query", ["?customFieldsOnly=true", "?customFieldsOnly=True"])
def test_the_custom_fields_alone_are_answered_where_asked_for(hub: Discovered, query: str) -> None:
    (field,) = hub.fields(query).values()
    assert (field["vendorPath"], field["vendorDisplayName"]) == ("customFields.Customer Number", "Customer Number")
    assert (field["vendorNativeType"], field["filterable"]) == ("Text", False)
    assert hub.fields("?customFieldsOnly=false") == hub.fields()


def test_a_custom_field_is_as_its_definition_says() -> None:
    definition = {"id": 7, "requiredFlag": True, "readOnlyFlag": True, "displayOnScreenFlag": False}
    (field,) = custom_fields({"customFields": [CUSTOM | {"type": "Number"}]}, [{"id": 8}, definition])
    assert (field.type, field.native_type) == ("number", "Number")
    assert (field.required, field.read_only, field.hidden, field.custom) == (True, True, True, True)
    assert custom_fields({"customFields": [{"id": 9}, 5, {"caption": "x" * 300}]}, []) == []
    assert custom_fields({"customFields": "odd"}, []) == custom_fields({}, [definition]) == []


def test_a_name_stands_there_once_and_no_value_of_a_record_does() -> None:
    record = {"id": 1, "firstName": "Olga", "company": {"id": 2, "name": "Acme", "_info": {"company_href": "x"}}}
    fields = merged(table_fields("/company/contacts"), record_fields(record))
    names = [field.name for field in fields]
    assert len(names) == len(set(names))
    assert "Olga" not in str(fields)
    assert "Acme" not in str(fields)


def test_an_empty_list_has_the_fields_of_the_table(api: Api, sandbox: SandboxServer) -> None:
    for number in range(1, 31):
        sandbox.store.delete("contacts", number)
    assert set(Discovered(api, sandbox.url).fields()) == {field.name for field in table_fields("/company/contacts")}


def test_what_connectwise_showed_is_kept_for_an_hour(
    hub: Discovered, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[str, int]] = []
    put = cache.set

    def noting(key: str, text: str, seconds: int) -> None:
        kept.append((text, seconds))
        put(key, text, seconds)

    monkeypatch.setattr(cache, "set", noting)
    first, after = hub.fields(), asked(sandbox)
    assert hub.fields() == first
    assert hub.fields("?customFieldsOnly=true")
    assert asked(sandbox) == after
    ((text, seconds),) = kept
    assert seconds == 3600
    assert not [secret for secret in ("PUB", "PRIV", "Chief", "C1") if f'"{secret}"' in text]


def test_nothing_is_kept_across_instances_nor_across_a_change_of_the_connection(
    hub: Discovered, other_api: Api, sandbox: SandboxServer
) -> None:
    first = hub.fields()
    sandbox.store.change("contacts", 30, {"customFields": [CUSTOM | {"caption": "Of another"}]})
    other = Discovered(other_api, sandbox.url).fields()
    assert "customFields.Of another" in other
    assert hub.fields() == first
    instance = Instance.objects.get(pk=hub.number)
    instance.save()  # nothing of the connection
    assert hub.fields() == first
    changed = hub.api("PATCH", f"/instances/{hub.number}", {"configuration": {"connectwise.clientID": "another"}})
    assert changed.status_code == 200, changed.content
    assert "customFields.Of another" in hub.fields()


@pytest.mark.parametrize(
    "odd",
    ["no JSON", "5", '[["name"]]', '[{"a": 1}]', "[[1, 2, 3, 4, 5, 6, 7]]", RedisError("It is away.")],
)
def test_what_reads_as_no_fields_is_asked_anew_and_so_is_all_without_redis(
    hub: Discovered, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, odd: str | RedisError
) -> None:
    first, before = hub.fields(), asked(sandbox)
    monkeypatch.setattr(discovery, "cache", OddCache(odd))
    assert hub.fields() == first
    assert asked(sandbox) > before


def test_what_is_too_long_is_not_kept(hub: Discovered, sandbox: SandboxServer) -> None:
    sandbox.store.change("contacts", 30, {f"field{number:04}{'x' * 150}": 1 for number in range(480)})
    assert len(hub.fields()) > 400
    before = asked(sandbox)
    hub.fields()
    assert asked(sandbox) > before


@pytest.mark.parametrize("path", ["/ping", "/objects/contacts/metadata"])
@pytest.mark.parametrize(("status", "expected"), [(401, 401), (404, 404), (429, 429), (500, 500)])
def test_a_refusal_is_the_contracts_error_and_is_not_kept(
    hub: Discovered, sandbox: SandboxServer, path: str, status: int, expected: int
) -> None:
    sandbox.store.fail_next(1, status=status)
    answer = hub.get(path)
    assert answer.status_code == expected
    assert answer.json()["providerMessage"].startswith(f"ConnectWise answered {status}")
    assert hub.get(path).status_code == 200


def test_a_role_without_contacts_has_right_keys(hub: Discovered, sandbox: SandboxServer) -> None:
    sandbox.store.fail_next(1, status=403)
    assert hub.get("/ping").status_code == 200
    sandbox.store.fail_next(1, status=403)
    assert hub.get("/objects/contacts/metadata").status_code == 403


@pytest.mark.parametrize("path", ["/ping", "/objects", "/objects/contacts/metadata"])
def test_it_takes_an_element_token_of_an_enabled_instance(hub: Discovered, path: str) -> None:
    assert hub.get(path, auth=hub.api.tenant.auth).status_code == 400
    assert hub.get(path, auth="nothing").status_code == 401
    hub.get(path)  # kept or not
    hub.api("DELETE", f"/instances/{hub.number}/enabled")
    assert hub.get(path).status_code == 403


def test_a_definition_that_may_not_be_read_leaves_the_rest(
    hub: Discovered, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Client.list

    def refusing(client: Any, path: str, params: Any, **options: Any) -> Any:
        if path == "/system/userDefinedFields":
            sandbox.store.fail_next(1, status=403)
        return read(client, path, params, **options)

    monkeypatch.setattr(Client, "list", refusing)
    assert "customFields.Customer Number" in hub.fields()
    assert json.dumps(hub.fields("?customFieldsOnly=true"))
