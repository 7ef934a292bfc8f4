"""Requests that two servers might read differently, at the real web server: refused, and no second request answered.

Each attack carries a request for `/smuggled`, a 404, where a proxy in front would see a body, or the other way round.
"""

from __future__ import annotations

import http.client
import socket

import pytest

from tests.support.services import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

SECOND = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"0\r\n\r\n" + SECOND


def post(*headers: bytes, body: bytes = SECOND, version: bytes = b"HTTP/1.1", line: bytes = b"POST /healthz ") -> bytes:
    lines = [line + version, b"Host: localhost", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


LENGTH = b"Content-Length: %d" % len(SECOND)
REFUSED = {
    "length and chunks": post(LENGTH, b"Transfer-Encoding: chunked", body=CHUNKED),
    "chunks and length": post(b"Transfer-Encoding: chunked", LENGTH, body=CHUNKED),
    "two lengths": post(b"Content-Length: 0", LENGTH),
    "two lengths in one": post(b"Content-Length: 0, %d" % len(SECOND)),
    "a length with a plus": post(b"Content-Length: +%d" % len(SECOND)),
    "a length below zero": post(b"Content-Length: -1"),
    "a length in hex": post(b"Content-Length: 0x10"),
    "a length with an underscore": post(b"Content-Length: 1_0"),
    "a length of no digits": post("Content-Length: ١٠".encode()),
    "an odd encoding": post(b"Transfer-Encoding: xchunked", body=CHUNKED),
    "an encoding twice": post(b"Transfer-Encoding: chunked, chunked", body=CHUNKED),
    "chunks before identity": post(b"Transfer-Encoding: chunked, identity", body=CHUNKED),
    "a vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "a space before the colon": post(b"Transfer-Encoding : chunked", body=CHUNKED),
    "a tab before the colon": post(b"Content-Length\t: 0"),
    "a folded header": post(b"Transfer-Encoding:\r\n chunked", body=CHUNKED),
    "NUL in a header": post(b"X: a\x00b", LENGTH),
    "NUL in a name": post(b"X\x00: a", LENGTH),
    "a lone CR": post(b"X: a\rTransfer-Encoding: chunked", body=CHUNKED),
    "chunks under HTTP/1.0": post(b"Transfer-Encoding: chunked", body=CHUNKED, version=b"HTTP/1.0"),
    "a chunk's size with a sign": post(b"Transfer-Encoding: chunked", body=b"+0\r\n\r\n" + SECOND),
    "a chunk's size in 0x": post(b"Transfer-Encoding: chunked", body=b"0x0\r\n\r\n" + SECOND),
    "a chunk without its end": post(b"Transfer-Encoding: chunked", body=b"1\r\naXX0\r\n\r\n" + SECOND),
    "no version": post(line=b"POST /healthz", version=b"", body=SECOND),
    "an odd version": post(version=b"HTTP/9.9"),
    "a method with odd characters": post(line=b"GE\x00T /healthz "),
    "a space in the path": post(line=b"POST /health z "),
    "a header without a colon": post(b"Transfer-Encoding chunked", body=CHUNKED),
    "an empty name": post(b": a", LENGTH),
    "two hosts": post(b"Host: evil.example", LENGTH),
    "a host in the line": post(LENGTH, line=b"POST http://evil.example/healthz ").replace(
        b"Host: localhost", b"Host: evil.example"
    ),
    "an SSL hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SECOND,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.fixture
def port(gunicorn_port: int) -> int:
    wait_until(lambda: _is_up(gunicorn_port), 40, "the web")
    return gunicorn_port


def _is_up(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def statuses(port: int, request: bytes) -> list[int]:
    """Send bytes as they are; give the statuses of all answers until the server closes, or is silent for 2 s."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(request)
        try:
            while piece := connection.recv(65536):
                received += piece
        except (TimeoutError, ConnectionResetError):
            pass  # kept alive for a next request; or closed with bytes of ours unread
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def test_what_can_be_read_in_two_ways_is_not_read(port: int) -> None:
    wrong = {}
    for name, request in REFUSED.items():
        found = statuses(port, request)
        if 404 in found or any(status < 400 for status in found):
            wrong[name] = found
    assert wrong == {}
    assert statuses(port, SECOND) == [404], "the server goes on"


def test_an_upgrade_is_not_taken_up_and_what_follows_is_a_request_of_its_own(port: int) -> None:
    for protocol in (b"websocket", b"h2c", b"TLS/1.0"):
        upgrade = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: %s\r\n" % protocol
        assert statuses(port, upgrade + b"Sec-WebSocket-Key: YQ==\r\nSec-WebSocket-Version: 13\r\n\r\n") == [200]
    assert statuses(port, b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] >= 400


def test_a_name_with_underscores_does_not_stand_for_one_with_hyphens(port: int) -> None:
    # Both are one name in WSGI: a proxy that sets the one passes on what a caller wrote as the other.
    asked = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    assert statuses(port, asked % b"X-Forwarded-For: 203.0.113.9\r\n") == [401]
    assert statuses(port, asked % b"X_Forwarded_For: 203.0.113.9\r\n") != [401], "dropped, so this machine asks"
