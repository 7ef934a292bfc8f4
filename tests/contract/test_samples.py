"""Every JSON sample of the contract: what is answered has its keys and its types, all of them, at every depth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from polling.delivery.delivery_loop import deliver_due
from polling.detection.poll_loop import poll_due
from polling.models import PollState
from polling.workers.due import make_due
from tests.contract import assert_same_shape, sample
from tests.seed import FIRST_BODY, example_body, example_for
from tests.support.api_caller import Api
from tests.support.receivers import Receiver, start_receiver

pytestmark = pytest.mark.django_db
INSTANCE = sample("instance")
CONSTANT = ("element", "elementId", "provisionInteractions", "valid", "traceLoggingEnabled", "cachingEnabled")
EVERY_KEY = {
    "connectwise__clientID": "client",
    "event__notification__signature__key": "MySecretEventSignatureKey",
    "event__notification__callback__headers": {"X-Key": "one"},
    "event__notification__basic__username": "me",
    "event__notification__basic__password": "word",
}
SECRET = {"public.key", "private.key", "event.notification.signature.key", "event.notification.basic.password"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as running:
        yield running


@pytest.fixture(params=["", "/elements/api-v2"])
def base(request: pytest.FixtureRequest) -> str:
    """Each of the two base paths."""
    return str(request.param)


def assert_instance(answered: Any, *, with_token: bool = False) -> None:
    printed = {key: value for key, value in INSTANCE.items() if key != "token" or with_token}
    assert_same_shape(printed, answered, open_at=[".configuration"])
    assert {key: answered[key] for key in CONSTANT} == {key: INSTANCE[key] for key in CONSTANT}
    assert answered["externalAuthentication"] == "none"
    configuration = answered["configuration"]
    assert {type(value) for value in configuration.values()} == {str}
    assert {configuration[key] for key in SECRET & configuration.keys()} == {"********"}
    assert configuration["event.notification.enabled"] == "true"
    assert isinstance(json.loads(configuration["event.poller.configuration"]), dict)
    assert "providerData" not in answered


def test_creating_with_the_seeds_example_answers_the_sample_with_the_token(
    api: Api, sandbox: SandboxServer, base: str
) -> None:
    answer = api("POST", f"{base}/instances", example_for(sandbox.url))
    assert answer.status_code == 200
    assert_instance(answer.json(), with_token=True)
    assert {key: answer.json()[key] for key in ("name", "tags")} == {"name": "API_Polling", "tags": ["Test"]}
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", answer.json()["token"])


def test_creating_with_the_seeds_first_body_answers_it_too_once_the_connection_is_given(
    api: Api, sandbox: SandboxServer, base: str
) -> None:
    body = json.loads(FIRST_BODY)
    body["configuration"] |= {"baseUrl": sandbox.url, "company": "acme", "public.key": "PUB", "private.key": "PRIV"}
    answered = api("POST", f"{base}/instances", body).json()
    assert answered.pop("tags") == []
    assert_instance(answered | {"tags": ["Test"]}, with_token=True)


INSTANCE_ROUTES = [
    ("GET", "/instances/{id}", None),
    ("PUT", "/instances/{id}", {}),
    ("PATCH", "/instances/{id}", {"tags": ["Test"]}),
    ("PUT", "/instances", {}),
    ("PATCH", "/instances", {"name": "API_Polling"}),
    ("GET", "/elements/connectwisecrmrest/instances/{id}", None),
    ("PUT", "/elements/3012/instances/{id}", {}),
    ("PATCH", "/elements/connectwisecrmrest/instances/{id}", {"tags": ["Test"]}),
    ("PUT", "/instances/{id}/enabled", None),
    ("PUT", "/instances/enabled", None),
    ("DELETE", "/instances/{id}/enabled", None),
    ("DELETE", "/instances/enabled", None),
]


@pytest.mark.parametrize(("method", "path", "body"), INSTANCE_ROUTES)
def test_every_route_that_answers_an_instance_answers_the_sample(
    api: Api, sandbox: SandboxServer, base: str, method: str, path: str, body: Any
) -> None:
    given = example_body(sandbox.url, **EVERY_KEY)
    created = api("POST", "/instances", given).json()
    path, auth = path.format(id=created["id"]), f"User {api.tenant.user_secret}, Element {created['token']}"
    answer = api(method, base + path, given if method == "PUT" and body == {} else body, auth=auth)
    assert answer.status_code == 200, answer.content
    assert_instance(answer.json())
    assert answer.json()["configuration"].keys() >= SECRET
    headers = json.loads(answer.json()["configuration"]["event.notification.callback.headers"])
    assert headers == {"X-Key": "********"}


@pytest.mark.parametrize("path", ["/instances", "/elements/connectwisecrmrest/instances"])
def test_the_list_is_an_array_of_the_sample(api: Api, sandbox: SandboxServer, base: str, path: str) -> None:
    api.create(sandbox.url)
    answered = api("GET", base + path).json()
    assert len(answered) == 1
    assert_instance(answered[0])


@pytest.mark.parametrize("path", ["/instances/{id}", "/instances", "/elements/3012/instances/{id}"])
def test_deleting_answers_200(api: Api, sandbox: SandboxServer, base: str, path: str) -> None:
    created = api.create(sandbox.url)
    auth = f"User {api.tenant.user_secret}, Element {created['token']}"
    assert api("DELETE", base + path.format(id=created["id"]), auth=auth).status_code == 200
    assert api("GET", base + f"/instances/{created['id']}").status_code == 404


def test_the_configuration_is_an_array_of_the_sample_row(api: Api, sandbox: SandboxServer, base: str) -> None:
    created = api.create(sandbox.url, **EVERY_KEY)
    rows = api("GET", f"{base}/instances/{created['id']}/configuration").json()
    (printed,) = sample("configuration_rows")
    for row in rows:
        assert row["propertyValue"] is None or isinstance(row["propertyValue"], str)
        assert_same_shape(printed, row | {"propertyValue": "15"})
    values = {row["key"]: row["propertyValue"] for row in rows}
    assert {values[key] for key in SECRET} == {"********"}


@pytest.mark.parametrize("key", ["event.poller.refresh_interval", "14"])
def test_one_key_is_changed_by_the_sample_body(api: Api, sandbox: SandboxServer, base: str, key: str) -> None:
    path = f"{base}/instances/{api.create(sandbox.url)['id']}/configuration/{key}"
    answer = api("PATCH", path, sample("property_value"))
    assert answer.json()["propertyValue"] == sample("property_value")["propertyValue"]
    assert_same_shape(sample("configuration_rows")[0], answer.json())


def test_the_metadata_is_as_printed(api: Api, base: str) -> None:
    answered = api("GET", f"{base}/elements/connectwisecrmrest/metadata").json()
    assert_same_shape(sample("metadata"), answered, open_at=[".events.polling"])
    assert answered["events"]["supported"] is True
    assert answered["events"]["methods"] == ["polling"]
    assert api("GET", f"{base}/elements/metadata").json() == [answered]


def test_an_error_is_as_printed(api: Api, base: str) -> None:
    answer = api("GET", f"{base}/instances/1")
    assert_same_shape(sample("error"), answer.json())
    assert re.fullmatch(r"[0-9a-f]{24}", answer.json()["requestId"])


def test_an_error_of_connectwise_holds_its_words(api: Api, sandbox: SandboxServer, base: str) -> None:
    answer = api("POST", f"{base}/instances", example_body(sandbox.url, private__key="OTHER"))
    assert answer.status_code == 400
    assert_same_shape(sample("error_of_connectwise"), answer.json())
    assert "Incorrect public/private key" in answer.json()["providerMessage"]


@pytest.fixture
def notified(api: Api, sandbox: SandboxServer, receiver: Receiver) -> dict[str, Any]:
    """An instance whose contact 17 has changed and was delivered."""
    created = api.create(sandbox.url, event__notification__callback__url=receiver.url)
    sandbox.store.change("contacts", 17, {"title": "Chief"})
    make_due(PollState.objects.all())
    poll_due(deadline=float("inf"))
    deliver_due(deadline=float("inf"))
    return created | {"auth": f"User {api.tenant.user_secret}, Element {created['token']}"}


def test_a_notification_is_as_printed(notified: dict[str, Any], receiver: Receiver) -> None:
    (got,) = receiver.got
    body = got.json
    record = ".message.raw.contacts[]"
    assert_same_shape(sample("notification"), body, open_at=[record, f"{record}._info"])
    assert body["severity"] == "low"
    assert body["topic"] == f"instance-{notified['id']}-connectwisecrmrest-events"
    message = body["message"]
    assert message["instanceId"] == message["instance_id"] == notified["id"]
    assert message["instanceName"] == notified["name"]
    assert message["events"] == message["raw"]["events"]
    assert message["eventId"] == message["raw"]["eventId"]
    (event,) = message["events"]
    assert (event["objectType"], event["objectId"], event["eventType"]) == ("contacts", "17", "UPDATED")
    assert message["raw"]["contacts"][0]["id"] == 17


@pytest.mark.parametrize("path", ["/instances/{id}/events", "/instances/events"])
def test_the_history_is_as_printed(
    notified: dict[str, Any], api: Api, base: str, path: str, receiver: Receiver
) -> None:
    answered = api("GET", base + path.format(id=notified["id"]), auth=notified["auth"]).json()
    assert_same_shape(sample("history"), answered)
    (row,) = answered
    assert row["status"] == "NOTIFIED"
    assert row["notifiedData"] == receiver.got[0].json["message"]["events"]
    assert json.loads(row["providerData"]) == receiver.got[0].json["message"]["raw"]["contacts"][0]
    one = api("GET", base + path.format(id=notified["id"]) + f"/{row['id']}", auth=notified["auth"]).json()
    assert one == row


@pytest.mark.parametrize("interval", ["minute", "hour", "day"])
@pytest.mark.parametrize("path", ["/instances/{id}/events/analytics", "/instances/events/analytics"])
def test_the_counts_are_as_printed(notified: dict[str, Any], api: Api, base: str, path: str, interval: str) -> None:
    query = f"?interval={interval}"
    answered = api("GET", base + path.format(id=notified["id"]) + query, auth=notified["auth"]).json()
    assert_same_shape(sample("analytics"), answered)
    assert sum(row["count"] for row in answered) == 1
