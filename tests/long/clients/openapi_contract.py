"""Hold the sandbox's answers against ConnectWise's own OpenAPI description, as a contract proxy would.

The description is ConnectWise's and does not stand here; partners find it at developer.connectwise.com (*Products* →
*PSA* → *REST* → *OpenAPI*), as JSON. With the development environment:

    python -m tests.long.clients.openapi_contract All.json

Each list of the catalogue, and every list beneath its first record, is asked for as a page and as one record.
Violations are members of another type, format or word than described, required ones that are missing, and members that
the description does not know. The exit code is 0 where there are none.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # has no types

from cwconnect.sandbox import CATALOGUE, SandboxServer

LOGIN = {"Authorization": f"Basic {base64.b64encode(b'acme+PUB:PRIV').decode()}", "clientId": "of a script"}
# Where sites answer otherwise than the description of 2022 says.
OTHERWISE = (
    ("", "('recordType' was unexpected)"),  # of project tickets, as in the callbacks of real sites
    ("customFields", "is not of type 'object'"),  # texts and numbers, in all recorded answers
    ("", "('connectWiseID' was unexpected)"),  # of callbacks, as sites of today list them
    ("", "('dateEntered' was unexpected)"),  # of expense entries, as sites of today have it
)
Schema = dict[str, Any]


def main(path: str) -> int:
    """Check all, print what is wrong, and return the exit code."""
    description: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    records = {spec.name: 20 for spec in CATALOGUE}
    with SandboxServer(records=records) as sandbox, requests.Session() as session:
        session.headers.update(LOGIN)
        checked = wrong = 0
        for list_path in paths_to_ask(description):
            url = sandbox.url + list_path.replace("{id}", "1")
            for violation in violations(session, url, model_of(description, list_path), description):
                print(f"{list_path}: {violation}")
                wrong += 1
            checked += 1
    print(f"{checked} lists, {wrong} violations.")
    return 1 if wrong or not checked else 0


def paths_to_ask(description: Mapping[str, Any]) -> list[str]:
    """Return the catalogue's lists and those beneath its records, as the description has them; a parent is `{id}`."""
    ours = {spec.path.lower() for spec in CATALOGUE}
    found = {as_asked(path) for path in description["paths"] if model_of(description, path)}
    return sorted(path for path in found if path.lower().partition("/{id}/")[0] in ours and path.count("{id}") < 2)


def as_asked(path: str) -> str:
    """Return a path with one name for every parent's id."""
    return path.replace("{parentId}", "{id}")


def model_of(description: Mapping[str, Any], path: str) -> Schema | None:
    """Return the schema of a list's records; None for what is no list."""
    paths = description["paths"]
    route = paths.get(path) or paths.get(path.replace("{id}", "{parentId}")) or {}
    if path.endswith(("/info", "/usages", "/usages/list")) or "/info/" in path or "get" not in route:
        return None
    content = route["get"]["responses"].get("200", {}).get("content", {})
    first: Schema = next(iter(content.values()), {"schema": {}})
    schema: Schema = first["schema"]
    items: Schema = schema.get("items", {}) if schema.get("type") == "array" else {}
    named = description["components"]["schemas"].get(items.get("$ref", "").rpartition("/")[2], {})
    return items if "id" in named.get("properties", {}) else None  # without one, it is no list of records


def violations(
    session: requests.Session, url: str, model: Schema | None, description: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what is wrong with a list's page and with its first record."""
    answer = session.get(url, params={"pageSize": 5})
    if answer.status_code != 200:
        yield f"{answer.status_code} {answer.text[:100]}"
        return
    page = answer.json()
    if not page and session.post(url, json={"id": 1}).ok:  # nothing is attached at the start
        page = session.get(url, params={"pageSize": 5}).json()
    if not page:
        yield "no record"
        return
    one = session.get(f"{url}/{page[0]['id']}").json()
    schema = read_as_json_schema(model) | {"components": read_as_json_schema(description["components"])}
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    for record in (*page, one):
        for error in validator.iter_errors(record):
            where = "/".join(map(str, error.absolute_path))
            if not any(where.startswith(start) and error.message.endswith(end) for start, end in OTHERWISE):
                yield f"{where}: {error.message[:150]}"


def read_as_json_schema(schema: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema: `nullable` as a type, and no members but those named."""
    if isinstance(schema, list):
        return [read_as_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: read_as_json_schema(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        made.setdefault("additionalProperties", False)
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
