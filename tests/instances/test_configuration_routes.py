"""The configuration of an instance key by key, and the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from cwconnect.connectwise.catalogue import all_resources, default_configuration
from cwconnect.sandbox import SandboxServer
from instances.configuration.config_keys import KEYS
from tests.seed import example_body
from tests.support.api_caller import Api


def test_the_configuration_lists_every_key_with_masks(api: Api, sandbox: SandboxServer) -> None:
    number = api.create(sandbox.url)["id"]
    rows = {row["key"]: row for row in api("GET", f"/instances/{number}/configuration").json()}
    assert rows["private.key"] == {
        "id": 4,
        "key": "private.key",
        "name": "Private Key",
        "description": "The private key of a ConnectWise API member.",
        "propertyValue": "********",
        "active": True,
        "required": True,
        "type": "password",
    }
    assert rows["event.poller.refresh_interval"]["propertyValue"] == "15"
    assert rows["event.notification.signature.key"]["propertyValue"] is None


@pytest.mark.parametrize("key", ["event.poller.refresh_interval", "14"])
def test_one_key_is_shown_and_changed_by_name_or_id(api: Api, sandbox: SandboxServer, key: str) -> None:
    path = f"/instances/{api.create(sandbox.url)['id']}/configuration/{key}"
    assert api("GET", path).json()["key"] == "event.poller.refresh_interval"
    assert api("PATCH", path, {"propertyValue": "60"}).json()["propertyValue"] == "60"
    assert api("GET", path).json()["propertyValue"] == "60"


def test_an_element_token_reaches_its_own_configuration(api: Api, sandbox: SandboxServer) -> None:
    element = f"User {api.tenant.user_secret}, Element {api.create(sandbox.url)['token']}"
    assert api("GET", "/instances/configuration/company", auth=element).json()["propertyValue"] == "acme"
    assert len(api("GET", "/instances/configuration", auth=element).json()) == len(KEYS)


def test_a_credential_changed_alone_is_proven_first(api: Api, sandbox: SandboxServer) -> None:
    path = f"/instances/{api.create(sandbox.url)['id']}/configuration/private.key"
    assert api("PATCH", path, {"propertyValue": "OTHER"}).status_code == 400
    assert api("PATCH", path, {"propertyValue": "********"}).status_code == 200


@pytest.mark.parametrize("body", [{}, [], {"value": "1"}, {"propertyValue": "soon"}])
def test_a_bad_value_is_400(api: Api, sandbox: SandboxServer, body: object) -> None:
    path = f"/instances/{api.create(sandbox.url)['id']}/configuration/event.poller.refresh_interval"
    assert api("PATCH", path, body).status_code == 400


@pytest.mark.parametrize("key", ["unheard.of", "0", str(len(KEYS) + 1), "99999999999"])
def test_an_unknown_key_is_404(api: Api, sandbox: SandboxServer, key: str) -> None:
    assert api("GET", f"/instances/{api.create(sandbox.url)['id']}/configuration/{key}").status_code == 404


def test_another_organizations_configuration_does_not_exist(api: Api, other_api: Api, sandbox: SandboxServer) -> None:
    path = f"/instances/{api.create(sandbox.url)['id']}/configuration"
    assert other_api("GET", path).status_code == 404
    assert other_api("PATCH", f"{path}/company", {"propertyValue": "x"}).status_code == 404


@pytest.mark.parametrize("base", ["", "/elements/api-v2"])
@pytest.mark.parametrize("name", ["connectwisecrmrest", "3012"])
def test_the_catalogue_has_the_one_connector(api: Api, base: str, name: str) -> None:
    listed = api("GET", f"{base}/elements").json()
    assert [element["key"] for element in listed] == ["connectwisecrmrest"]
    assert api("GET", f"{base}/elements/{name}").json() == listed[0]


def test_the_catalogue_has_types_and_defaults(api: Api) -> None:
    rows = {row["key"]: row for row in api("GET", "/elements/connectwisecrmrest/configuration").json()}
    assert rows["event.poller.refresh_interval"]["defaultValue"] == "15"
    assert rows["filter.response.nulls"]["defaultValue"] == "true"
    assert rows["baseUrl"]["defaultValue"] is None
    assert rows["baseUrl"]["required"] is True


def test_the_metadata_says_that_events_come_by_polling(api: Api) -> None:
    events = api("GET", "/elements/connectwisecrmrest/metadata").json()["events"]
    assert (events["supported"], events["methods"]) == (True, ["polling"])
    assert events["polling"] == {resource.name: default_configuration(resource) for resource in all_resources()}


@pytest.mark.parametrize("base", ["", "/elements/api-v2"])
def test_the_keys_and_the_hub_of_the_one_connector_are_listed(api: Api, base: str) -> None:
    def read(path: str) -> Any:
        return api("GET", base + path).json()

    assert read("/elements/keys") == ["connectwisecrmrest"]
    assert read("/hubs/keys") == ["crm"]
    assert read("/hubs") == [read("/hubs/crm")]
    assert read("/hubs/crm")["key"] == "crm"
    assert read("/hubs/crm/elements") == read("/elements")


@pytest.mark.parametrize("path", ["/hubs/documents", "/hubs/documents/elements"])
def test_another_hub_is_404(api: Api, path: str) -> None:
    assert api("GET", path).status_code == 404


@pytest.mark.parametrize("suffix", ["", "/configuration", "/metadata", "/instances", "/instances/1"])
def test_another_connector_is_404(api: Api, suffix: str) -> None:
    assert api("GET", f"/elements/salesforce{suffix}").status_code == 404


def test_an_instance_can_be_created_and_listed_under_its_connector(api: Api, sandbox: SandboxServer) -> None:
    body = example_body(sandbox.url)
    del body["element"]
    created = api("POST", "/elements/connectwisecrmrest/instances", body)
    assert created.status_code == 200
    listed = api("GET", "/elements/connectwisecrmrest/instances").json()
    assert [row["id"] for row in listed] == [created.json()["id"]]
    assert api("DELETE", "/elements/connectwisecrmrest/instances").status_code == 405
