"""The OpenAPI description as a page reads it: operations by tag, with parameters, bodies, answers and a line of curl.

Pure: a description in, frozen rows out. What the description says is shown, and nothing else: it is the one source.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.text import slugify

from cwconnect.core.openapi import Json
from cwconnect.site.guide.markdown import in_line
from cwconnect.site.openapi.schema_fields import Field, example_of, fields_of, in_words

RECEIVER = "{callback URL}"
"""With this begins the path of what receivers are sent."""
_ORDER = ("get", "post", "put", "patch", "delete")
_OWN = ("Authorization", "Content-Type")


@dataclass(frozen=True)
class Parameter:
    """A parameter of the path, the query or a header."""

    name: str
    place: str
    holds: str
    required: bool
    words: str


@dataclass(frozen=True)
class Example:
    """A body or an answer, as indented JSON."""

    name: str
    text: str


@dataclass(frozen=True)
class Answer:
    """What an operation answers: `fields` and `example` of a good one, `words` of any."""

    status: str
    words: str
    headers: tuple[str, ...]
    fields: tuple[Field, ...]
    example: str


@dataclass(frozen=True)
class Operation:
    """One operation. `curl` is a line to be completed by the service's own address, in front of `path`.

    It is empty of what a receiver is sent: nobody calls that here.
    """

    id: str
    method: str
    path: str
    summary: str
    words: str
    parameters: tuple[Parameter, ...]
    body_fields: tuple[Field, ...]
    body_required: bool
    bodies: tuple[Example, ...]
    good: tuple[Answer, ...]
    failures: tuple[Answer, ...]
    curl: tuple[str, str] | None

    @property
    def words_searched(self) -> str:
        """The words by which it is found, in small letters."""
        return f"{self.method} {self.path} {self.summary}".lower()


@dataclass(frozen=True)
class Tag:
    """Operations of a kind; `slug` is its part of an address."""

    slug: str
    name: str
    words: str
    operations: tuple[Operation, ...]


def tags_of(schema: Json) -> list[Tag]:
    """Return a description's operations by tag, in its own order; by path, then as methods are usually listed."""
    by_tag: dict[str, list[Operation]] = {tag["name"]: [] for tag in schema["tags"]}
    # The product's first spelling of a path stands before its second one, below /elements.
    for path, item in sorted(schema["paths"].items(), key=lambda pair: pair[0].startswith("/elements/")):
        for method in sorted(item, key=_ORDER.index):
            by_tag[item[method]["tags"][0]].append(_operation(method, path, item[method], schema))
    for form, item in schema.get("webhooks", {}).items():
        for method, given in item.items():
            by_tag[given["tags"][0]].append(_operation(method, f"{RECEIVER} as {form}", given, schema))
    words = {tag["name"]: tag["description"] for tag in schema["tags"]}
    return [Tag(slugify(name), name, words[name], tuple(found)) for name, found in by_tag.items()]


def _operation(method: str, path: str, given: Json, schema: Json) -> Operation:
    body = given.get("requestBody", {})
    contents = list(body.get("content", {}).values())
    bodies = tuple(example for content in contents for example in _bodies(content, schema))
    answers = [_answer(status, answer, schema) for status, answer in given["responses"].items()]
    summary, words = given["summary"], given.get("description", "")
    return Operation(
        id=given["operationId"],
        method=method.upper(),
        path=path,
        summary=summary,
        words="" if words.rstrip(".") == summary.rstrip(".") else in_line(words),
        parameters=tuple(_parameter(each) for each in given.get("parameters", ())),
        body_fields=tuple(fields_of(contents[0]["schema"], schema)) if contents else (),
        body_required=bool(body.get("required")),
        bodies=bodies,
        good=tuple(answer for answer in answers if answer.status < "400"),
        failures=tuple(answer for answer in answers if answer.status >= "400"),
        curl=None if path.startswith(RECEIVER) else _curl(method, path, given, bodies),
    )


def _parameter(given: Json) -> Parameter:
    place, required = given["in"], bool(given.get("required"))
    return Parameter(given["name"], place, in_words(given["schema"]), required, in_line(given.get("description", "")))


def _bodies(content: Json, schema: Json) -> tuple[Example, ...]:
    named = {name: example["value"] for name, example in content.get("examples", {}).items()}
    values = named or {"": example_of(content["schema"], schema)}
    return tuple(Example(name, _text(value)) for name, value in values.items())


def _answer(status: str, given: Json, schema: Json) -> Answer:
    """Read one answer; a failure's words are its message, since all of them have one form."""
    content = given.get("content", {}).get("application/json", {})
    headers = tuple(f"{name}: {header['description']}" for name, header in given.get("headers", {}).items())
    if status >= "400":
        return Answer(status, content.get("example", {}).get("message", given["description"]), headers, (), "")
    value = content.get("example", example_of(content["schema"], schema) if content else None)
    fields = tuple(fields_of(content.get("schema"), schema))
    return Answer(status, given["description"], headers, fields, _text(value) if content else "")


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _curl(method: str, path: str, given: Json, bodies: tuple[Example, ...]) -> tuple[str, str]:
    """Return a line of curl in two halves, what stands before the service's address and what after it."""
    words = ["curl"] + ([] if method == "get" else ["-X", method.upper()])
    words += ["-H", "Authorization: User YOUR_USER_SECRET, Organization YOUR_ORGANIZATION_SECRET"]
    if bodies:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(json.loads(bodies[0].text))]
    asked = "&".join(_needed(given.get("parameters", ())))
    return shlex.join(words) + " '", f"{path}{'?' if asked else ''}{asked}'"


def _needed(parameters: list[Mapping[str, Any]]) -> Iterator[str]:
    """Return the parameters of the query without which nothing is answered, with their examples."""
    for each in parameters:
        if each["in"] == "query" and each.get("required"):
            example = str(next(iter(each["schema"].get("examples", ())), "…"))
            yield f"{each['name']}={example}".replace("'", "%27").replace(" ", "%20")
