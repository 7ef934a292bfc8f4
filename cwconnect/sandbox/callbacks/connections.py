"""POST over kept-alive connections: one to each host, for one thread."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import ssl
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from cwconnect.sandbox.callbacks.messages import Message

_MOST_READ = 65_536
_Key = tuple[str, str, int | None]


class NoAnswerError(Exception):
    """The receiver gave no answer that can be read, or none in time."""


class Connections:
    """The connections of one thread; another may `abort` them.

    `via` is an origin to connect to in place of the one in a URL, as a proxy before the receiver would: the request
    names the URL's own host, and its scheme in `X-Forwarded-Proto`.
    """

    def __init__(self) -> None:
        self._open: dict[_Key, http.client.HTTPConnection] = {}

    def post(
        self, message: Message, *, seconds: float, via: str | None = None, close: Literal["", "midway", "after"] = ""
    ) -> int:
        """Send a message and return the status of the answer, 0 where `close` hangs up; NoAnswerError for none."""
        meant = urlsplit(message.url)
        where = urlsplit(via) if via else meant
        target = (meant.path or "/") + (f"?{meant.query}" if meant.query else "")
        headers = message.headers | {"Host": meant.netloc.rpartition("@")[2], "User-Agent": "ConnectWise"}
        if via:
            headers["X-Forwarded-Proto"] = meant.scheme
        try:
            connection = self._connection(where, seconds)
            if close:
                return self._hang_up(connection, target, message.body, headers, close)
            connection.request("POST", target, body=message.body, headers=headers)
            response = connection.getresponse()
            if len(response.read(_MOST_READ)) == _MOST_READ:
                connection.close()
            return response.status
        except (OSError, ValueError, http.client.HTTPException) as error:
            if broken := self._open.pop(_key(where), None):
                broken.close()
            raise NoAnswerError(str(error) or type(error).__name__) from error

    def abort(self) -> None:
        """Hang up on everyone, so that whoever waits for an answer waits no more."""
        for connection in [*self._open.values()]:
            with contextlib.suppress(OSError):
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _connection(self, where: SplitResult, seconds: float) -> http.client.HTTPConnection:
        key, host = _key(where), where.hostname or ""
        found = self._open.get(key)
        if found is None:
            found = (
                http.client.HTTPSConnection(host, where.port, context=ssl.create_default_context())
                if where.scheme == "https"
                else http.client.HTTPConnection(host, where.port)
            )
            self._open[key] = found
        found.timeout = seconds
        if found.sock is not None:
            waiting = select.poll()
            waiting.register(found.sock, select.POLLIN)
            if waiting.poll(0):
                found.close()  # what can be read between two requests is the other side hanging up
            else:
                found.sock.settimeout(seconds)
        return found

    def _hang_up(
        self,
        connection: http.client.HTTPConnection,
        target: str,
        body: bytes,
        headers: dict[str, str],
        close: Literal["midway", "after"],
    ) -> int:
        length = {"Content-Length": str(len(body))}
        sent = body[: len(body) // 2] if close == "midway" else body
        connection.request("POST", target, body=sent, headers=headers | length)
        connection.close()
        return 0


def _key(where: SplitResult) -> _Key:
    return where.scheme, where.hostname or "", where.port
