"""The OpenAPI description: whole, valid, and with assets of our own."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client

from cwconnect.site.openapi.compatible import COMPATIBLE
from cwconnect.site.openapi.modern import MODERN
from tests.contract import assert_same_shape, sample


@pytest.fixture(scope="module")
def schema() -> Any:
    out = io.StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=out)
    return json.loads(out.getvalue())


def test_it_is_valid_and_no_route_is_left_out() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=io.StringIO())


def test_no_row_of_the_tables_is_without_a_route(schema: Any) -> None:
    described = {f"{method.upper()} {path}" for path, item in schema["paths"].items() for method in item}
    assert described == {*COMPATIBLE, *MODERN}


def test_the_compatible_and_the_modern_part_stand_apart(schema: Any) -> None:
    for path, item in schema["paths"].items():
        for operation in item.values():
            assert operation["tags"][0].startswith("v1: ") == path.startswith("/v1/")


def test_every_operation_tells_of_its_errors_in_the_one_body(schema: Any) -> None:
    for item in schema["paths"].values():
        for operation in item.values():
            failures = {status: each for status, each in operation["responses"].items() if status >= "400"}
            assert failures.keys() >= {"401", "406", "429"}
            for each in failures.values():
                assert each["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


def test_every_route_of_the_product_has_an_example_of_its_answer_and_of_its_body(schema: Any) -> None:
    for route, row in COMPATIBLE.items():
        method, path = route.split(" ")
        operation = schema["paths"][path][method.lower()]
        good = operation["responses"]["200"]
        assert "content" not in good or "example" in good["content"]["application/json"], route
        if row.body is not None:
            assert operation["requestBody"]["content"]["application/json"]["examples"], route


def test_the_examples_are_the_contracts_samples() -> None:
    instance = sample("instance")
    assert_same_shape(instance, COMPATIBLE["POST /instances"].example, open_at=[".configuration"])
    del instance["token"]
    for route in ("GET /instances/{id}", "PUT /instances/{id}", "PATCH /instances", "PUT /instances/enabled"):
        assert_same_shape(instance, COMPATIBLE[route].example, open_at=[".configuration"])
    for name, route in {
        "configuration_rows": "GET /instances/{id}/configuration",
        "history": "GET /instances/events",
        "analytics": "GET /instances/events/analytics",
    }.items():
        assert_same_shape(sample(name), COMPATIBLE[route].example)
    metadata = COMPATIBLE["GET /elements/{element}/metadata"].example
    assert_same_shape(sample("metadata"), metadata, open_at=[".events.polling"])


def test_the_two_bodies_of_the_contract_are_examples(schema: Any) -> None:
    content = schema["paths"]["/instances"]["post"]["requestBody"]["content"]["application/json"]
    assert content["examples"].keys() == {"plain", "with polling"}


def test_it_is_served_to_all(client: Client) -> None:
    answer = client.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    assert json.loads(answer.content)["openapi"] == "3.1.0"


def test_the_docs_take_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/api/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    script = client.get("/api/docs?script=").content.decode()
    assert "/api/schema" in script
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page.content.decode())
    assert len(addresses) >= 4
    assert all(address.startswith("/") for address in addresses)
    assert b"<style" not in page.content
    for address in addresses:
        if address.startswith("/static/"):
            assert finders.find(address.removeprefix("/static/"))
