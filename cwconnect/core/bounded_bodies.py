"""Request bodies under an asynchronous server: bounded before Django, which would write them to the temporary folder.

Under gunicorn our own worker sees to that (cwconnect/web).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from cwconnect.core.paths import is_page
from cwconnect.core.request_ids import new_request_id

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Any], Awaitable[None]]
ASGIApplication = Callable[[Any, Receive, Send], Awaitable[None]]
_WORDS = "The body is longer than any route takes."


class BoundedBodies:
    """An ASGI application before ours: a body longer than `longest` bytes is a 413, and not read to its end."""

    def __init__(self, application: ASGIApplication, *, longest: int) -> None:
        self._application, self._longest = application, longest

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        length = dict(scope.get("headers", ())).get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._longest:
            await _refuse(scope, send)
            return
        bounded = _Bounded(receive, send, self._longest)
        await self._application(scope, bounded.receive, bounded.send)
        if bounded.left < 0 and not bounded.answered:
            await _refuse(scope, send)


class _Bounded:
    """One request's messages; Django hears that the client is gone where the body is too long."""

    def __init__(self, receive: Receive, send: Send, longest: int) -> None:
        self._receive, self._send = receive, send
        self.left = longest
        self.answered = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.left -= len(message.get("body", b""))
        return message if self.left >= 0 else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.answered = True
        await self._send(message)


async def _refuse(scope: Any, send: Send) -> None:
    with new_request_id() as request_id:
        kind, body = "application/json", json.dumps({"requestId": request_id, "message": _WORDS})
    if is_page(scope["path"]):
        kind, body = "text/plain; charset=utf-8", f"{_WORDS}\n"
    headers = [(b"content-type", kind.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
