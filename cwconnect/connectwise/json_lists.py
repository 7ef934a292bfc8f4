"""A page of records read element by element, so that one that is no clean JSON does not hold up the others. Pure.

Real sites send raw control characters, bytes that are not UTF-8 and numbers that JSON has no words for. The array is
cut at its own commas, which needs no element to be sound: only its quotes and brackets have to match. A page that does
not come to its closing bracket is no page, since nobody knows what was cut off.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

LARGEST_ID = 2**63 - 1
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]', re.DOTALL)
_NEXT_ELEMENT = re.compile(rb"\}\s*,\s*\{")
_ID = re.compile(rb"\s*:\s*(\d{1,19})\s*[,}]")


class JsonError(ValueError):
    """A text that is no JSON, or nested too deeply."""


@dataclass(frozen=True)
class Unreadable:
    """An element of a list that is no JSON: its id, where that can be made out, and why in words."""

    record_id: int | None
    reason: str


@dataclass(frozen=True)
class Mended:
    """An element that was read although it is no clean JSON: raw control characters, or bytes that are not UTF-8."""

    value: Any


def parse_elements(body: bytes) -> list[Any]:
    """Read an array; what is no clean JSON in it becomes `Mended` or `Unreadable`, and its neighbours stay as they are.

    Raises `JsonError` for what is no whole array.
    """
    text = as_utf8(body).strip()
    if not text.startswith(b"["):
        raise JsonError("It is no list.")
    return [_element(piece) for piece in _pieces(text)]


def as_utf8(body: bytes) -> bytes:
    """Return a JSON text in UTF-8 without a byte order mark, in whichever form of Unicode it came (RFC 4627, 3)."""
    encoding = json.detect_encoding(body)
    if not encoding.startswith("utf-8"):
        try:
            return body.decode(encoding).lstrip("\ufeff").encode(errors="surrogatepass")
        except UnicodeDecodeError as error:
            raise JsonError(f"It is no {encoding}: {error.reason}.") from None
    return body.removeprefix(codecs.BOM_UTF8)


def parse_text(text: str, *, strict: bool = True) -> Any:
    """Read JSON that orjson refuses: half surrogate pairs become U+FFFD; raw control characters too unless `strict`."""
    try:
        return _repaired(json.loads(text, strict=strict, parse_constant=_refuse, parse_float=_finite))
    except (ValueError, RecursionError) as error:
        raise JsonError(f"It is no JSON that can be read: {str(error)[:100]}") from None


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut an array at the commas of its own depth."""
    depth, start = 0, 1
    for match in _TOKENS.finditer(text):
        token = match.group()
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
            if depth == 0:
                if match.end() != len(text):
                    raise JsonError("Something follows its end.")
                if text[start : match.start()].strip() or start > 1:
                    yield text[start : match.start()]
                return
        elif token == b"," and depth == 1:
            yield text[start : match.start()]
            start = match.end()
    raise JsonError("It has no end.")


def _element(piece: bytes) -> Any:
    try:
        return orjson.loads(piece)
    except orjson.JSONDecodeError as error:
        first = str(error)
    try:
        return parse_text(piece.decode())
    except (JsonError, UnicodeDecodeError):
        pass  # no clean JSON: what can be made of it follows
    try:
        return Mended(parse_text(piece.decode(errors="replace"), strict=False))
    except JsonError:
        _refuse_if_ambiguous(piece)
        return Unreadable(_id_of(piece), first[:100])


def _refuse_if_ambiguous(piece: bytes) -> None:
    """Raise `JsonError` where stray quotes may have made one element of several, which would be lost unnamed."""
    texts = [match.group() for match in _TOKENS.finditer(piece) if match.group().startswith(b'"')]
    if b'"' in _TOKENS.sub(b"", piece) or any(_NEXT_ELEMENT.search(text) for text in texts):
        raise JsonError("Its quotes don't match, so nobody knows where an element ends.")


def _id_of(piece: bytes) -> int | None:
    """Make out the id of a record that can't be read: the one member of that name at its own depth."""
    depth, found = 0, None
    for match in _TOKENS.finditer(piece):
        token = match.group()
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
        elif depth == 1 and token == b'"id"' and (number := _ID.match(piece, match.end())):
            found = int(number[1])
    return found if found is not None and 0 < found <= LARGEST_ID else None


def _refuse(name: str) -> None:
    raise JsonError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonError("a number is too large")
    return value


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_repaired(item) for item in value]
    if isinstance(value, dict):
        return {_repaired(key): _repaired(item) for key, item in value.items()}
    return value
