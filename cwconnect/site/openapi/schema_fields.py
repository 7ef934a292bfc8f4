"""A JSON Schema as rows of fields in words, and as an example where nobody wrote one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cwconnect.core.openapi import Json
from cwconnect.site.guide.markdown import in_line

_DEEPEST, _DEEPEST_EXAMPLE = 4, 6
_OF_FORMAT = {"date-time": "2018-07-31T19:40:36Z", "uri": "https://example.com/"}
_OF_TYPE: dict[str, Any] = {"string": "…", "integer": 1, "number": 1.0, "boolean": True, "null": None}
_FORMS = {"date-time": "date and time", "uri": "URL"}
_NULL = {"type": "null"}
_LIMITS = {
    "minimum": "from {}",
    "maximum": "to {}",
    "minLength": "{} characters at least",
    "maxLength": "{} characters at most",
    "maxItems": "{} at most",
}
_HUGE = 10**15  # bounds of the database's integers say nothing to a reader


@dataclass(frozen=True)
class Field:
    """A field by its dotted name, `[]` where a list holds it: what it holds, and what the description says of it."""

    name: str
    holds: str
    required: bool
    words: str


def fields_of(part: Json | None, schema: Json, before: str = "", depth: int = 0) -> Iterator[Field]:
    """Return the fields that stand in a part of a description, those of inner objects right after them."""
    if part is None or depth == _DEEPEST:
        return
    found = _resolved(part, schema)
    if "items" in found:
        yield from fields_of(found["items"], schema, f"{before}[]", depth + 1)
    for name, inner in found.get("properties", {}).items():
        shown = _resolved(inner, schema)
        path = f"{before}.{name}" if before else name
        words = inner.get("description", shown.get("description", ""))
        null = " or null" if _NULL in inner.get("anyOf", ()) else ""
        yield Field(path, in_words(shown) + null, name in found.get("required", ()), in_line(words))
        yield from fields_of(shown, schema, path, depth + 1)


def in_words(part: Json) -> str:
    """Say what a value may be: its type, its choices, its bounds, what it is when left out."""
    kind = part.get("type", "any")
    base = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if "$ref" in part:
        base = "object"
    elif "anyOf" in part:
        base = " or ".join(in_words(each) for each in part["anyOf"])
    elif "enum" in part:
        base = "one of " + ", ".join(map(str, part["enum"]))
    elif kind == "array":
        base = f"list of {in_words(part.get('items', {}))}"
    elif "format" in part:
        base = _FORMS.get(part["format"], base)
    limits = [
        words.format(f"{part[name]:,}")
        for name, words in _LIMITS.items()
        if isinstance(part.get(name), int) and abs(part[name]) < _HUGE
    ]
    default = [f"{part['default']!s} if left out"] if part.get("default") not in (None, "") else []
    return ", ".join([base, *limits, *default])


def example_of(part: Json, schema: Json, depth: int = 0) -> Any:
    """Make a value that a part of a description allows, by its own examples where it has some."""
    found = _resolved(part, schema)
    for given in ("example", "default", "const"):
        if given in found:
            return found[given]
    for given in ("examples", "enum"):
        if given in found:
            return next(iter(found[given]), None)
    kind = found.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        return [] if depth > _DEEPEST_EXAMPLE else [example_of(found.get("items", {}), schema, depth + 1)]
    if kind == "object" or "properties" in found:
        inner = {} if depth > _DEEPEST_EXAMPLE else found.get("properties", {})
        return {name: example_of(each, schema, depth + 1) for name, each in inner.items()}
    return _OF_FORMAT.get(found.get("format", ""), _OF_TYPE.get(str(kind)))


def _resolved(part: Json, schema: Json) -> Json:
    """Follow references, and take the first choice that is not null; both keep what stands beside them."""
    beside = {name: value for name, value in part.items() if name not in ("$ref", "anyOf", "allOf")}
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return {**_resolved(schema["components"]["schemas"][name], schema), **beside}
    choices = [each for each in part.get("anyOf") or part.get("allOf") or () if each != _NULL]
    return {**_resolved(choices[0], schema), **beside} if choices else part
