"""The API reference: all of the description is on its pages, and nothing comes from elsewhere."""

from __future__ import annotations

import html
import json
import re
import shlex
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

from cwconnect.site.openapi.compatible import COMPATIBLE
from cwconnect.site.openapi.document import described_api
from cwconnect.site.openapi.modern import MODERN
from cwconnect.site.openapi.reference import Operation, Tag, tags_of
from cwconnect.site.openapi.schema_fields import example_of, fields_of, in_words
from tests.pages.conftest import sign_in

pytestmark = pytest.mark.django_db
TAGS = tags_of(described_api())
SENT = {each["post"]["operationId"]: each["post"] for each in described_api()["webhooks"].values()}
OPERATIONS = [operation for tag in TAGS for operation in tag.operations if operation.id not in SENT]
ADDRESS = "http://testserver"


def test_every_operation_is_listed_and_leads_to_its_page(client: Client) -> None:
    index = client.get("/api/docs").content.decode()
    assert {f"{each.method} {each.path}" for each in OPERATIONS} == {*COMPATIBLE, *MODERN}
    for tag in TAGS:
        page = client.get(f"/api/docs/{tag.slug}").content.decode()
        for operation in tag.operations:
            assert f'href="/api/docs/{tag.slug}#{operation.id}"' in index
            assert f'<h2 id="{operation.id}">' in page
    assert client.get("/api/docs/nothing").status_code == 404


@pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag.slug)
def test_a_page_has_all_that_the_description_says(client: Client, tag: Tag) -> None:
    page = html.unescape(client.get(f"/api/docs/{tag.slug}").content.decode())
    for operation in tag.operations:
        described = SENT.get(operation.id) or described_api()["paths"][operation.path][operation.method.lower()]
        assert described["summary"] in page
        for name in (each["name"] for each in described.get("parameters", ())):
            assert f"<code>{name}</code>" in page
        shown = {answer.status for answer in (*operation.good, *operation.failures)}
        assert shown == described["responses"].keys()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_the_line_of_curl_is_one(operation: Operation) -> None:
    assert operation.curl is not None
    before, after = operation.curl
    words = shlex.split(f"{before}{ADDRESS}{after}")
    assert words[0] == "curl"
    assert words[-1].partition("?")[0] == ADDRESS + operation.path
    assert ("-X" in words) == (operation.method != "GET")
    if operation.bodies:
        assert json.loads(words[words.index("-d") + 1]) == json.loads(operation.bodies[0].text)


@pytest.mark.parametrize("name", sorted({*described_api()["components"]["schemas"]} - {"Error"}))  # that one is written
def test_an_example_that_nobody_wrote_is_one(name: str) -> None:
    reference = {"$ref": f"#/components/schemas/{name}"}
    made = example_of(reference, described_api())
    Draft202012Validator(reference | {"components": described_api()["components"]}).validate(made)


def test_nothing_is_taken_from_elsewhere(client: Client) -> None:
    for path in ("/api/docs", *(f"/api/docs/{tag.slug}" for tag in TAGS)):
        page = client.get(path)
        assert page.headers["Content-Type"].startswith("text/html")
        text = page.content.decode()
        addresses = re.findall(r'(?:src|href)="([^"]*)"', text)
        assert all(address.startswith(("/", "#")) for address in addresses)
        assert "<style" not in text
        assert all(finders.find(each.removeprefix("/static/")) for each in addresses if each.startswith("/static/"))


def test_people_keep_their_bar_and_strangers_see_no_link_that_needs_a_sign_in(client: Client, tenant: Any) -> None:
    assert 'href="/app/help"' not in client.get("/api/docs").content.decode()
    page = sign_in("olga", tenant.organization).get("/api/docs").content.decode()
    assert 'href="/app/help"' in page
    assert tenant.organization.name in page


def test_each_address_has_its_own_lines_of_curl(client: Client, settings: Any) -> None:
    assert f"{ADDRESS}/v1/events" in client.get("/api/docs/v1-events").content.decode()
    settings.PUBLIC_URL = "https://events.example.com/"
    assert "https://events.example.com/v1/events" in client.get("/api/docs/v1-events").content.decode()


def test_what_receivers_are_sent_is_there_with_a_sample_of_each_form_and_nothing_to_call(client: Client) -> None:
    page = html.unescape(client.get("/api/docs/notifications").content.decode())
    (tag,) = [tag for tag in TAGS if tag.slug == "notifications"]
    assert [operation.id for operation in tag.operations] == list(SENT)
    for operation in tag.operations:
        samples = [example["value"] for each in contents(operation.id) for example in each["examples"].values()]
        assert [json.loads(body.text) for body in operation.bodies] == samples
        assert all(body.text in page for body in operation.bodies)
    assert "curl" not in page.partition("<main")[2]


def contents(operation: str) -> list[Any]:
    return list(SENT[operation]["requestBody"]["content"].values())


SCHEMA = {"components": {"schemas": {"Part": {"type": "object", "properties": {"id": {"type": "integer"}}}}}}
NULL = {"type": "null"}
REFERENCE = {"$ref": "#/components/schemas/Part"}


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({}, "any"),
        ({"type": ["string", "null"]}, "string or null"),
        (
            {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
            "integer, from 1, to 1,000, 100 if left out",
        ),
        ({"type": "integer", "maximum": 2**63 - 1}, "integer"),
        ({"type": "array", "items": REFERENCE, "maxItems": 3}, "list of object, 3 at most"),
        ({"type": "string", "enum": ["A", "B"]}, "one of A, B"),
        ({"anyOf": [{"type": "string", "format": "date-time"}, NULL]}, "date and time or null"),
    ],
)
def test_what_a_value_may_be_is_said_in_words(part: dict[str, Any], words: str) -> None:
    assert in_words(part) == words


def test_fields_of_inner_objects_follow_them() -> None:
    part: dict[str, Any] = {
        "type": "object",
        "required": ["one"],
        "properties": {
            "one": REFERENCE,
            "many": {"type": "array", "items": REFERENCE},
            "no": {"anyOf": [REFERENCE, NULL]},
        },
    }
    found = [(field.name, field.holds, field.required) for field in fields_of(part, SCHEMA)]
    assert found == [
        ("one", "object", True),
        ("one.id", "integer", False),
        ("many", "list of object", False),
        ("many[].id", "integer", False),
        ("no", "object or null", False),
        ("no.id", "integer", False),
    ]
