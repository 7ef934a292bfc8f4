"""What a stranger can have the service do: without credentials no route costs much more than a page of text."""

from __future__ import annotations

import time

import pytest
from django.core.cache import cache
from django.test import Client

from cwconnect.core.paths import is_page
from tests.support.routes import paths

pytestmark = pytest.mark.django_db
TEXT_PAGE = "/admin/login/"
MOST = 6  # pages of text: a time varies by a factor of three on a busy machine, the schema built anew is 25 and 50
# Their figures are read from the database each time. CWCONNECT_METRICS_TOKEN keeps strangers from the one; the other
# asks the heads of sixteen indexes, and must say how the service is at this moment.
PROBES = {"/metrics": 4, "/readyz": 2}
FORMS = {"/api/schema": ("application/vnd.oai.openapi", "application/vnd.oai.openapi+json")}


def cost(client: Client, path: str, accept: str) -> float:
    """Return the processor seconds of one anonymous GET, the least of three, after one that may fill caches."""
    spent = []
    for _ in range(4):
        cache.clear()  # failures of authentication would have the next one refused early
        began = time.process_time()
        answer = client.get(path, headers={"Accept": accept})
        spent.append(time.process_time() - began)
        assert answer.status_code != 500, path  # 503 of /readyz: no worker is there
    return min(spent[1:])


def test_no_route_costs_more_without_credentials_than_a_few_pages_of_text() -> None:
    client = Client()
    bound = MOST * cost(client, TEXT_PAGE, "text/html")
    visited = sorted(set(paths()))
    assert {"/", "/healthz", "/metrics", "/api/docs", "/instances/1", "/contacts", "/v1/events"} <= set(visited)
    costs = {
        (path, accept): cost(client, path, accept)
        for path in visited
        for accept in FORMS.get(path, ("text/html" if is_page(path) or path == "/api/docs" else "application/json",))
    }
    assert {route: spent for route, spent in costs.items() if spent > bound * PROBES.get(route[0], 1)} == {}
