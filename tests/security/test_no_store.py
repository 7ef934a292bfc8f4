"""Whatever carries data is kept by nobody: every route, its errors and redirects say `Cache-Control: no-store`."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.urls import reverse

from cwconnect.sandbox import SandboxServer
from instances.models import Membership, Role
from tests.api.test_table_of_answers import OF_THE_TOKEN, ROUTES, ExampleRows
from tests.conftest import Tenant
from tests.support.api_caller import Api
from tests.support.routes import pages

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(tenant: Tenant, sandbox: SandboxServer) -> ExampleRows:
    return ExampleRows(tenant, sandbox)


class Listening(Api):
    """An API whose answers' headers are kept."""

    heard: dict[str, str]

    def __call__(self, method: str, path: str, body: Any = None, *, auth: str | None = None) -> Any:
        """Send one request, and note what its answer says of being kept."""
        answer = super().__call__(method, path, body, auth=auth)
        self.heard[f"{method} {path}"] = answer.headers.get("Cache-Control", "")
        return answer


@pytest.mark.parametrize("wrong", [False, True])
def test_no_answer_of_the_api_is_kept(world: ExampleRows, tenant: Tenant, wrong: bool) -> None:
    api = Listening(tenant)
    api.heard = {}
    for route in ROUTES:
        cache.clear()
        with transaction.atomic():
            world.ask(
                api, route, "wrong" if wrong else world.watched.auth if OF_THE_TOKEN.search(route) else tenant.auth
            )
            transaction.set_rollback(True)
    assert len(api.heard) > 50
    assert {path: header for path, header in api.heard.items() if "no-store" not in header} == {}


def test_no_page_is_kept(world: ExampleRows, tenant: Tenant) -> None:
    account = User.objects.create_superuser("olga")
    Membership.objects.create(account=account, organization=tenant.organization, role=Role.OPERATOR)
    signed_in, stranger = Client(raise_request_exception=False), Client()
    signed_in.force_login(account)
    values = {"number": world.watched.instance.pk, "poll": world.watched.poll.pk, "name": "contacts"}
    values |= {"document": "receivers", "resource": "contacts", "pk": 1, "copy": world.arguments["copy"]}
    values["subscription"] = world.arguments["subscription"]
    kept = {}
    for name, pattern in pages():
        url = reverse(name, kwargs={each: values[each] for each in pattern.pattern.converters})
        for client in (signed_in, stranger):
            header = client.get(url).headers.get("Cache-Control", "")
            if "no-store" not in header:
                kept[url] = header
    assert kept == {}


def test_no_page_of_the_admin_is_kept() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("olga"))
    urls = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
    ]
    answers = {url: client.get(url) for url in [reverse("admin:index"), *urls]}
    assert {url for url, answer in answers.items() if answer.status_code != 200} == set()
    assert {url for url, answer in answers.items() if "no-store" not in answer.headers["Cache-Control"]} == set()


@pytest.mark.parametrize("path", ["/nothing/here", "/app/nothing", "/admin/login/", "/metrics", "/healthz", "/readyz"])
def test_neither_are_errors_probes_and_redirects(path: str) -> None:
    assert "no-store" in Client(raise_request_exception=False).get(path).headers["Cache-Control"]


def test_the_description_of_the_api_may_be_kept_and_is_asked_about() -> None:
    answer = Client().get("/api/schema")
    assert answer.headers["Cache-Control"] == "no-cache"
    again = Client().get("/api/schema", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
