"""POST /instances: the bodies of the seed, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from cwconnect.sandbox import SandboxServer
from instances.models import Instance, ResourcePoll
from instances.secrets import hash_token
from tests.seed import FIRST_BODY, example_body, example_for
from tests.support.api_caller import Api


def test_the_seeds_example_answers_200_with_id_and_token(api: Api, sandbox: SandboxServer) -> None:
    answer = api("POST", "/instances", example_for(sandbox.url))
    assert answer.status_code == 200
    instance = Instance.objects.get(pk=answer.json()["id"])
    assert instance.token_hash == hash_token(answer.json()["token"])


def test_the_answer_has_the_contracts_shape(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url)
    created.pop("token")
    assert created == {
        "id": created["id"],
        "name": "API_Polling",
        "createdDate": created["createdDate"],
        "element": {
            "id": 3012,
            "name": "ConnectWise CRM REST",
            "key": "connectwisecrmrest",
            "hub": "crm",
            "active": True,
            "deleted": False,
            "typeOauth": False,
            "authentication": {"type": "custom"},
            "protocolType": "http",
        },
        "elementId": 3012,
        "tags": ["Test"],
        "provisionInteractions": [],
        "valid": True,
        "disabled": False,
        "configuration": created["configuration"],
        "eventsEnabled": True,
        "eventsNotificationCallbackUrl": "http://mycoolapp.com",
        "traceLoggingEnabled": False,
        "cachingEnabled": False,
        "externalAuthentication": "none",
        "user": {"id": api.tenant.user.pk},
    }


def test_configuration_values_are_strings_and_secrets_masks(api: Api, sandbox: SandboxServer) -> None:
    configuration = api.create(sandbox.url)["configuration"]
    polls = json.loads(configuration.pop("event.poller.configuration"))
    assert polls == example_body(sandbox.url)["configuration"]["event.poller.configuration"]
    assert configuration == {
        "baseUrl": sandbox.url,
        "company": "acme",
        "public.key": "********",
        "private.key": "********",
        "filter.response.nulls": "true",
        "event.notification.enabled": "true",
        "event.notification.callback.url": "http://mycoolapp.com",
        "event.vendor.type": "polling",
        "event.poller.refresh_interval": "15",
    }


def test_marks_are_taken_on_connectwises_clock(api: Api, sandbox: SandboxServer) -> None:
    poll = ResourcePoll.objects.get(instance_id=api.create(sandbox.url)["id"])
    assert poll.name == "contacts"
    assert poll.high_water_id == 30
    assert poll.since is not None
    assert abs(poll.since - datetime.now(UTC)) < timedelta(minutes=1)


def test_watching_begins_with_a_poll_that_is_due(api: Api, sandbox: SandboxServer) -> None:
    poll = ResourcePoll.objects.select_related("state").get(instance_id=api.create(sandbox.url)["id"])
    assert poll.state.next_poll_at is not None
    assert poll.state.cursor == poll.since


def test_the_seeds_first_body_names_what_is_missing(api: Api) -> None:
    answer = api("POST", "/instances", FIRST_BODY)
    assert answer.status_code == 400
    message = answer.json()["message"]
    assert all(key in message for key in ("baseUrl", "company", "public.key", "private.key"))
    assert "oauth" not in message


def test_the_first_body_works_once_the_connection_is_added(api: Api, sandbox: SandboxServer) -> None:
    body = json.loads(FIRST_BODY)
    body["configuration"] |= {
        "baseURL": sandbox.url,
        "company": "acme",
        "public.key": "PUB",
        "private.key": "PRIV",
    }
    created = api("POST", "/instances", body).json()
    assert created["name"] == "ConnectWise CRM REST"
    assert created["tags"] == []
    assert created["configuration"]["event.poller.refresh_interval"] == "15"


@pytest.mark.parametrize("wrong", [{"public__key": "OTHER"}, {"private__key": "OTHER"}, {"company": "other"}])
def test_wrong_credentials_store_nothing(api: Api, sandbox: SandboxServer, wrong: dict[str, str]) -> None:
    answer = api("POST", "/instances", example_body(sandbox.url, **wrong))
    assert answer.status_code == 400
    assert "ConnectWise" in answer.json()["message"]
    assert answer.json()["providerMessage"]
    assert not Instance.objects.exists()


def test_wrong_credentials_are_refused_with_events_off(api: Api, sandbox: SandboxServer) -> None:
    body = example_body(sandbox.url, private__key="OTHER", event__notification__enabled=False)
    assert api("POST", "/instances", body).status_code == 400
    assert not Instance.objects.exists()


def test_a_site_that_does_not_answer_stores_nothing(api: Api) -> None:
    answer = api("POST", "/instances", example_body("http://127.0.0.1:9/v4_6_release/apis/3.0"))
    assert answer.status_code == 400
    assert "can't be reached" in answer.json()["message"]
    assert not Instance.objects.exists()


def test_without_any_client_id_the_refusal_has_a_hint(api: Api, sandbox: SandboxServer, settings: Settings) -> None:
    settings.CONNECTWISE_CLIENT_ID = ""
    answer = api("POST", "/instances", example_body(sandbox.url)).json()
    assert "No clientId was sent" in answer["message"]
    assert answer["providerMessage"].startswith("ConnectWise answered")


def test_a_private_address_that_is_not_opened_is_refused(api: Api, sandbox: SandboxServer, settings: Settings) -> None:
    settings.PRIVATE_NETWORKS = []
    answer = api("POST", "/instances", example_body(sandbox.url))
    assert answer.status_code == 400
    assert "baseUrl can't be used: No request goes to 127.0.0.1" in answer.json()["message"]


def test_a_resource_the_role_may_not_read_is_named(api: Api, sandbox: SandboxServer) -> None:
    sandbox.store.fail_next(1, status=403, path="contacts")
    answer = api("POST", "/instances", example_body(sandbox.url))
    assert answer.status_code == 400
    assert "event.poller.configuration.contacts" in answer.json()["message"]
    assert not Instance.objects.exists()


def test_with_events_off_watching_has_not_begun(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url, event__notification__enabled="no")
    poll = ResourcePoll.objects.get(instance_id=created["id"])
    assert poll.since is None
    assert not hasattr(poll, "state")


def test_three_resources_are_watched_when_none_are_named(api: Api, sandbox: SandboxServer) -> None:
    created = api.create(sandbox.url, event__poller__configuration="")
    polls = ResourcePoll.objects.filter(instance_id=created["id"])
    assert {poll.name: poll.high_water_id for poll in polls} == {"contacts": 30, "incidents": 7, "organizations": 5}


def test_the_poll_configuration_may_be_a_json_text(api: Api, sandbox: SandboxServer) -> None:
    polls = json.dumps(example_body(sandbox.url)["configuration"]["event.poller.configuration"])
    created = api.create(sandbox.url, event__poller__configuration=polls)
    assert json.loads(created["configuration"]["event.poller.configuration"]) == json.loads(polls)


@pytest.mark.parametrize("text", [False, True])
def test_keys_of_a_poll_that_nobody_knows_are_named_and_change_nothing(
    api: Api, sandbox: SandboxServer, text: bool
) -> None:
    polls = example_body(sandbox.url)["configuration"]["event.poller.configuration"]
    dates = {**polls["contacts"]["datesConfiguration"], "unheardOf": "x"}
    wrong = {"contacts": {**polls["contacts"], "idfield": "x", "datesConfiguration": dates}}
    created = api.create(sandbox.url)
    path = f"/instances/{created['id']}"
    sent: object = json.dumps(wrong) if text else wrong
    for method, where, body in [
        ("POST", "/instances", example_body(sandbox.url, event__poller__configuration=sent)),
        ("PUT", path, example_body(sandbox.url, event__poller__configuration=sent)),
        ("PATCH", path, {"configuration": {"event.poller.configuration": sent}}),
        ("PATCH", f"{path}/configuration/event.poller.configuration", {"propertyValue": sent}),
    ]:
        refused = api(method, where, body)
        assert refused.status_code == 400
        for key in ("idfield", "datesConfiguration.unheardOf"):
            assert f"event.poller.configuration.contacts.{key}" in refused.json()["message"]
    assert [one["configuration"] for one in api("GET", "/instances").json()] == [created["configuration"]]


def test_what_is_stored_holds_no_key_in_plain_text(api: Api, sandbox: SandboxServer) -> None:
    instance = Instance.objects.get(pk=api.create(sandbox.url)["id"])
    assert "PRIV" not in instance.private_key.ciphertext
    assert instance.private_key.reveal() == "PRIV"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("event.notification.enabled", "maybe"),
        ("event.notification.callback.url", "ftp://example.com"),
        ("event.notification.callback.url", "http://user:word@example.com/"),
        ("event.notification.callback.url", "http://10.0.0.5/hook"),
        ("event.notification.callback.url", "http://[::ffff:169.254.169.254]/"),
        ("event.notification.callback.headers", "no colon"),
        ("event.notification.callback.headers", {"Host": "example.com"}),
        ("event.notification.callback.headers", {"webhook-id": "mine"}),
        ("event.notification.callback.headers", {"X-Number": 5}),
        ("event.notification.callback.headers", {"X-Key": "********"}),
        ("event.notification.callback.headers", "********"),
        ("event.notification.basic.username", "a:b"),
        ("event.notification.signature.key", ["a"]),
        ("event.notification.signature.key", "********"),
        ("event.poller.refresh_interval", "0"),
        ("event.poller.refresh_interval", 44_641),
        ("event.poller.refresh_interval", "1.5"),
        ("event.poller.refresh_interval", True),
        ("event.poller.configuration", "{"),
        ("event.poller.configuration", [1]),
        ("event.poller.configuration", '{"contacts": {"idField": "\\u0000"}}'),
        ("event.poller.configuration", "[" * 100_000),
        ("event.poller.configuration", {"unheard-of": {}}),
        ("event.vendor.type", "webhooks"),
        ("baseUrl", "api-na.myconnectwise.net"),
        ("baseUrl", "ftp://x/"),
        ("baseUrl", "https://"),
        ("baseUrl", "https://u:p@x/"),
        ("baseUrl", "https://api-na.myconnectwise.net/?a=b"),
        ("baseUrl", "https://x?"),
        ("baseUrl", "https://x/#a"),
        ("baseUrl", "https://x/a b"),
        ("baseUrl", "https://x:99999/"),
        ("baseUrl", f"https://x/{'a' * 500}"),
        ("company", "a\r\nb"),
        ("company", "x" * 201),
        ("filter.response.nulls", 2),
        ("private.key", "********"),
    ],
)
def test_a_bad_value_is_a_400_that_names_its_key(api: Api, key: str, value: object) -> None:
    body = example_body("https://api-na.myconnectwise.net/v4_6_release/apis/3.0")
    body["configuration"][key] = value
    answer = api("POST", "/instances", body)
    assert answer.status_code == 400
    assert key in answer.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"element": {"key": "salesforce"}},
        {"name": 5},
        {"name": "x" * 201},
        {"tags": "Test"},
        {"tags": [5]},
        {"configuration": [1]},
        {"configuration": "{"},
        [],
        "text",
        None,
    ],
)
def test_a_bad_body_is_a_400(api: Api, body: object) -> None:
    answer = api("POST", "/instances", json.dumps(body))
    assert answer.status_code == 400
    assert answer.json()["message"]
