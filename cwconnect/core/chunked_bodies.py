"""Request bodies that come chunked: .NET's and Java's clients, cloudflared and streaming proxies send them so.

Django reads as much as `Content-Length` says, which is nothing here, and would take such a body for empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from gunicorn.http.errors import ParseException

from cwconnect.core.request_ids import new_request_id

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ChunkedBodies:
    """A WSGI application before ours: a chunked body is read, to one byte beyond `longest`, and given its length.

    So one that is too long is refused as any other is. One whose chunks are malformed is a 400.
    """

    def __init__(self, application: WSGIApplication, *, longest: int) -> None:
        self._application, self._longest = application, longest

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() and not environ.get("CONTENT_LENGTH"):
            try:
                body = self._read(environ["wsgi.input"])
            except ParseException:
                return _malformed(start_response)
            environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return self._application(environ, start_response)

    def _read(self, source: Any) -> bytes:
        pieces: list[bytes] = []
        left = self._longest + 1
        while left > 0 and (piece := source.read(min(left, 64 * 1024))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


def _malformed(start_response: Callable[..., Any]) -> Iterable[bytes]:
    with new_request_id() as request_id:
        body = json.dumps({"requestId": request_id, "message": "The chunks of the request's body are malformed."})
    start_response("400 Bad Request", [("Content-Type", "application/json"), ("Connection", "close")])
    return [body.encode()]
