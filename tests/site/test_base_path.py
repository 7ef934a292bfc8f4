"""Under the product's base path only API routes answer: no way past a proxy's rule for `/admin` or `/metrics`."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import resolve

from cwconnect.core.middleware import BASE_PATH
from tests.support.routes import paths

pytestmark = pytest.mark.django_db
PATHS = sorted({path for path in paths() if not re.search(r"[\\(^$]", path)})


def is_api(path: str) -> bool:
    view = getattr(resolve(path).func, "cls", None)
    ours = ("instances.api.", "polling.api.", "cwconnect.site.openapi.document")
    return view is not None and view.__module__.startswith(ours)


def test_the_walk_finds_pages_admin_probes_and_the_api() -> None:
    assert {"/", "/app/signin", "/admin/login/", "/metrics", "/healthz", "/api/docs"} <= set(PATHS)
    api = {path for path in PATHS if is_api(path)}
    assert {"/instances", "/v1/events", "/api/schema", "/hubs/crm/contacts", "/contacts"} <= api


def test_every_api_route_answers_under_the_base_path() -> None:
    missing = []
    for path in filter(is_api, PATHS):
        cache.clear()  # failures of authentication would have the next one refused early
        if Client().options(BASE_PATH + path).status_code != (200 if path == "/api/schema" else 401):
            missing.append(path)
    assert missing == []


def test_nothing_else_does_whoever_asks() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("olga", password="a long enough password"))
    for path in (path for path in PATHS if not is_api(path)):
        for prefix in (BASE_PATH, BASE_PATH + "/", BASE_PATH * (1 if path == "/" else 2)):
            for method in ("get", "post", "options"):
                answer = getattr(client, method)(prefix + path)
                assert answer.status_code == 404, (method, prefix + path)
                assert answer.headers["Content-Type"] == "application/json", prefix + path
    assert client.get(f"{BASE_PATH}/static/admin/css/base.css").status_code == 404
    assert client.get("/admin/").status_code == 200
