"""No hub path becomes another one on its way to ConnectWise: what is closed by its path stays closed."""

from __future__ import annotations

from itertools import product

import pytest

from cwconnect.sandbox import SandboxServer
from instances.models import ApiUser, Instance
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db

# As they stand in the address, encoded once; the last part of each is what they would become.
ODD = [
    "company/../system/members",
    "company/%2e%2e/system/members",
    "company/contacts/..%2f..%2fsystem/members",
    "%2573ystem/members",
    "company/contacts%3fconditions=id=1",
    "company/contacts%23",
    "company/contacts%3b/x",
    "company%5c..%5csystem/members",
    "company/..%2f..%2f..%2fservices/system_io",
    "./system/members",
    "company/contacts%0d%0aX: 1",
    "company/contacts%00",
    "company/söystem",
    "s%C4%B1stem/members",
]
CLOSED = ["system/members", "SYSTEM/members", "/system//members", "system/members/1", "System/securityRoles"]


def test_an_odd_path_is_refused_and_nothing_is_asked(api: Api, sandbox: SandboxServer) -> None:
    auth = _may_write(api, sandbox)
    before = len(sandbox.store.requests)
    for method, path in product(("GET", "POST", "PUT", "PATCH", "DELETE"), ODD):
        answer = api(method, f"/hubs/crm/{path}", {"identifier": "x"} if method != "GET" else None, auth=auth)
        assert answer.status_code in (400, 404, 405), (method, path, answer.status_code, answer.content)
        assert len(sandbox.store.requests) == before, (method, path)


def test_system_is_closed_to_writes_in_any_spelling(api: Api, sandbox: SandboxServer) -> None:
    auth = _may_write(api, sandbox)
    before = len(sandbox.store.requests)
    for method, path in product(("POST", "PUT", "PATCH", "DELETE"), CLOSED):
        answer = api(method, f"/hubs/crm/{path}", {"identifier": "x"}, auth=auth)
        assert answer.status_code == 405, (method, path, answer.status_code, answer.content)
        assert len(sandbox.store.requests) == before, (method, path)


def _may_write(api: Api, sandbox: SandboxServer) -> str:
    created = api.create(sandbox.url)
    ApiUser.objects.update(writes_to_connectwise=True)
    Instance.objects.update(writes_enabled=True)
    return f"User {api.tenant.user_secret}, Element {created['token']}"
