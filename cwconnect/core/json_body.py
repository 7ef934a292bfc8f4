"""Request bodies as JSON, bounded: 2 MB, 50 levels, and no text that a database would refuse.

REST framework's own parser lets nesting run into RecursionError, and NUL or lone surrogates into the database.
"""

from __future__ import annotations

import json
from typing import IO, Any, NoReturn

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

LONGEST_BODY = 2 * 1024 * 1024
DEEPEST = 50
# What the decoder says, in words for whoever wrote the text by hand; all are about the place that it names.
_WORDS = {
    "Expecting property name enclosed in double quotes": "a name in double quotes is expected here",
    "Expecting ':' delimiter": "a colon is expected here",
    "Expecting ',' delimiter": "a comma or a closing bracket is expected here",
    "Expecting value": "a value is expected here",
    "Unterminated string starting at": "the text that begins here has no closing quote",
    "Invalid control character at": "a line break or another control character stands within a text here",
    "Extra data": "something follows here after the end",
    "Invalid \\escape": "the backslash here begins nothing that JSON knows",
    "Invalid \\uXXXX escape": "the backslash here begins nothing that JSON knows",
}


class UnreadableJSONError(ParseError):
    """A text that is no JSON: `place` says where and why, to follow "no valid JSON at"."""

    def __init__(self, error: json.JSONDecodeError) -> None:
        super().__init__(f"The body is no valid JSON: {error}.")
        words = _WORDS.get(error.msg, error.msg[:1].lower() + error.msg[1:])
        self.place = f"line {error.lineno}, column {error.colno}: {words}"


class BoundedJSONParser(BaseParser):
    """Reads `application/json` within the bounds above; anything else is a 400 that says what is wrong."""

    media_type = "application/json"
    longest = LONGEST_BODY

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the body's value; ParseError."""
        body = stream.read(self.longest + 1)
        if len(body) > self.longest:
            raise self.too_long()
        return read_json(body)

    def too_long(self) -> APIException:
        """Return the refusal of a body that is longer than `longest`."""
        return ParseError(f"The body is longer than {self.longest:,} bytes.")


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text in UTF-8; ParseError for anything out of bounds."""
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ParseError("The body is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise UnreadableJSONError(error) from None
    except ValueError as error:
        raise ParseError(f"The body is no valid JSON: {error}.") from None
    _check(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _check(value: Any) -> None:
    """Walk level by level, so that the depth is bounded by a loop and not by the stack."""
    level = [value]
    for _ in range(DEEPEST):
        for item in level:
            _check_text(item)
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise ParseError("The body is nested too deeply.")


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    return item if isinstance(item, list) else []


def _check_text(item: Any) -> None:
    if not isinstance(item, str):
        return
    if "\x00" in item:
        raise ParseError("The body holds a NUL character.")
    try:
        item.encode()
    except UnicodeEncodeError:
        raise ParseError("The body holds half of a surrogate pair, which is no character.") from None
