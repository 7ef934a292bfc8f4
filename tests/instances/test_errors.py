"""One error body everywhere, on every route, under both base paths."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from cwconnect.core.request_ids import RequestIdFilter
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db


def assert_error(answer: Any, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) <= {"requestId", "message", "providerMessage"}
    assert re.fullmatch(r"[0-9a-f]{24}", body["requestId"])
    assert body["requestId"] == answer.headers["Elements-Request-Id"]
    assert body["message"]


@pytest.mark.parametrize("base", ["", "/elements/api-v2"])
@pytest.mark.parametrize("path", ["/nowhere", "/instances/999999", "/instances/x", "/instances/" + "9" * 40])
def test_unknown_addresses_are_404(api: Api, base: str, path: str) -> None:
    assert_error(api("GET", base + path), 404)


def test_a_wrong_method_is_405(api: Api) -> None:
    answer = api("PUT", "/elements", {})
    assert_error(answer, 405)
    assert "GET" in answer.headers["Allow"]


def test_another_media_type_is_415(api: Api) -> None:
    answer = api.client.post("/instances", "a=b", content_type="text/plain", headers={"Authorization": api.tenant.auth})
    assert_error(answer, 415)


def test_an_accept_that_cannot_be_met_is_406(api: Api) -> None:
    answer = api.client.get("/instances", headers={"Authorization": api.tenant.auth, "Accept": "text/html"})
    assert_error(answer, 406)


@pytest.mark.parametrize("header", ["", "Basic YTpi", "User a, Organization b"])
def test_without_secrets_it_is_401_with_a_challenge(client: Client, header: str) -> None:
    answer = client.get("/instances", headers={"Authorization": header} if header else {})
    assert_error(answer, 401)
    assert answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[" * 100_000,
        '{"a":' * 60 + "1" + "}" * 60,
        '{"name": "a\\u0000b"}',
        '{"a\\u0000": 1}',
        '{"name": "\\ud800"}',
        '{"name": NaN}',
        '{"a": ' + "9" * 5000 + "}",
        b'{"name": "\xff"}',
        '"' + "x" * (2 * 1024 * 1024) + '"',
    ],
)
def test_bodies_out_of_bounds_are_400(api: Api, body: str | bytes) -> None:
    assert_error(api("POST", "/instances", body), 400)


def test_a_forged_host_is_400(api: Api, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    assert_error(api.client.get("/instances", headers={"Authorization": api.tenant.auth, "Host": "evil.example"}), 400)


@pytest.mark.parametrize("debug", [True, False])
def test_no_html_leaves_an_api_route_with_debug_on_or_off(api: Api, settings: Settings, debug: bool) -> None:
    settings.DEBUG = debug
    assert_error(api("GET", "/nowhere"), 404)


def test_a_fault_of_ours_is_a_500_in_the_same_form(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cwconnect.core.paging.page_size", lambda query: 1 / 0)
    assert_error(api("GET", "/instances"), 500)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("GET", "/instances/1", None, 404),
        ("PUT", "/elements", {}, 405),
        ("POST", "/instances", "{", 400),
        ("POST", "/instances", {}, 400),
        ("GET", "/instances?pageSize=x", None, 400),
        ("GET", "/v1/events?unknown=1", None, 400),
    ],
)
def test_the_log_has_the_id_that_the_answer_has(
    api: Api, caplog: pytest.LogCaptureFixture, method: str, path: str, body: Any, status: int
) -> None:
    caplog.handler.addFilter(RequestIdFilter())
    answer = api(method, path, body)
    assert_error(answer, status)
    (line,) = [record for record in caplog.records if record.name == "django.request"]
    assert line.request_id == answer.json()["requestId"]  # type: ignore[attr-defined]  # set by the filter
    assert path.partition("?")[0] in line.getMessage()


def test_the_log_of_a_fault_has_its_traceback_under_the_answers_id(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cwconnect.core.paging.page_size", lambda query: 1 / 0)
    caplog.handler.addFilter(RequestIdFilter())
    answer = api("GET", "/instances")
    assert_error(answer, 500)
    (line,) = [record for record in caplog.records if record.name == "django.request"]
    assert line.request_id == answer.json()["requestId"]  # type: ignore[attr-defined]  # as above
    assert line.exc_info
    assert "division" not in answer.content.decode()


def test_pages_keep_html(client: Client) -> None:
    assert client.get("/admin/login/").headers["Content-Type"].startswith("text/html")
    assert client.get("/admin/nowhere/").status_code in (302, 404)


def test_each_answer_has_an_id_of_its_own(api: Api) -> None:
    first, second = api("GET", "/instances"), api("GET", "/instances")
    assert first.headers["Elements-Request-Id"] != second.headers["Elements-Request-Id"]


def test_healthz_answers_without_credentials(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_the_root_leads_to_the_sign_in(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/app/signin?next=/"
