"""What a table of operations is made of, and how a row becomes an operation of OpenAPI 3.1."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel

Json = dict[str, Any]
Schema = Json | type[BaseModel]
Handler = TypeVar("Handler", bound=Callable[..., Any])
Refer = Callable[[type[BaseModel], str], Json]  # registers a model's schema and gives a reference to it

ERROR = {"$ref": "#/components/schemas/Error"}
_ALWAYS = (401, 403, 406, 429)
_WORDS = {
    400: "The request can't be understood, or not be done: the message says what is wrong.",
    401: "The Authorization header is missing or wrong.",
    403: "The API key or the Element token lacks the scope or is not good from this address, or it is not allowed.",
    404: "There is nothing of the kind in this organization.",
    405: "What is named takes other methods: see Allow.",
    406: "What Accept asks for is not answered: application/json is.",
    409: "What is there stands in the way.",
    413: "The body is longer than 1 MiB.",
    415: "The body must be application/json.",
    422: "The Idempotency-Key came with another request before.",
    429: "Too many failures of authentication or calls to the outside, or ConnectWise asks to wait; see Retry-After.",
    500: "ConnectWise could not be reached, or something went wrong in the service.",
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


@dataclass(frozen=True)
class Parameter:
    """A query parameter or a request header."""

    name: str
    schema: Json
    description: str = ""
    place: str = "query"
    required: bool = False

    def build(self) -> Json:
        """Return it as OpenAPI writes it."""
        built: Json = {"name": self.name, "in": self.place, "schema": self.schema}
        if self.schema.get("type") == "array":
            built |= {"style": "form", "explode": True}
        if self.required:
            built["required"] = True
        return built | ({"description": self.description} if self.description else {})


@dataclass(frozen=True)
class Operation:
    """One row: what a route does, what it takes and what it answers, beside the errors that all have."""

    tag: str
    summary: str
    answer: Schema | None = None
    status: int = 200
    query: Iterable[Parameter] | type[BaseModel] = ()
    body: Schema | None = None
    body_required: bool = True
    errors: Iterable[int] = ()
    paged: bool = False
    description: str = ""
    example: Any = None
    body_examples: Mapping[str, Any] = field(default_factory=dict)
    headers: Iterable[Parameter] = ()
    media: Iterable[str] = ()  # further types of the answer, by Accept
    also: Mapping[int, str] = field(default_factory=dict)  # further good answers of the same shape

    def build(self, method: str, path: str, refer: Refer, scope: str = "") -> Json:
        """Return the operation as OpenAPI writes it, with the scope that it takes."""
        built: Json = {
            "operationId": "_".join([method.lower(), *re.findall(r"[A-Za-z0-9]+", path)]),
            "summary": self.summary,
            "tags": [self.tag],
            "security": [{"secrets": []}],
        }
        built["description"] = self.description or f"{self.summary}."
        if scope:
            built["description"] += f" It takes the scope `{scope}`."
            built["x-scope"] = scope
        asked = _query_parameters(self.query) if isinstance(self.query, type) else self.query
        given = [parameter.build() for parameter in (*asked, *self.headers)]
        if parameters := [*_path_parameters(path), *given]:
            built["parameters"] = parameters
        if self.body is not None:
            content = {"schema": _schema(self.body, refer, "validation")}
            if self.body_examples:
                content["examples"] = {name: {"value": value} for name, value in self.body_examples.items()}
            built["requestBody"] = {"required": self.body_required, "content": {"application/json": content}}
        good = {self.status: self.summary, **self.also}
        built["responses"] = {str(status): self._success(words, refer) for status, words in good.items()}
        built["responses"] |= self._failures(path)
        return built

    def _success(self, words: str, refer: Refer) -> Json:
        built: Json = {"description": words, "headers": dict(_HEADERS)}
        if self.paged:
            built["headers"] |= _PAGE_HEADERS
        if self.answer is not None:
            content = {"schema": _schema(self.answer, refer, "serialization")}
            content |= {} if self.example is None else {"example": self.example}
            built["content"] = {"application/json": content}
            built["content"] |= {media: {"schema": {"type": "string"}} for media in self.media}
        return built

    def _failures(self, path: str) -> Json:
        statuses = {*_ALWAYS, *self.errors}
        statuses |= {404} if "{" in path else set()
        statuses |= {400} if self.query or self.body or self.paged else set()
        statuses |= {400, 415} if self.body else set()
        return {str(status): failure(status) for status in sorted(statuses)}


def described(operation: Operation) -> Callable[[Handler], Handler]:
    """Make the decorator that lets a view's method carry its own description."""

    def mark(handler: Handler) -> Handler:
        handler.__dict__["operation"] = operation
        return handler

    return mark


_HEADERS = {"Elements-Request-Id": {"description": "As in the log.", "schema": {"type": "string"}}}
_PAGE_HEADERS = {
    "Elements-Returned-Count": {"description": "How many rows there are here.", "schema": {"type": "integer"}},
    "Elements-Next-Page-Token": {
        "description": "The value of nextPage for the next page; absent on the last.",
        "schema": {"type": "string"},
    },
}


def failure(status: int) -> Json:
    """Return an error answer, in the one body that all have."""
    example = {"requestId": "5f3c1e0a9b8d7c6e5f4a3b2c", "message": _WORDS[status]}
    built: Json = {
        "description": HTTPStatus(status).phrase,
        "headers": dict(_HEADERS) | (_RETRY_AFTER if status == 429 else {}),
        "content": {"application/json": {"schema": ERROR, "example": example}},
    }
    return built


def _path_parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PATH.get(name, {"type": "string"})}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


_ID = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}
_PATH: Mapping[str, Json] = {
    **dict.fromkeys(
        (
            "id",
            "eventId",
            "recordId",
            "instance",
            "poll",
            "event",
            "delivery",
            "secret",
            "replay",
            "verification",
            "copy",
            "subscription",
        ),
        _ID,
    ),
    "element": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "examples": ["connectwisecrmrest"]},
    "key": {"type": "string", "pattern": "^[A-Za-z0-9._-]+$", "examples": ["event.poller.refresh_interval"]},
    "hub": {"type": "string", "minLength": 1, "examples": ["crm"]},
    "resource": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "examples": ["contacts"]},
}


def _query_parameters(model: type[BaseModel]) -> list[Parameter]:
    schema = model.model_json_schema(mode="validation")
    return [Parameter(name, _without_null(part)) for name, part in schema["properties"].items()]


# pydantic leaves its own words on a choice with null, where JSON Schema knows nothing of them.
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def _without_null(part: Json) -> Json:
    """Drop `null`, which no query can write, and name bounds as JSON Schema does."""
    kept: Json = {key: value for key, value in part.items() if key not in ("title", "anyOf") and value is not None}
    choices: list[Json] = [choice for choice in part.get("anyOf", ()) if choice != {"type": "null"}]
    kept |= choices[0] if choices else {}
    return {_LIMITS.get(key, key): value for key, value in kept.items()}


def body_schema(schema: Json) -> Json:
    """Return a body's schema as clients are made from it: what may be left out has no `null`, and its default in words.

    Generators send each field that may be null as null where it was not set, and openapi-typescript asks for each field
    that has a default.
    """
    return schema | {"properties": {name: _left_out(part) for name, part in schema.get("properties", {}).items()}}


def _left_out(part: Json) -> Json:
    kept = _without_null(part)
    default = kept.pop("default", None)
    return kept if default is None else kept | {"description": f"{json.dumps(default)} if left out."}


def _schema(schema: Schema, refer: Refer, mode: str) -> Json:
    return refer(schema, mode) if isinstance(schema, type) else schema
