"""Events on without a callback URL, through the REST API: created so, and changed to it and from it."""

from __future__ import annotations

from typing import Any

import pytest

from cwconnect.sandbox import SandboxServer
from tests.seed import example_body
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db
URL, ENABLED = "event.notification.callback.url", "event.notification.enabled"
HEADERS, PASSWORD = "event.notification.callback.headers", "event.notification.basic.password"


def body_of(sandbox: SandboxServer, url: str | None) -> dict[str, Any]:
    body = example_body(sandbox.url)
    del body["configuration"][URL]
    body["configuration"] |= {} if url is None else {URL: url}
    return body


@pytest.mark.parametrize("url", [None, ""])
def test_an_instance_is_created_without_one(api: Api, small_sandbox: SandboxServer, url: str | None) -> None:
    answer = api("POST", "/instances", body_of(small_sandbox, url))
    assert answer.status_code == 200, answer.content
    made = answer.json()
    assert (made["eventsEnabled"], made["eventsNotificationCallbackUrl"]) == (True, "")
    assert made["configuration"][ENABLED] == "true"
    assert URL not in made["configuration"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_it_is_taken_away_and_given_again(api: Api, small_sandbox: SandboxServer, method: str) -> None:
    made = api("POST", "/instances", body_of(small_sandbox, "http://mycoolapp.com")).json()
    path = f"/instances/{made['id']}"
    away = body_of(small_sandbox, "") if method == "PUT" else {"configuration": {URL: ""}}
    answer = api(method, path, away)
    assert (answer.status_code, answer.json()["eventsNotificationCallbackUrl"]) == (200, "")
    again = (
        body_of(small_sandbox, "http://other.com") if method == "PUT" else {"configuration": {URL: "http://other.com"}}
    )
    assert api(method, path, again).json()["eventsNotificationCallbackUrl"] == "http://other.com"


def test_one_key_is_emptied_by_itself(api: Api, small_sandbox: SandboxServer) -> None:
    made = api("POST", "/instances", body_of(small_sandbox, "http://mycoolapp.com")).json()
    path = f"/instances/{made['id']}/configuration/{URL}"
    answer = api("PATCH", path, {"propertyValue": ""})
    assert answer.status_code == 200, answer.content
    assert not api("GET", path).json().get("propertyValue")


def test_secrets_of_the_receiver_are_not_sent_to_another_by_way_of_none(api: Api, small_sandbox: SandboxServer) -> None:
    body = body_of(small_sandbox, "http://mycoolapp.com")
    secrets = {HEADERS: {"X-Key": "hush"}, "event.notification.basic.username": "u", PASSWORD: "hush"}
    made = api("POST", "/instances", {**body, "configuration": body["configuration"] | secrets}).json()
    path = f"/instances/{made['id']}"
    assert api("PATCH", path, {"configuration": {URL: ""}}).status_code == 200
    answer = api("PATCH", path, {"configuration": {URL: "http://attacker.com"}})
    assert answer.status_code == 400
    assert HEADERS in answer.json()["message"]
    assert PASSWORD in answer.json()["message"]


def test_the_catalogue_of_keys_says_what_it_means_to_have_none(api: Api) -> None:
    keys = {row["key"]: row for row in api("GET", "/elements/connectwisecrmrest/configuration").json()}
    assert keys[URL]["required"] is False
    assert "Without one nothing is: events are recorded" in keys[URL]["description"]


def test_a_test_notification_is_refused_in_words(api: Api, small_sandbox: SandboxServer) -> None:
    made = api("POST", "/instances", body_of(small_sandbox, None)).json()
    answer = api("POST", f"/v1/instances/{made['id']}/test-notification", {"resource": "contacts"})
    assert answer.status_code == 409
    assert "its events are pulled, and nothing is sent" in answer.json()["message"]
