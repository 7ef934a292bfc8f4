"""One error body under every prefix, whatever is wrong: the contract's, with the id of the answer's header."""

from __future__ import annotations

import json
import re

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from instances.api.throttling import PER_HEADER
from tests.conftest import Tenant
from tests.instances.test_errors import assert_error
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db
BASES = ("", "/elements/api-v2")
GET = ("/instances", "/v1/events", "/elements", "/instances/events/analytics")
POST = ("/instances", "/v1/secrets", "/elements/connectwisecrmrest/instances")
WRONG_BODIES = {
    "malformed": "{",
    "empty": "",
    "no object": "[]",
    "too deep": '{"a":' * 60 + "1" + "}" * 60,
    "too large": json.dumps({"name": "x" * (2 * 1024 * 1024)}),
    "larger than Django reads": json.dumps({"name": "x" * (4 * 1024 * 1024)}),
    "not UTF-8": b'{"name": "\xff"}',
    "a number beyond any": '{"name": ' + "9" * 5000 + "}",
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/v1/nowhere", "/api", "/api/nowhere", "/instances/1/nowhere"])
def test_unknown_routes_are_404_whoever_asks(api: Api, base: str, path: str) -> None:
    assert_error(api("GET", base + path), 404)
    assert_error(api("GET", base + path, auth=""), 404)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", [*GET, "/api/schema"])
def test_a_method_that_a_route_lacks_is_405_and_says_which_it_has(api: Api, base: str, path: str) -> None:
    answer = api("TRACE", base + path, {})
    assert_error(answer, 405)
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", GET)
@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png, text/plain"])
def test_what_is_not_answered_is_406(api: Api, base: str, path: str, accept: str) -> None:
    answer = api.client.get(base + path, headers={"Authorization": api.tenant.auth, "Accept": accept})
    assert_error(answer, 406)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", POST)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"])
def test_another_media_type_is_415(api: Api, base: str, path: str, kind: str) -> None:
    headers = {"Authorization": api.tenant.auth}
    assert_error(api.client.generic("POST", base + path, "a=b", content_type=kind, headers=headers), 415)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", POST)
@pytest.mark.parametrize("body", WRONG_BODIES)
def test_a_body_that_can_not_be_read_is_400(api: Api, base: str, path: str, body: str) -> None:
    assert_error(api("POST", base + path, WRONG_BODIES[body]), 400)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", GET)
@time_machine.travel("2026-03-01T12:00:05Z", tick=False)  # they are counted by the minute
def test_too_many_failures_are_429_with_a_time_to_wait(api: Api, base: str, path: str) -> None:
    for _ in range(PER_HEADER):
        assert_error(api("GET", base + path, auth="User a, Organization b"), 401)
    answer = api("GET", base + path, auth="User a, Organization b")
    assert_error(answer, 429)
    assert int(answer.headers["Retry-After"]) > 0
    cache.clear()


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", ["/instances", "/v1/events", "/api/schema"])
def test_a_fault_of_ours_is_500_and_shows_nothing_of_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, base: str, path: str
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr("rest_framework.views.APIView.finalize_response", fail)
    answer = api("GET", base + path)
    assert_error(answer, 500)
    assert "inside" not in answer.content.decode()


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", [*GET, "/api/schema", "/nowhere"])
def test_no_answer_of_the_api_is_html(tenant: Tenant, base: str, path: str) -> None:
    for auth in ("", tenant.auth):
        answer = Client(raise_request_exception=False).get(base + path, headers={"Authorization": auth})
        assert not re.search("html", answer.headers["Content-Type"])
        assert b"<html" not in answer.content.lower()
