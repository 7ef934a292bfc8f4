"""Stored secrets are sent nowhere but where they were given for, by whichever way the destination is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cwconnect.outbound.origin import origin_of
from instances.configuration.wire import config_of
from instances.models import Instance
from tests.conftest import Tenant
from tests.pages.conftest import sign_in
from tests.support.polled_instance import PolledInstance

BASE, CALLBACK = "baseUrl", "event.notification.callback.url"
PASSWORD, HEADERS = "event.notification.basic.password", "event.notification.callback.headers"
MASK = "********"


@pytest.fixture
def instance(world: PolledInstance) -> Instance:
    world.watch(
        callback_url="http://127.0.0.1:9/hook",
        event__notification__basic__username="user",
        event__notification__basic__password="the password",
        event__notification__callback__headers={"X-Token": "the token"},
    )
    return world.instance


Way = Callable[[Client, Tenant, Instance, str, str], Any]


def _api(method: str, path: str) -> Way:
    def change(client: Client, tenant: Tenant, instance: Instance, key: str, url: str) -> Any:
        shown = client.get(f"/instances/{instance.pk}", headers={"Authorization": tenant.auth}).json()
        whole = shown["configuration"] | {key: url}
        body: dict[str, Any] = {"configuration": {key: url} if method == "PATCH" else whole}
        if "configuration/" in path:
            body = {"propertyValue": url}
        body |= {"element": {"key": "connectwisecrmrest"}, "name": "x"} if method == "PUT" else {}
        send = client.patch if method == "PATCH" else client.put
        at = path.format(number=instance.pk, key=key)
        return send(at, body, content_type="application/json", headers={"Authorization": tenant.auth})

    return change


def _page(path: str, fields: Callable[[Instance, str, str], dict[str, str]]) -> Way:
    def change(client: Client, tenant: Tenant, instance: Instance, key: str, url: str) -> Any:
        person = sign_in("olga", tenant.organization)
        return person.post(path.format(number=instance.pk), fields(instance, key, url))

    return change


def _settings(instance: Instance, key: str, url: str) -> dict[str, str]:
    stored = config_of(instance)
    if key == BASE:
        return {"form": "connection", "site": "", "base_url": url, "company": stored.company}
    headers = "\n".join(f"{name}: {MASK}" for name in stored.callback_headers)
    user = stored.basic_username
    return {"form": "notify", "callback_url": url, "refresh_interval": "15", "basic_username": user} | {
        "callback_headers": headers
    }


WAYS: dict[str, tuple[Way, tuple[str, ...]]] = {
    "PATCH": (_api("PATCH", "/instances/{number}"), (BASE, CALLBACK)),
    "PATCH under the base path": (_api("PATCH", "/elements/api-v2/instances/{number}"), (BASE, CALLBACK)),
    "PUT with masks": (_api("PUT", "/instances/{number}"), (BASE, CALLBACK)),
    "PATCH of one key": (_api("PATCH", "/instances/{number}/configuration/{key}"), (BASE, CALLBACK)),
    "the page Settings": (_page("/app/instances/{number}/settings", _settings), (BASE, CALLBACK)),
    "Test connection": (_page("/app/instances/{number}/settings/test", _settings), (BASE,)),
    "Send test": (_page("/app/instances/{number}/delivery/test", _settings), (CALLBACK,)),
}
OTHERS = ["https://127.0.0.1:9", "http://127.0.0.1:99", "http://127.0.0.2:9", "http://localhost:9"]


@pytest.mark.parametrize(("way", "key"), [(way, key) for way, (_, keys) in WAYS.items() for key in keys])
@pytest.mark.parametrize("other", OTHERS)
def test_no_way_takes_them_to_another_destination(
    world: PolledInstance, client: Client, tenant: Tenant, instance: Instance, way: str, key: str, other: str
) -> None:
    before = config_of(instance)
    world.store.clear_requests()

    answer = WAYS[way][0](client, tenant, instance, key, f"{other}/v4_6_release/apis/3.0")

    assert config_of(Instance.objects.get(pk=instance.pk)) == before
    text = answer.content.decode()
    assert "the password" not in text
    if answer.headers["Content-Type"].startswith("application/json"):
        assert answer.status_code == 400
        secrets = ("public.key", "private.key") if key == BASE else (PASSWORD, HEADERS)
        assert all(f"{name} must be given anew" in answer.json()["message"] for name in secrets)


ESCAPED = MASK.replace("*", "\\u002a")


@pytest.mark.parametrize("headers", [f'{{"X-Token": "{ESCAPED}"}}', f"X-Token:{MASK}", {"x-token": MASK}])
def test_a_mask_is_one_however_it_is_spelt(client: Client, tenant: Tenant, instance: Instance, headers: object) -> None:
    changes = {CALLBACK: "http://127.0.0.2:9/", PASSWORD: "another", HEADERS: headers}
    answer = client.patch(
        f"/instances/{instance.pk}",
        {"configuration": changes},
        content_type="application/json",
        headers={"Authorization": tenant.auth},
    )
    assert (answer.status_code, f"{HEADERS} must be given anew" in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize("same", ["http://127.0.0.1:9/other", "HTTP://127.0.0.1:9/hook?x=1"])
def test_another_path_at_the_same_place_keeps_them(
    client: Client, tenant: Tenant, instance: Instance, same: str
) -> None:
    assert _api("PATCH", "/instances/{number}")(client, tenant, instance, CALLBACK, same).status_code == 200
    assert config_of(Instance.objects.get(pk=instance.pk)).basic_password == "the password"


def test_given_anew_they_go_there(client: Client, tenant: Tenant, instance: Instance) -> None:
    changes = {CALLBACK: "http://127.0.0.1:99/", PASSWORD: "another", HEADERS: json.dumps({"X-Token": "new"})}
    answer = client.patch(
        f"/instances/{instance.pk}",
        {"configuration": changes},
        content_type="application/json",
        headers={"Authorization": tenant.auth},
    )
    assert answer.status_code == 200
    assert config_of(Instance.objects.get(pk=instance.pk)).basic_password == "another"


def test_taken_away_and_set_again_a_url_does_not_bring_them_back(
    client: Client, tenant: Tenant, instance: Instance
) -> None:
    Instance.objects.filter(pk=instance.pk).update(events_enabled=False, callback_url="")
    answer = _api("PATCH", "/instances/{number}")(client, tenant, instance, CALLBACK, "http://127.0.0.2:9/")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/x", "https://A.example:443/y", True),
        ("http://a.example", "https://a.example", False),
        ("https://a.example", "https://a.example.", True),
        ("https://a.example", "https://b.a.example", False),
        ("https://a.example:1", "https://a.example:2", False),
        ("", "https://a.example", False),
    ],
)
def test_a_destination_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert (origin_of(one) == origin_of(other)) is same
