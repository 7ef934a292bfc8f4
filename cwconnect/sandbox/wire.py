"""HTTP/1.1 as far as the sandbox needs it: read a request from a connection, write a response to it.

By hand, because the standard library's server spends more on a request than a page of records costs.
"""

from __future__ import annotations

import http
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import parse_qsl, unquote

from cwconnect.sandbox.errors import Response

_LONGEST_LINE = 65_536
_MOST_HEADERS = 200
_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}


class BadRequestError(Exception):
    """What came is no request that can be answered otherwise than by 400 and hanging up."""


@dataclass(frozen=True)
class Request:
    """A request: decoded path, query in order, headers by lower-case name, body."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


def read_request(stream: BinaryIO) -> Request | None:
    """Read one request; None where the other side has hung up between two."""
    line = stream.readline(_LONGEST_LINE)
    if not line.strip():
        line = stream.readline(_LONGEST_LINE) if line else line
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError("Not an HTTP/1.1 request line.")
    headers = _read_headers(stream)
    target, _, text = words[1].partition("?")
    keep = headers.get("connection", "").lower() != "close" and words[2] != "HTTP/1.0"
    query = tuple(parse_qsl(text, keep_blank_values=True))
    return Request(words[0], unquote(target), query, headers, _read_body(stream, headers), keep)


def _read_headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(_MOST_HEADERS):
        line = stream.readline(_LONGEST_LINE)
        if line in {b"\r\n", b"\n"}:
            return headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise BadRequestError("Not a header.")
        headers[name.strip().lower()] = value.strip()
    raise BadRequestError("Too many headers.")


def _read_body(stream: BinaryIO, headers: dict[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        raise BadRequestError("Send a Content-Length.")
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise BadRequestError("Content-Length is not a number.")
    body = stream.read(int(length))
    if len(body) < int(length):
        raise BadRequestError("The body ended early.")
    return body


def serialise(response: Response, date: str | None, *, keep_alive: bool) -> bytes:
    """Return the bytes of a response; those of its body that its `cut` allows."""
    head = [f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, 'Unknown')}"]
    if date is not None:
        head.append(f"Date: {date}")
    head += [f"{name}: {value}" for name, value in response.headers]
    if response.status != 204:
        head += [f"Content-Type: {response.content_type}", f"Content-Length: {len(response.body)}"]
    head += ["api-current-version: 2026.4", "Cache-Control: no-cache"]
    if not keep_alive:
        head.append("Connection: close")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + response.body[: response.cut]
