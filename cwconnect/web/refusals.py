"""What the web server itself answers: requests that can't be read, come too slowly, are too long, or met a fault.

On API routes as the contract's error body (docs/wire-contract.md#errors), for pages as plain text. Where the path can't
be read, the answer is the API's. None repeats what was sent: the log has it, under the answer's `requestId`.
"""

from __future__ import annotations

import json
import re
from email.utils import formatdate
from http import HTTPStatus

from gunicorn.http.errors import (
    ChunkMissingTerminator,
    ExpectationFailed,
    ForbiddenProxyRequest,
    InvalidChunkExtension,
    InvalidChunkSize,
    InvalidHTTPVersion,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

from cwconnect.core.paths import is_page


class BodyTooLong(ParseException):  # type: ignore[misc]  # gunicorn ships no types
    """The body is longer than any route takes."""


class TooSlow(ParseException):  # type: ignore[misc]  # as above
    """Head or body did not come within their time."""


_STATUSES: dict[type[Exception], int] = {
    TooSlow: 408,
    BodyTooLong: 413,
    LimitRequestLine: 414,
    LimitRequestHeaders: 431,
    ExpectationFailed: 417,
    ForbiddenProxyRequest: 403,
    UnsupportedTransferCoding: 501,
    InvalidHTTPVersion: 505,
}
_CHUNKS = (InvalidChunkSize, InvalidChunkExtension, ChunkMissingTerminator)
_MALFORMED_CHUNKS = "The chunks of the request's body are malformed."
_WORDS = {
    400: "The request can't be read.",
    403: "This is not allowed.",
    408: "The request did not arrive within its time.",
    413: "The body is longer than any route takes.",
    414: "The address is too long.",
    417: "The request expects what is not done here.",
    431: "The headers are too many or too long.",
    500: "Something went wrong in the service. Its log has the details under this requestId.",
    501: "The body's encoding is not known here.",
    505: "This version of HTTP is not spoken here.",
}
_TARGET = re.compile(rb"(?:\r\n)?[^ \r\n]{1,30} (?:[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^/ \r\n]{0,300})?(/[^ ?#\r\n]*)")
_LONGEST_PATH = 9000


def status_of(error: Exception) -> int:
    """Return the status that answers what went wrong: the caller's fault where reading failed, else 500."""
    found = next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), None)
    return found or (400 if isinstance(error, ParseException) else 500)


def path_of(head: bytes | bytearray) -> str:
    """Return the path that a request's first bytes name, as far as it came; empty where none can be read."""
    found = _TARGET.match(bytes(head[:_LONGEST_PATH]))
    return found[1].decode("latin-1") if found else ""


def refusal(error: Exception, path: str, request_id: str) -> bytes:
    """Return the whole answer to a request for `path`, after which the connection is closed."""
    status = status_of(error)
    words = _MALFORMED_CHUNKS if isinstance(error, _CHUNKS) else _WORDS[status]
    if is_page(path):
        kind, body = "text/plain; charset=utf-8", f"{words}\n".encode()
    else:
        kind, body = "application/json", json.dumps({"requestId": request_id, "message": words}).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nDate: {formatdate(usegmt=True)}\r\nConnection: close\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nElements-Request-Id: {request_id}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    )
    return head.encode("latin-1") + body
