"""All routes of the API × who must not get in, and the instance that is disabled: the table of answers.

Routes are read from the site's own URLs: one that has no row here fails. Whoever sends no credentials, or revoked ones,
is answered 401, unless the route is open to anybody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.urls import URLPattern, reverse

from cwconnect.sandbox import SandboxServer
from instances.credentials.issuing import issue_secrets
from instances.models import Transformation
from instances.provisioning import set_enabled
from instances.secrets import Secret
from polling.models import Replay, Verification
from tests.api.conftest import NOON, Watched
from tests.conftest import Tenant
from tests.seed import example_body
from tests.support.api_caller import Api
from tests.support.routes import routes
from tests.support.rows import complete_copy, further_subscription

pytestmark = pytest.mark.django_db
OPEN = {
    "healthz",
    "readyz",
    "metrics",
    "schema",
    "api-docs",
    "api-docs-tag",
    "connectwise-callback",
    *("help-home", "help-document", "help-file"),
}  # to anybody, or behind a token of their own
PAGES = ("app/", "admin/")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OF_THE_TOKEN = re.compile(r" (own-|hub$|hub-unnamed$|hub-(ping|objects|fields|bulk))|(PUT|PATCH|DELETE) instances$")

# Of each route and method: what another organization is answered that asks about ours, and what ours is about its
# disabled instance. 400: the route takes an Element token, which the other one lacks. 200 and 201: it asks for what
# is its own. 409 of the secret: it is the last one.
TABLE: dict[str, tuple[int, int]] = {
    "GET events": (404, 200),
    "GET events-analytics": (404, 200),
    "GET event": (404, 200),
    "GET own-events": (400, 200),
    "GET own-events-analytics": (200, 200),
    "GET own-event": (400, 200),
    "GET queued-deliveries": (200, 200),
    "PUT queued-deliveries": (200, 200),
    "GET instances": (200, 200),
    "POST instances": (200, 200),
    "PUT instances": (400, 200),
    "PATCH instances": (400, 200),
    "DELETE instances": (400, 200),
    "PUT own-enabled": (400, 200),
    "DELETE own-enabled": (400, 200),
    "GET own-configuration": (400, 200),
    "GET own-configuration-key": (400, 200),
    "PATCH own-configuration-key": (400, 200),
    "GET own-transformations": (400, 200),
    "GET own-transformation": (400, 200),
    "PUT own-transformation": (400, 200),
    "DELETE own-transformation": (400, 200),
    "GET transformations": (404, 200),
    "GET transformation": (404, 200),
    "PUT transformation": (404, 200),
    "DELETE transformation": (404, 200),
    "GET instance": (404, 200),
    "PUT instance": (404, 200),
    "PATCH instance": (404, 200),
    "DELETE instance": (404, 200),
    "PUT enabled": (404, 200),
    "DELETE enabled": (404, 200),
    "GET configuration": (404, 200),
    "GET configuration-key": (404, 200),
    "PATCH configuration-key": (404, 200),
    "GET elements": (200, 200),
    "GET element": (200, 200),
    "GET element-keys": (200, 200),
    "GET element-metadata": (200, 200),
    "GET element-instances": (200, 200),
    "POST element-instances": (200, 200),
    "GET elements-keys": (200, 200),
    "GET elements-metadata": (200, 200),
    "GET element-instance": (404, 200),
    "PUT element-instance": (404, 200),
    "PATCH element-instance": (404, 200),
    "DELETE element-instance": (404, 200),
    "GET hubs": (200, 200),
    "GET hubs-keys": (200, 200),
    "GET hubs-one": (200, 200),
    "GET hubs-elements": (200, 200),
    "GET hub-ping": (400, 403),
    "GET hub-ping-unnamed": (400, 403),
    "GET hub-objects": (400, 403),
    "GET hub-objects-unnamed": (400, 403),
    "GET hub-fields": (400, 403),
    "GET hub-fields-unnamed": (400, 403),
    "GET hub": (400, 403),
    "GET hub-unnamed": (400, 403),
    **{f"{method} {name}": (400, 403) for method in METHODS[1:] for name in ("hub", "hub-unnamed")},
    "GET hub-bulk": (400, 200),
    "POST hub-bulk-query": (400, 403),
    "GET hub-bulk-status": (400, 200),
    "PUT hub-bulk-cancel": (400, 200),
    "GET hub-bulk-file": (400, 200),
    "GET hub-bulk-unnamed": (400, 200),
    "POST hub-bulk-query-unnamed": (400, 403),
    "GET hub-bulk-status-unnamed": (400, 200),
    "PUT hub-bulk-cancel-unnamed": (400, 200),
    "GET hub-bulk-file-unnamed": (400, 200),
    "GET v1-events": (200, 200),
    "GET v1-event": (404, 200),
    "GET v1-deliveries": (200, 200),
    "GET v1-delivery": (404, 200),
    "POST v1-resend": (404, 202),
    "GET v1-secrets": (200, 200),
    "POST v1-secrets": (201, 201),
    "DELETE v1-secret": (404, 409),
    "GET v1-polls": (404, 200),
    "POST v1-polls": (404, 201),
    "GET v1-poll": (404, 200),
    "PATCH v1-poll": (404, 200),
    "POST v1-poll-run": (404, 409),
    "POST v1-poll-backfill": (404, 409),
    "GET v1-held-deletes": (404, 200),
    "POST v1-held-release": (404, 200),
    "POST v1-held-dismiss": (404, 200),
    "GET v1-verifications": (404, 200),
    "POST v1-verifications": (404, 409),
    "GET v1-verification": (404, 200),
    "GET v1-callbacks": (404, 200),
    "GET v1-try-filter": (404, 200),
    "POST v1-replays": (404, 202),
    "GET v1-replay": (404, 200),
    "POST v1-test-notification": (404, 409),
    "POST v1-signature-key": (404, 200),
    "GET v1-subscriptions": (404, 200),
    "POST v1-subscriptions": (404, 201),
    "GET v1-subscription": (404, 200),
    "PATCH v1-subscription": (404, 200),
    "DELETE v1-subscription": (404, 204),
    "POST v1-subscription-test": (404, 409),
    "POST v1-subscription-rotate": (404, 200),
    "POST v1-subscription-pause": (404, 200),
    "POST v1-subscription-release": (404, 200),
    "POST v1-subscription-replay": (404, 202),
    "GET v1-subscription-try-filter": (404, 200),
    "GET v1-subscription-held": (404, 200),
    "GET v1-token": (404, 200),
    "POST v1-token": (404, 201),
}
BODIES: dict[str, Any] = {
    "PUT instance": example_body("{url}"),
    "PUT instances": example_body("{url}"),
    "PUT element-instance": example_body("{url}"),
    "PATCH configuration-key": {"propertyValue": "acme"},
    "PATCH own-configuration-key": {"propertyValue": "acme"},
    "PUT transformation": {"vendorName": "contacts", "fields": [{"path": "a", "vendorPath": "b"}]},
    "PUT own-transformation": {"vendorName": "contacts", "fields": [{"path": "a", "vendorPath": "b"}]},
    "POST instances": example_body("{url}"),
    "POST element-instances": example_body("{url}"),
    **{
        f"{method} {name}": {"firstName": "Ada", "lastName": "King"}
        for method in ("POST", "PUT", "PATCH")
        for name in ("hub", "hub-unnamed")
    },
    **{f"POST hub-bulk-query{suffix}": {"q": "select * from contacts"} for suffix in ("", "-unnamed")},
    "POST v1-secrets": {"name": "bob"},
    "POST v1-polls": {"resource": "incidents"},
    "POST v1-poll-backfill": {"since": "2026-01-01T00:00:00Z"},
    "POST v1-test-notification": {"resource": "contacts"},
    "POST v1-subscriptions": {"name": "Others", "url": "http://127.0.0.1:9/"},
    "POST v1-subscription-test": {"resource": "contacts"},
}


def api_routes() -> Iterator[tuple[str, URLPattern]]:
    """Return the API's routes: method and name, and the pattern."""
    for path, pattern in routes():
        if pattern.name and path and not path.startswith(PAGES):
            view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
            allowed = getattr(view, "http_method_names", ["get"])
            for method in METHODS:
                if method.lower() in allowed and (view is None or hasattr(view, method.lower())):
                    yield f"{method} {pattern.name}", pattern


ALL = dict(api_routes())
ROUTES = {route: pattern for route, pattern in ALL.items() if route.partition(" ")[2] not in OPEN}


class ExampleRows:
    """What is to be kept from others: one of everything that a route may name."""

    def __init__(self, tenant: Tenant, sandbox: SandboxServer) -> None:
        self.url = sandbox.url
        keys = {"public_key": Secret.of("PUB"), "private_key": Secret.of("PRIV")}
        self.watched = Watched(tenant, base_url=sandbox.url, **keys)
        event = self.watched.changed(1)[0].pk
        Transformation.objects.create(
            instance=self.watched.instance,
            name="people",
            vendor_name="contacts",
            fields=[{"path": "givenName", "vendorPath": "firstName"}],
        )
        replay = Replay.objects.create(instance=self.watched.instance, asked_at=NOON, queued_at=NOON, what="all")
        verification = Verification.objects.create(resource_poll=self.watched.poll, asked_at=NOON, status="complete")
        copy = complete_copy(self.watched.instance)
        self.arguments: dict[str, Any] = {
            "number": self.watched.instance.pk,
            "poll": self.watched.poll.pk,
            "event": event,
            "delivery": event,
            "secret": tenant.user.pk,
            "replay": replay.pk,
            "copy": copy.pk,
            "verification": verification.pk,
            "subscription": further_subscription(self.watched.instance).pk,
            "key": "company",
            "transformation": "people",
            "element": "connectwisecrmrest",
            "hub": "crm",
            "resource": "contacts",
        }

    def ask(self, api: Api, route: str, auth: str) -> int:
        """Ask a route about what is ours; give the status, having seen that an error has its one body."""
        pattern = ROUTES[route]
        method, name = route.split(" ")
        arguments = dict(self.arguments)
        if method in ("PUT", "PATCH", "DELETE"):
            # Of a list, hubs take other verbs than of its records.
            arguments["resource"] = "contacts/1" if name == "hub" else "contacts/2"
        url = reverse(name, kwargs={each: arguments[each] for each in pattern.pattern.regex.groupindex})
        if name == "queued-deliveries":
            url += "?where=channel%3D'webhook'%20and%20status%3D'queued'"
        body = json.dumps(BODIES.get(route, {})).replace("{url}", self.url)
        answer = api(method, url, body if method in ("POST", "PUT", "PATCH") else None, auth=auth)
        if answer.status_code >= 400:
            assert answer.json().keys() >= {"requestId", "message"}
        return int(answer.status_code)


@pytest.fixture
def world(tenant: Tenant, sandbox: SandboxServer) -> ExampleRows:
    return ExampleRows(tenant, sandbox)


def answers(world: ExampleRows, api: Api, auth: Callable[[str], str]) -> dict[str, int]:
    """Ask all routes, each in the same world."""
    found = {}
    for route in ROUTES:
        cache.clear()  # the failures of authentication before would brake this one
        with transaction.atomic():
            found[route] = world.ask(api, route, auth(route))
            transaction.set_rollback(True)
    return found


def _auth(api: Api, world: ExampleRows) -> Callable[[str], str]:
    return lambda route: world.watched.auth if OF_THE_TOKEN.search(route) else api.tenant.auth


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    assert ROUTES.keys() == TABLE.keys()
    assert {route.partition(" ")[2] for route in ALL.keys() - ROUTES.keys()} == OPEN


def test_without_credentials_all_is_401(api: Api, world: ExampleRows) -> None:
    assert answers(world, api, lambda route: "") == dict.fromkeys(TABLE, 401)


def test_with_revoked_secrets_all_is_401(api: Api, world: ExampleRows) -> None:
    issue_secrets(organization_name="Alpha", user_name="alice", rotate=True)
    assert answers(world, api, lambda route: api.tenant.auth) == dict.fromkeys(TABLE, 401)
    assert answers(world, api, lambda route: world.watched.auth) == dict.fromkeys(TABLE, 401)


def test_another_organization_is_answered_as_the_table_says(api: Api, world: ExampleRows, other_tenant: Tenant) -> None:
    expected = {route: foreign for route, (foreign, _) in TABLE.items()}
    assert answers(world, api, lambda route: other_tenant.auth) == expected


def test_about_a_disabled_instance_all_is_answered_as_the_table_says(api: Api, world: ExampleRows) -> None:
    set_enabled(world.watched.instance, enabled=False)
    assert answers(world, api, _auth(api, world)) == {route: disabled for route, (_, disabled) in TABLE.items()}


@pytest.mark.parametrize("path", ["/healthz", "/api/schema", "/api/docs"])
def test_the_open_routes_ask_for_nothing(api: Api, path: str) -> None:
    assert api.client.get(path).status_code == 200
