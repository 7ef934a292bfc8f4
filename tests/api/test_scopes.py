"""Each route declares the scope that it takes, and a narrower key or token gets 403 with words that name it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.response import Response

from cwconnect.sandbox import SandboxServer
from cwconnect.site.openapi.document import described_api
from instances.api.instances import EnabledView
from instances.api.permission import scope_of
from instances.models import ApiUser, Instance
from instances.scopes import Scope
from polling.api.compatible.hubs import HubView
from tests.api.test_table_of_answers import OF_THE_TOKEN, ROUTES, ExampleRows, answers
from tests.conftest import Tenant
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db
NARROW = (Scope.READ, Scope.WRITE)
ONLY_READS = re.compile(r"(hub-bulk-|/bulk/)")  # what is asked of ConnectWise is a read, and nothing is changed there


@pytest.fixture
def world(tenant: Tenant, sandbox: SandboxServer) -> ExampleRows:
    return ExampleRows(tenant, sandbox)


def declared(route: str) -> Scope | None:
    view: Any = ROUTES[route].callback
    return scope_of(getattr(view, "cls", None) or view.view_class, route.partition(" ")[0])


def test_every_method_of_every_route_declares_a_scope() -> None:
    assert [route for route in ROUTES if declared(route) is None] == []


def taken(method: str, route: str, *, hub: bool) -> Scope:
    reads = method == "GET" or ONLY_READS.search(route)
    return Scope.READ if reads else Scope.WRITE if hub else Scope.MANAGE


def test_what_only_shows_takes_read_what_changes_cwconnect_manage_and_what_changes_connectwise_write() -> None:
    expected = {
        route: taken(route.split(" ")[0], route, hub=route.endswith((" hub", " hub-unnamed"))) for route in ROUTES
    }
    assert {route: declared(route) for route in ROUTES} == expected


def test_the_description_says_the_scope_of_every_operation() -> None:
    operations = [
        (f"{method} {path}", operation)
        for path, methods in described_api()["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 60
    for name, operation in operations:
        method, path = name.split(" ")
        assert operation["x-scope"] == taken(method.upper(), path, hub=path.startswith("/hubs/{hub}/{resource}")), name
        assert f"`{operation['x-scope']}`" in operation["description"]
        assert "403" in operation["responses"], name


def narrowed(everything: dict[str, int], scope: Scope) -> dict[str, int]:
    allowed = {route for route in everything if scope.covers(declared(route) or Scope.MANAGE)}
    return {route: status if route in allowed else 403 for route, status in everything.items()}


@pytest.mark.parametrize("scope", NARROW)
def test_a_narrower_key_is_refused_wherever_more_is_taken(api: Api, world: ExampleRows, scope: Scope) -> None:
    def auth(route: str) -> str:
        return world.watched.auth if OF_THE_TOKEN.search(route) else api.tenant.auth

    everything = answers(world, api, auth)
    ApiUser.objects.update(scope=scope)
    assert answers(world, api, auth) == narrowed(everything, scope)
    answer = api("DELETE", f"/instances/{world.watched.instance.pk}")
    assert answer.json().keys() == {"requestId", "message"}
    assert answer.json()["message"] == f"This takes the scope manage, and the API key has the scope {scope.value}."


@pytest.mark.parametrize("scope", NARROW)
def test_a_narrower_token_narrows_a_key_that_may_all(api: Api, world: ExampleRows, scope: Scope) -> None:
    everything = answers(world, api, lambda route: world.watched.auth)
    Instance.objects.update(token_scope=scope)
    assert answers(world, api, lambda route: world.watched.auth) == narrowed(everything, scope)
    answer = api("DELETE", "/instances", auth=world.watched.auth)
    assert (
        answer.json()["message"] == f"This takes the scope manage, and the Element token has the scope {scope.value}."
    )


def test_a_token_that_may_all_raises_no_key(api: Api, world: ExampleRows) -> None:
    ApiUser.objects.update(scope=Scope.READ)
    assert world.watched.instance.token_scope == Scope.MANAGE
    assert api("DELETE", "/instances", auth=world.watched.auth).status_code == 403
    assert Instance.objects.filter(organization__isnull=False).count() == 1


def test_a_write_to_a_hub_takes_write_of_both(api: Api, world: ExampleRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HubView, "post", lambda view, request, resource, hub="": Response({"done": resource}))
    found = {}
    for key in Scope:
        for token in Scope:
            ApiUser.objects.update(scope=key)
            Instance.objects.update(token_scope=token)
            found[key, token] = api("POST", "/hubs/crm/contacts", {}, auth=world.watched.auth).status_code
    writing = {Scope.WRITE, Scope.MANAGE}
    assert found == {pair: 200 if set(pair) <= writing else 403 for pair in found}


def test_a_method_that_declares_nothing_is_closed_to_all(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EnabledView, "scopes", {})
    for method in ("PUT", "DELETE"):
        answer = api(method, "/instances/1/enabled")
        assert answer.status_code == 403
        assert "No scope is declared" in answer.json()["message"]


def test_a_method_that_there_is_not_is_405_for_any_key(api: Api) -> None:
    for scope in Scope:
        ApiUser.objects.update(scope=scope)
        assert api("DELETE", "/elements").status_code == 405
        assert api("TRACE", "/elements").status_code == 405


OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method")


@pytest.mark.parametrize("header", OVERRIDES)
def test_no_header_and_no_field_makes_another_method_of_a_request(api: Api, world: ExampleRows, header: str) -> None:
    ApiUser.objects.update(scope=Scope.READ)
    path = f"/instances/{world.watched.instance.pk}"
    for method, claimed in (("DELETE", "GET"), ("POST", "GET"), ("GET", "DELETE"), ("OPTIONS", "DELETE")):
        headers = {"Authorization": api.tenant.auth, header: claimed}
        status = api.client.generic(
            method, f"{path}?_method={claimed}", "{}", "application/json", headers=headers
        ).status_code
        assert status == {"DELETE": 403, "POST": 405, "GET": 200, "OPTIONS": 200}[method]
    assert Instance.objects.filter(organization__isnull=False).count() == 1


def test_heads_are_read(api: Api) -> None:
    ApiUser.objects.update(scope=Scope.READ)
    cache.clear()
    assert api("HEAD", "/elements").status_code == 200
