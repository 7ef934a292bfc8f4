"""A page of records read element by element, so that one that is no clean JSON does not hold up the others. Pure.

Real sites send raw control characters, bytes that are not UTF-8 and numbers that JSON has no words for. The array is
cut at its own commas, which needs no element to be sound: only its quotes and brackets have to match. Where they don't,
nobody knows where an element ends, nor, without the closing bracket, what was cut off: `BrokenListError`. One that was
not cut off can be asked for in smaller pieces (isolation.py).
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
_END = re.compile(rb"\}\s*\]\Z")
_OPENING = {b"]": b"[", b"}": b"{"}
_ID_NAME = re.compile(rb'"(?:i|\\u0069)(?:d|\\u0064)"')  # JSON may write a name with escapes
_ID = re.compile(rb'\s*:\s*"?(\d{1,19})(?:\.0*)?"?\s*[,}]')


class JsonError(ValueError):
    """A text that is no JSON, or nested too deeply."""


class BrokenListError(JsonError):
    """An array that can't be cut into its elements. `ends`: its text ends as an array of objects does."""

    def __init__(self, message: str, text: bytes) -> None:
        super().__init__(message)
        self.ends = _END.search(text) is not None


@dataclass(frozen=True)
class Unreadable:
    """An element of a list that is no JSON: its id, as far as that can be made out, and why in words.

    The id is for people: where the next page begins must not hang on what can't be read.
    """

    record_id: int | None
    reason: str


@dataclass(frozen=True)
class Mended:
    """An element that was read although it is no clean JSON: raw control characters, or bytes that are not UTF-8."""

    value: Any


def parse_elements(body: bytes) -> list[Any]:
    """Read an array; what is no clean JSON in it becomes `Mended` or `Unreadable`, and its neighbours stay as they are.

    Raises `BrokenListError` for what begins as an array and can't be cut, `JsonError` for what does not.
    """
    text = as_utf8(body).strip()
    if not text.startswith(b"["):
        raise JsonError("It is no list.")
    try:
        return [_element(piece) for piece in _pieces(text)]
    except JsonError as error:
        raise BrokenListError(str(error), text) from None


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
        _refuse_if_several(piece)
        return Unreadable(_id_of(piece), first[:100])


def _refuse_if_several(piece: bytes) -> None:
    """Raise `JsonError` where stray quotes or brackets may have made one element of several, of which all were lost."""
    texts = [match.group() for match in _TOKENS.finditer(piece) if match.group().startswith(b'"')]
    if b'"' in _TOKENS.sub(b"", piece) or any(_NEXT_ELEMENT.search(text) for text in texts):
        raise JsonError("Its quotes don't match, so nobody knows where an element ends.")
    if not _is_nested(piece):
        raise JsonError("Its brackets don't match, so nobody knows where an element ends.")


def _is_nested(piece: bytes) -> bool:
    """Whether each bracket is closed by its like, and no object follows a comma within an object, as in a list."""
    open_ones: list[bytes] = []
    before = b""
    for match in _TOKENS.finditer(piece):
        token = match.group()
        if token == b"{" and before == b"," and open_ones[-1:] == [b"{"]:
            return False
        if token in _OPENING:
            if not open_ones or open_ones.pop() != _OPENING[token]:
                return False
        elif token in b"[{":
            open_ones.append(token)
        before = token
    return not open_ones


def _id_of(piece: bytes) -> int | None:
    """Make out the id of a record that can't be read: the one member of that name at its own depth."""
    depth, found = 0, set()
    for match in _TOKENS.finditer(piece):
        token = match.group()
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
        elif depth == 1 and _ID_NAME.fullmatch(token) and (number := _ID.match(piece, match.end())):
            found.add(int(number[1]))
    return next(iter(found)) if len(found) == 1 and 0 < min(found) <= LARGEST_ID else None


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
