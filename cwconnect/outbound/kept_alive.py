"""Requests on connections that stand already, as nearly all do: sent and answered without what urllib3 does beside.

Its `urlopen` is made for redirects, retries and bodies of every kind, none of which is wanted here; of a small request
that is half of the cost. What needs a connection first is left to it, and what a proxy is to read the URL of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from urllib3._collections import HTTPHeaderDict
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ProtocolError
from urllib3.response import HTTPResponse
from urllib3.util import Timeout

from cwconnect.outbound.answers import Answer, FinalAnswer, WholeAnswer

_TARGET = re.compile(r"/[\x21-\x7e]*")  # what a request line can hold, of a server itself


class KeptAlivePool(HTTPConnectionPool):
    """A pool that uses its standing connections by itself."""

    def urlopen(  # type: ignore[override]  # of urllib3's many arguments, those that are looked at here
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: Timeout,
        **options: Any,
    ) -> Answer:
        """Send a request; `headers` name the `Host`. Raises what urllib3 raises, and what the socket does."""
        connection: Any = self._get_conn()
        usual = headers is not None and _TARGET.fullmatch(url) and (body is not None or method == "GET")
        if connection.is_closed or not usual:
            self._put_conn(connection)
            return super().urlopen(method, url, body=body, headers=headers, timeout=timeout, **options)
        try:
            _send(connection.sock, _request(method, url, headers or {}, body), timeout)
            answer = _answer_on(connection.sock, method)
        except BaseException as error:
            connection.close()
            self._put_conn(connection)
            if isinstance(error, HTTPException) and not isinstance(error, OSError):
                raise ProtocolError("Connection aborted.", error) from error
            raise
        return self._read(answer, method, connection)

    def _read(self, answer: FinalAnswer, method: str, connection: Any) -> Answer:
        """Read the answer if it is at hand, which frees its connection; else leave its body to be read."""
        headers = HTTPHeaderDict(answer.msg.items())
        if answer.at_hand:
            whole = WholeAnswer(answer.status, headers, answer.read())
            self._put_conn(connection)
            return whole
        if answer.will_close:
            connection.close()  # the answer's own hold on the socket lasts until it is read
        return HTTPResponse(
            body=answer,
            headers=headers,
            status=answer.status,
            preload_content=False,
            original_response=answer,
            pool=self,
            connection=connection,
            request_method=method,
        )


def _request(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """Return a request as it is sent (RFC 9112); the headers hold no line breaks, which the client has seen to."""
    length = {} if body is None else {"Content-Length": len(body)}
    lines = [f"{name}: {value}\r\n" for name, value in (length | dict(headers)).items()]
    return f"{method} {target} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("iso-8859-1") + (body or b"")


def _send(sock: Any, request: bytes, timeout: Timeout) -> None:
    sock.settimeout(timeout.connect_timeout)
    with suppress(BrokenPipeError, ConnectionResetError):  # who hangs up before the end may have answered already
        sock.sendall(request)
    sock.settimeout(timeout.read_timeout)


def _answer_on(sock: Any, method: str) -> FinalAnswer:
    answer = FinalAnswer(sock, method=method)
    try:
        answer.begin()
    except BaseException:
        answer.close()
        raise
    return answer
