"""The OpenAPI description: whole, valid, and with assets of our own."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types
from pytest_django import Settings

from cwconnect.site.openapi.compatible import COMPATIBLE
from cwconnect.site.openapi.document import _built, described_api
from cwconnect.site.openapi.modern import MODERN
from instances.models import Instance
from polling.delivery.delivery_request import REPLAY_HEADER
from polling.delivery.forms import Form, render, sent_of
from polling.delivery.signing import signature_headers
from polling.delivery.test_notification import TEST_HEADER
from polling.models import NewEvent
from tests.contract import assert_same_shape, sample

DOCS = Path(__file__).parents[2] / "docs"


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


def test_every_operation_describes_its_errors_in_the_one_body(schema: Any) -> None:
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


SENT = NewEvent(
    object_type="contacts",
    object_id="17",
    record_id=17,
    kind="UPDATED",
    occurred_at=datetime(2018, 7, 31, 19, 39, 46, tzinfo=UTC),
    polled_at=datetime(2018, 7, 31, 19, 40, 36, tzinfo=UTC),
    record='{"id":17,"firstName":"…","_info":{"lastUpdated":"2018-07-31T19:39:46Z"}}',
    changes='[{"field":"firstName","from":"Rut","to":"…"}]',
    id=35149,
)


def test_the_samples_of_notifications_are_what_is_sent(schema: Any, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://events.example.com"
    instance = Instance(id=523232, organization_id=81, created_by_id=2034, name="API_Polling", tags=["Test"])
    assert schema["webhooks"].keys() == set(Form.values)
    for form, item in schema["webhooks"].items():
        found = item["post"]["requestBody"]["content"]
        for media, content in found.items():
            validator = Draft202012Validator(content["schema"] | {"components": schema["components"]})
            for example in content["examples"].values():
                several = media == "application/cloudevents-batch+json"
                events = [SENT, replace(SENT, id=35150)] if several else [SENT]
                written = render(form, instance, [sent_of(e, form) for e in events], created_at=SENT.polled_at)
                assert (written.content_type or "application/json", json.loads(written.body)) == (
                    media,
                    example["value"],
                )
                validator.validate(example["value"])


def test_the_contract_prints_the_same_samples(schema: Any) -> None:
    section = (DOCS / "wire-contract.md").read_text().partition("\n### Forms\n")[2].partition("\n### ")[0]
    printed = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL)]
    described = [
        schema["webhooks"][form]["post"]["requestBody"]["content"][media]["examples"][name]["value"]
        for form, media, name in (
            ("cloudevents", "application/cloudevents+json", "one"),
            ("thin", "application/json", "thin"),
        )
    ]
    assert printed == described


def test_notifications_have_the_headers_that_are_sent(schema: Any) -> None:
    """And no others, but for the mark of a repeat and of a test, and what depends on a setting or on the sender."""
    sent = {*signature_headers(["a key"], "msg_1", 1, b""), REPLAY_HEADER, TEST_HEADER}
    always = {*signature_headers([], "msg_1", 1, b"")}
    for item in schema["webhooks"].values():
        headers = item["post"]["parameters"]
        assert {each["name"] for each in headers} == sent
        assert {each["name"] for each in headers if each["required"]} == always


def test_it_is_served_to_all(client: Client) -> None:
    answer = client.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    assert json.loads(answer.content)["openapi"] == "3.1.0"


def walk(node: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every object of the description outside of examples, and where it stands."""
    if isinstance(node, dict):
        yield at, node
        for key, value in node.items():
            if key not in ("example", "examples"):
                yield from walk(value, f"{at}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from walk(value, f"{at}/{number}")


def test_every_array_says_what_it_holds_and_bounds_have_the_standards_names(schema: Any) -> None:
    for at, node in walk(schema):
        kinds = node.get("type", ())
        if "array" in (kinds if isinstance(kinds, list) else [kinds]):
            assert "items" in node, at
        assert not {"ge", "gt", "le", "lt"} & node.keys(), at


def test_every_object_says_what_may_stand_in_it(schema: Any) -> None:
    """Without a word, openapi-typescript takes an object for one that holds nothing."""
    for at, node in walk(schema["components"]["schemas"]):
        if node.get("type") == "object":
            assert {"properties", "additionalProperties"} & node.keys(), at


def test_what_a_body_may_leave_out_is_neither_null_nor_a_default(schema: Any) -> None:
    """Generated clients send null for what may be null, and openapi-typescript wants what has a default."""
    bodies = set()
    for _, operation in walk(schema["paths"]):
        if "requestBody" in operation:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            bodies.add(reference.rpartition("/")[2])
    assert bodies >= {"InstanceBody", "PropertyValue", "ReplayRequest", "PollChange"}
    for body in bodies:
        for name, part in schema["components"]["schemas"][body]["properties"].items():
            assert "default" not in part, (body, name)
            assert "null" not in json.dumps(part), (body, name)


def test_the_examples_of_the_modern_part_have_the_keys_of_their_answers() -> None:
    for route, row in MODERN.items():
        if isinstance(row.answer, type) and row.example is not None:
            row.answer.model_validate(row.example)
            assert row.answer.model_fields.keys() == row.example.keys(), route


def test_bounds_of_pages_are_described(schema: Any) -> None:
    parameters = schema["paths"]["/v1/events"]["get"]["parameters"]
    limit = next(each["schema"] for each in parameters if each["name"] == "limit")
    assert (limit["minimum"], limit["maximum"]) == (1, 1000)


def test_tags_and_operations_are_described_and_somebody_can_be_asked(schema: Any) -> None:
    assert schema["info"]["contact"]["name"]
    assert all(tag["description"] for tag in schema["tags"])
    for item in schema["paths"].values():
        assert all(operation["description"] for operation in item.values())


@pytest.mark.parametrize("kind", ["application/vnd.oai.openapi", "application/vnd.oai.openapi+json"])
def test_it_is_built_once_and_sent_only_where_it_has_changed(client: Client, kind: str) -> None:
    with patch.object(SchemaGenerator, "get_schema", side_effect=AssertionError("built again")) as built:
        _built.cache_clear()
        described_api.cache_clear()
        built.side_effect = [{"openapi": "3.1.0"}]
        plain = client.get("/api/schema", headers={"Accept": kind})
        packed = client.get("/api/schema", headers={"Accept": kind, "Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.content) == plain.content
        assert plain.headers["ETag"] != packed.headers["ETag"]
        same = client.get("/api/schema", headers={"Accept": kind, "If-None-Match": plain.headers["ETag"]})
        assert (same.status_code, same.content) == (304, b"")
        assert built.call_count == 1
    _built.cache_clear()
    described_api.cache_clear()
