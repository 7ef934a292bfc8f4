"""What somebody tries who has a narrow key, or one that is not good from where they are: none of it reaches further."""

from __future__ import annotations

import ipaddress
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from instances.api import key_use
from instances.credentials.limits import Limits, put_key_limits, put_token_limits
from instances.credentials.user_secrets import create_user
from instances.models import ApiUser, AuditEntry, Instance
from instances.scopes import Scope
from tests.api.conftest import Watched
from tests.api.test_table_of_answers import OF_THE_TOKEN, ROUTES, ExampleRows, answers
from tests.conftest import Tenant
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db
HOME, ABROAD, PROXY = "203.0.113.9", "198.51.100.7", "10.0.0.1"
HERE = ("203.0.113.0/24", "2001:db8::/32")


@pytest.fixture(autouse=True)
def _nothing_noted() -> None:
    key_use._noted.clear()


@pytest.fixture
def watched(tenant: Tenant) -> Watched:
    return Watched(tenant)


def limit(user: ApiUser, limits: Limits) -> None:
    put_key_limits(user, limits)
    user.save()


def ask(auth: str, remote: str, method: str = "GET", path: str = "/instances", **headers: str) -> Any:
    client = Client(REMOTE_ADDR=remote)
    return client.generic(method, path, "{}", "application/json", headers={"Authorization": auth, **headers})


# From where, what the request says of itself, and whether the key is good there.
FROM: list[tuple[str, dict[str, str], bool]] = [
    (HOME, {}, True),
    ("::ffff:203.0.113.9", {}, True),
    ("2001:db8:1::1", {}, True),
    (ABROAD, {}, False),
    ("2001:db9::1", {}, False),
    ("::203.0.113.9", {}, False),  # IPv4 in a form that no socket writes
    ("", {}, False),
    # nobody who is no trusted proxy is believed
    (ABROAD, {"X-Forwarded-For": HOME}, False),
    (ABROAD, {"X-Forwarded-For": f"{HOME}, {HOME}"}, False),
    (ABROAD, {"Forwarded": f"for={HOME}", "X-Real-IP": HOME, "True-Client-IP": HOME, "CF-Connecting-IP": HOME}, False),
    # a proxy is, as far as what it wrote itself
    (PROXY, {"X-Forwarded-For": HOME}, True),
    (PROXY, {"X-Forwarded-For": f"{ABROAD}, {HOME}"}, True),
    (PROXY, {"X-Forwarded-For": f"{HOME}, {ABROAD}"}, False),
    (PROXY, {"X-Forwarded-For": f"[2001:db8::1]:443, {PROXY}"}, True),
    (PROXY, {"X-Forwarded-For": f"{HOME}, unknown"}, False),
    (PROXY, {}, False),
]


@pytest.mark.parametrize(("remote", "headers", "good"), FROM)
def test_a_key_is_good_from_its_networks_alone(
    tenant: Tenant, settings: Settings, remote: str, headers: dict[str, str], good: bool
) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/24")]
    limit(tenant.user, Limits(networks=HERE))
    assert ask(tenant.auth, remote, **headers).status_code == (200 if good else 403)


def test_without_a_proxy_setting_no_header_is_believed(tenant: Tenant) -> None:
    limit(tenant.user, Limits(networks=HERE))
    assert ask(tenant.auth, ABROAD, **{"X-Forwarded-For": HOME}).status_code == 403


def test_a_token_is_good_from_its_networks_alone_whatever_its_key_is(tenant: Tenant, watched: Watched) -> None:
    put_token_limits(watched.instance, Limits(networks=HERE))
    watched.instance.save()
    answer = ask(watched.auth, ABROAD)
    assert answer.status_code == 403
    assert answer.json()["message"] == f"This Element token may not be used from here: your address is {ABROAD}."
    assert ask(watched.auth, HOME).status_code == 200
    assert ask(tenant.auth, ABROAD).status_code == 200  # the key alone


def test_both_lists_must_hold_the_address(tenant: Tenant, watched: Watched) -> None:
    limit(tenant.user, Limits(networks=("203.0.113.0/25",)))
    put_token_limits(watched.instance, Limits(networks=("203.0.113.0/28",)))
    watched.instance.save()
    statuses = [ask(watched.auth, f"203.0.113.{last}").status_code for last in (9, 100, 200)]
    assert statuses == [200, 403, 403]


def test_a_refused_address_is_no_guess_no_use_and_said_once(tenant: Tenant) -> None:
    limit(tenant.user, Limits(networks=HERE))
    answers = {ask(tenant.auth, f"198.51.100.{last}").status_code for last in range(70)}
    assert answers == {403}
    assert ApiUser.objects.get().last_used_at is None
    (entry,) = AuditEntry.objects.filter(action="address refused")
    assert (entry.subject, entry.organization) == (str(tenant.user), tenant.organization)
    assert entry.details == {"address": "198.51.100.0", "used": "API key", "with_key": "alice"}
    assert ask("User wrong, Organization wrong", ABROAD).status_code == 401


def test_a_wrong_secret_is_answered_nothing_of_networks(tenant: Tenant) -> None:
    limit(tenant.user, Limits(networks=HERE))
    auth = f"User {tenant.user_secret}, Organization wrong"
    assert (ask(auth, ABROAD).status_code, ask(auth, HOME).status_code) == (401, 401)


def test_an_expired_key_is_worth_nothing_with_a_live_token(tenant: Tenant, watched: Watched) -> None:
    limit(tenant.user, Limits(networks=HERE, expires_at=timezone.now() - timedelta(seconds=1)))
    answer = ask(watched.auth, ABROAD)
    assert answer.status_code == 401
    assert answer.json()["message"] == ask("User wrong, Element wrong", ABROAD).json()["message"]


def test_a_key_never_reaches_another_organization(tenant: Tenant, other_tenant: Tenant, watched: Watched) -> None:
    """Neither by a token of it, nor by the id of one of its instances among those that the key names."""
    stolen = f"User {other_tenant.user_secret}, Element {watched.token}"
    assert ask(stolen, HOME).status_code == 401
    limit(other_tenant.user, Limits(instance_ids=(watched.instance.pk,)))
    assert ask(stolen, HOME).status_code == 401
    assert ask(other_tenant.auth, HOME).json() == []
    assert ask(other_tenant.auth, HOME, path=f"/instances/{watched.instance.pk}").status_code == 404


@pytest.fixture
def world(tenant: Tenant, sandbox: Any) -> ExampleRows:
    return ExampleRows(tenant, sandbox)


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return Api(tenant)


def test_a_key_for_other_instances_finds_none_of_ours_and_decides_nothing_of_the_organization(
    api: Api, world: ExampleRows
) -> None:
    everything = answers(world, api, lambda route: api.tenant.auth)
    limit(world.watched.tenant.user, Limits(instance_ids=(999_999,)))
    found = answers(world, api, lambda route: api.tenant.auth)
    arguments = {route: set(pattern.pattern.regex.groupindex) for route, pattern in ROUTES.items()}
    of_instance = {route for route, names in arguments.items() if names & {"number", "event", "delivery"}}
    of_all = {route for route in ROUTES if "secret" in route} | {"POST instances", "POST element-instances"}
    of_instance -= {route for route in of_instance if OF_THE_TOKEN.search(route)}
    expected = everything | dict.fromkeys(of_instance, 404) | dict.fromkeys(of_all, 403)
    assert found == expected
    assert api("GET", "/instances").json() == []
    for path in ("/v1/events", "/v1/deliveries"):
        assert api("GET", path).json()["items"] == []
    assert {bucket["count"] for bucket in api("GET", "/instances/events/analytics").json()} == {0}
    with_token = answers(world, api, lambda route: world.watched.auth)
    assert set(with_token.values()) == {401}


def test_a_key_for_an_instance_reaches_just_that(api: Api, world: ExampleRows) -> None:
    Watched(world.watched.tenant, company="another")
    limit(world.watched.tenant.user, Limits(instance_ids=(world.watched.instance.pk,)))
    assert [row["id"] for row in api("GET", "/instances").json()] == [world.watched.instance.pk]
    assert api("GET", "/v1/events").json()["items"] != []
    assert api("GET", "/instances/configuration", auth=world.watched.auth).status_code == 200
    assert api("POST", f"/v1/instances/{world.watched.instance.pk}/token", {}).status_code == 201


SOON = timezone.now() + timedelta(days=2)
WIDER: list[tuple[dict[str, Any], str]] = [
    ({"networks": []}, "networks"),
    ({"networks": ["0.0.0.0/0"]}, "networks"),
    ({"networks": ["203.0.113.0/23"]}, "networks"),
    ({"networks": ["203.0.113.7", "::/0"]}, "networks"),
    ({"networks": ["203.0.113.7/24"]}, "networks"),
    ({"networks": ["fe80::1%eth0"]}, "networks"),
    ({"networks": ["10.0.0.0/8"] * 101}, "networks"),
    ({"networks": ["1" * 51]}, "networks"),
    ({"networks": "203.0.113.0/24"}, "networks"),
    ({"expires_at": (SOON + timedelta(days=1)).isoformat()}, "expires_at"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ({"expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
    ({"scope": "admin"}, "scope"),
    ({"scope": ""}, "scope"),
    ({"scope": "read", "may_write": True}, "may_write"),
    ({"scope": "write"}, "writes"),
    ({"writes": True}, "writes"),
    ({"scope": "read", "writes": True}, "writes"),
    ({"instances": []}, "instances"),
    ({"instances": [999_999]}, "instances"),
    ({"instances": [2**63]}, "instances"),
    ({"instances": [True]}, "instances"),
    ({"instances": list(range(1, 102))}, "instances"),
]


@pytest.mark.parametrize(("asked", "field"), WIDER)
def test_no_key_makes_a_wider_one(tenant: Tenant, asked: dict[str, Any], field: str) -> None:
    limit(tenant.user, Limits(networks=HERE, expires_at=SOON))
    client = Client(REMOTE_ADDR=HOME)
    body = json.dumps({"name": "bob", **asked})
    answer = client.post("/v1/secrets", body, "application/json", headers={"Authorization": tenant.auth})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(field)
    assert not ApiUser.objects.filter(name="bob").exists()


def test_what_is_not_said_of_a_new_key_is_as_of_the_one_that_makes_it(tenant: Tenant) -> None:
    limit(tenant.user, Limits(networks=HERE, expires_at=SOON, writes=True))
    client = Client(REMOTE_ADDR=HOME, headers={"Authorization": tenant.auth})
    made = client.post("/v1/secrets", {"name": "bob", "scope": "write"}, "application/json").json()
    assert (made["scope"], made["may_write"], made["networks"]) == ("write", False, list(HERE))
    assert made["writes"] is True
    assert made["expires_at"] is not None
    narrow = {"name": "carol", "may_write": False, "networks": ["203.0.113.7"]}
    made = client.post("/v1/secrets", narrow, "application/json").json()
    assert (made["scope"], made["networks"]) == ("read", ["203.0.113.7/32"])


def test_a_token_is_narrowed_and_shown_by_the_api(tenant: Tenant, watched: Watched) -> None:
    path = f"/v1/instances/{watched.instance.pk}/token"
    client = Client(REMOTE_ADDR=HOME, headers={"Authorization": tenant.auth})
    body = {"scope": "read", "networks": ["::ffff:203.0.113.0/120"], "expires_at": SOON.isoformat()}
    made = client.post(path, body, "application/json").json()
    shown = client.get(path).json()
    assert "token" not in shown
    assert (shown["scope"], shown["networks"]) == ("read", ["203.0.113.0/24"])
    assert shown["expires_at"] == made["expires_at"]
    auth = f"User {tenant.user_secret}, Element {made['token']}"
    assert ask(auth, HOME, "DELETE").status_code == 403
    assert ask(watched.auth, HOME, "DELETE").status_code == 403  # the former one is no way round
    for wrong, field in WIDER[4:6] + WIDER[10:11]:
        refused = client.post(path, wrong, "application/json")
        assert refused.status_code == 400
        assert refused.json()["message"].startswith(field)
    assert Instance.objects.get().token_scope == Scope.READ


def test_a_narrow_key_replaces_no_token_and_makes_no_key(tenant: Tenant, watched: Watched) -> None:
    create_user(tenant.organization, "bob", Limits())
    for scope in (Scope.READ, Scope.WRITE):
        limit(tenant.user, Limits(scope))
        for path in ("/v1/secrets", f"/v1/instances/{watched.instance.pk}/token"):
            assert ask(tenant.auth, HOME, "POST", path).status_code == 403
