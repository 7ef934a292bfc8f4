"""The brake on failed authentication."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from pytest_django import Settings

from tests.conftest import Tenant
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db
WRONG = "User a, Organization b"


@pytest.fixture(autouse=True)
def noon() -> Any:
    with time_machine.travel("2026-03-01T12:00:05Z", tick=False) as traveller:
        yield traveller


def statuses(api: Api, *headers: str) -> list[int]:
    return [api("GET", "/instances", auth=header).status_code for header in headers]


def test_the_same_wrong_header_is_braked_for_the_rest_of_the_minute(api: Api, noon: Any) -> None:
    assert statuses(api, *[WRONG] * 12) == [401] * 10 + [429] * 2
    answer = api("GET", "/instances", auth=WRONG)
    assert answer.headers["Retry-After"] == "55"
    assert set(answer.json()) == {"requestId", "message"}
    noon.shift(60)
    assert statuses(api, WRONG) == [401]


def test_what_is_braked_does_not_lock_out_those_beside_it(api: Api) -> None:
    statuses(api, *[WRONG] * 100)
    assert statuses(api, api.tenant.auth) == [200]


def test_an_address_that_tries_many_secrets_is_braked_whatever_it_sends(api: Api) -> None:
    assert statuses(api, *(f"User a{number}, Organization b" for number in range(60)))[-1] == 401
    assert statuses(api, "User c, Organization d", api.tenant.auth) == [429, 429]
    other = api.client.get("/instances", headers={"Authorization": api.tenant.auth}, REMOTE_ADDR="192.0.2.7")
    assert other.status_code == 200


def test_right_and_missing_headers_are_not_counted(api: Api) -> None:
    assert set(statuses(api, *[api.tenant.auth] * 70)) == {200}
    assert set(statuses(api, *[""] * 70)) == {401}
    assert statuses(api, api.tenant.auth) == [200]


@pytest.mark.parametrize(("proxied", "statuses_of"), [(True, [429, 401]), (False, [429, 429])])
def test_guesses_are_counted_by_what_our_proxy_has_seen_and_by_nothing_else(
    api: Api, settings: Settings, proxied: bool, statuses_of: list[int]
) -> None:
    settings.PUBLIC_URL = "http://testserver" if proxied else ""
    statuses(api, *(f"User a{number}, Organization b" for number in range(60)))
    found = [
        api.client.get("/instances", headers={"Authorization": "User c, Organization d", "X-Forwarded-For": forwarded})
        for forwarded in ("203.0.113.9, 127.0.0.1", "127.0.0.1, 203.0.113.9")
    ]
    assert [answer.status_code for answer in found] == statuses_of


def test_without_redis_the_api_goes_on(api: Api, tenant: Tenant, settings: Settings) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "cwconnect.core.plain_cache.PlainRedisCache", "LOCATION": ["redis://127.0.0.1:9/0"]}
    }
    assert statuses(api, WRONG, tenant.auth) == [401, 200]
    settings.CACHES = {"default": {"BACKEND": "cwconnect.core.plain_cache.PlainMemoryCache"}}
