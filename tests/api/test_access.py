"""Every route of the description, asked by those who may not: the table of answers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cwconnect.site.openapi.compatible import COMPATIBLE
from cwconnect.site.openapi.modern import MODERN
from instances.credentials.issuing import issue_secrets
from instances.models import Transformation
from polling.models import Replay, Verification
from tests.api.conftest import NOON, Watched
from tests.conftest import Tenant
from tests.support.api_caller import Api
from tests.support.rows import complete_copy

pytestmark = pytest.mark.django_db
ROUTES = sorted({**COMPATIBLE, **MODERN})
OF_AN_INSTANCE = re.compile(r"\{(id|instance)\}")
OWN = re.compile(
    r" /instances/(configuration|enabled|events|transformations)|(PUT|PATCH|DELETE) /instances$| /hubs/{hub}/{resource}"
    r"| (/hubs/{hub})?/(ping|objects)| /hubs/{hub}/bulk"
)
WAITING = "?where=channel%3D'webhook'%20and%20status%3D'queued'"
NOT_OF_AN_INSTANCE = re.compile(
    r" /(elements(?!.*\{id\})|notifications|v1/secrets|v1/deliveries|v1/events)|(GET|POST) /instances$"
    r"| /hubs(/keys|/\{hub\}(/elements)?)?$"
)


def ask(api: Api, route: str, watched: Watched, auth: str) -> Any:
    """Ask a route about `watched`, whoever asks."""
    method, path = route.split(" ")
    event = watched.changed(1)[0].pk
    names: dict[str, object] = {"id": watched.instance.pk, "instance": watched.instance.pk, "poll": watched.poll.pk}
    names["subscription"] = watched.instance.pk  # the first one
    replay = Replay.objects.create(instance=watched.instance, asked_at=NOON, what="all")
    verification = Verification.objects.create(resource_poll=watched.poll, asked_at=NOON, status="complete")
    names |= {
        "replay": replay.pk,
        "verification": verification.pk,
        "event": event,
        "eventId": event,
        "delivery": event,
        "secret": watched.tenant.user.pk,
    }
    mapped = {"vendor_name": "contacts", "fields": [{"path": "givenName", "vendorPath": "firstName"}]}
    Transformation.objects.get_or_create(mapped, instance=watched.instance, name="people")
    names |= {"element": "connectwisecrmrest", "key": "baseUrl", "hub": "crm", "resource": "contacts", "recordId": 1}
    names |= {"transformation": "people", "copy": complete_copy(watched.instance).pk}
    path = re.sub(r"\{(\w+)\}", lambda match: str(names.get(match[1], 1)), path)
    path += WAITING if path.startswith("/notifications/") else ""
    return api(method, path, {} if method in ("POST", "PUT", "PATCH") else None, auth=auth)


def test_the_table_knows_every_route() -> None:
    for route in ROUTES:
        kinds = [kind for kind in (OF_AN_INSTANCE, OWN, NOT_OF_AN_INSTANCE) if kind.search(route)]
        assert len(kinds) == 1, route


@pytest.mark.parametrize("route", ROUTES)
def test_without_credentials_every_route_is_401(api: Api, watched: Watched, route: str) -> None:
    answer = ask(api, route, watched, "")
    assert answer.status_code == 401
    assert set(answer.json()) == {"requestId", "message"}


@pytest.mark.parametrize("route", ROUTES)
def test_with_revoked_secrets_every_route_is_401(api: Api, watched: Watched, route: str) -> None:
    element = watched.auth
    issue_secrets(organization_name="Alpha", user_name="alice", rotate=True)
    assert ask(api, route, watched, api.tenant.auth).status_code == 401
    assert ask(api, route, watched, element).status_code == 401


@pytest.mark.parametrize("route", ROUTES)
def test_with_foreign_credentials_nothing_of_ours_is_found(
    api: Api, watched: Watched, other_tenant: Tenant, route: str
) -> None:
    answer = ask(api, route, watched, other_tenant.auth)
    if OF_AN_INSTANCE.search(route) or re.search(r"\{(event|delivery|secret|replay)\}", route):
        assert answer.status_code == 404
    elif OWN.search(route) and route != "GET /instances/events/analytics":
        assert answer.status_code == 400
    else:
        assert answer.status_code in (200, 201, 400)
    assert watched.instance.name.encode() not in answer.content
    assert b"Alpha" not in answer.content


@pytest.mark.parametrize("route", ROUTES)
def test_a_foreign_user_with_our_element_token_is_401(
    api: Api, watched: Watched, other_tenant: Tenant, route: str
) -> None:
    stolen = f"User {other_tenant.user_secret}, Element {watched.token}"
    assert ask(api, route, watched, stolen).status_code == 401


DISABLED = {
    "GET /hubs/{hub}/{resource}": 403,
    "POST /hubs/{hub}/{resource}": 403,
    **{f"{method} /hubs/{{hub}}/{{resource}}/{{recordId}}": 403 for method in ("GET", "PUT", "PATCH", "DELETE")},
    **{
        f"GET {below}/{what}": 403
        for below in ("", "/hubs/{hub}")
        for what in ("ping", "objects", "objects/{resource}/metadata")
    },
    "POST /hubs/{hub}/bulk/query": 403,
    "POST /v1/instances/{instance}/polls/{poll}/run": 409,
    "POST /v1/instances/{instance}/polls/{poll}/backfill": 409,
    "POST /v1/instances/{instance}/polls/{poll}/verifications": 409,
    "POST /v1/instances/{instance}/test-notification": 409,
}
BODIES = {
    "POST /v1/instances/{instance}/polls/{poll}/backfill": {"since": "2026-01-01T00:00:00Z"},
    "POST /v1/instances/{instance}/test-notification": {"resource": "contacts"},
}


@pytest.mark.parametrize("route", ROUTES)
def test_a_disabled_instance_is_read_and_changed_but_neither_polled_nor_notified(
    api: Api, watched: Watched, route: str
) -> None:
    api("DELETE", f"/instances/{watched.instance.pk}/enabled")
    auth = watched.auth if OWN.search(route) else api.tenant.auth
    method, path = route.split(" ")
    path = path.replace("{instance}", str(watched.instance.pk)).replace("{poll}", str(watched.poll.pk))
    answer = api(method, path, BODIES[route], auth=auth) if route in BODIES else ask(api, route, watched, auth)
    if route in DISABLED:
        assert answer.status_code == DISABLED[route], answer.content
    elif method == "GET":
        assert answer.status_code == 200, answer.content
    else:
        assert answer.status_code in (200, 201, 202, 204, 400, 409), answer.content
