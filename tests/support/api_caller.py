"""A caller of the REST API, and a small sandbox to connect to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from cwconnect.sandbox import SandboxServer
from tests.conftest import Tenant
from tests.seed import example_body
from tests.support.sandboxes import start_sandbox


class Api:
    """The REST API as one tenant calls it."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.client = Client(raise_request_exception=False)

    def __call__(self, method: str, path: str, body: Any = None, *, auth: str | None = None) -> Any:
        """Send one request; a body that is no text is sent as JSON."""
        data = "" if body is None else body if isinstance(body, str | bytes) else json.dumps(body)
        headers = {"Authorization": self.tenant.auth if auth is None else auth}
        return self.client.generic(method, path, data, content_type="application/json", headers=headers)

    def create(self, base_url: str, **configuration: Any) -> dict[str, Any]:
        """Create an instance from the seed's example, and give the answer."""
        answer = self("POST", "/instances", example_body(base_url, **configuration))
        assert answer.status_code == 200, answer.content
        created: dict[str, Any] = answer.json()
        return created


@pytest.fixture
def small_sandbox(settings: Settings) -> Iterator[SandboxServer]:
    settings.CONNECTWISE_CLIENT_ID = "a-client-id"
    with start_sandbox(records={"contacts": 30, "organizations": 5, "incidents": 7}) as server:
        yield server


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return Api(tenant)


@pytest.fixture
def other_api(other_tenant: Tenant) -> Api:
    return Api(other_tenant)
