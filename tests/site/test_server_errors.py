"""What the web server itself refuses: on API routes as the contract's error body, whatever could be read.

Raw sockets against the real server, since no client library sends such requests.
"""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.site.test_smuggling import _is_up
from tests.support.services import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

API = ("/instances", "/v1/events", "/elements/api-v2/instances", "/elements/api-v2/admin/login/", "/nowhere", "/%61pp/")
PAGES = ("/", "/app/signin", "/admin/login/", "/static/x.css")
HOST = "Host: localhost\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
REQUESTS: dict[str, tuple[int, str]] = {
    "an address that is too long": (414, "GET {path}?" + "a" * 9000 + f" HTTP/1.1\r\n{HOST}\r\n"),
    "an address without an end": (414, "GET {path}?" + "a" * 20_000),
    "a header that is too long": (431, f"GET {{path}} HTTP/1.1\r\n{HOST}X: {'a' * 9000}\r\n\r\n"),
    "too many headers": (431, f"GET {{path}} HTTP/1.1\r\n{HOST}" + "X: a\r\n" * 80 + "\r\n"),
    "headers without an end": (431, f"GET {{path}} HTTP/1.1\r\n{HOST}" + "X: a\r\n" * 20_000),
    "a body that says it is too long": (413, f"POST {{path}} HTTP/1.1\r\n{HOST}Content-Length: 60000000\r\n\r\n"),
    "a chunk that says it is too long": (413, f"POST {{path}} HTTP/1.1\r\n{HOST}{CHUNKED}ffffff\r\n"),
    "malformed chunks": (400, f"POST {{path}} HTTP/1.1\r\n{HOST}{CHUNKED}zz\r\n"),
    "a length that is no number": (400, f"POST {{path}} HTTP/1.1\r\n{HOST}Content-Length: x\r\n\r\n"),
    "length and chunks": (400, f"POST {{path}} HTTP/1.1\r\n{HOST}Content-Length: 3\r\n{CHUNKED}"),
    "a header without a colon": (400, f"GET {{path}} HTTP/1.1\r\n{HOST}nonsense\r\n\r\n"),
    "a bare line feed": (400, "GET {path} HTTP/1.1\nHost: localhost\n\n"),
    "a control character": (400, f"GET {{path}} HTTP/1.1\r\n{HOST}X: a\x00b\r\n\r\n"),
    "two hosts": (400, f"GET {{path}} HTTP/1.1\r\n{HOST}{HOST}\r\n"),
    "an unknown encoding": (501, f"POST {{path}} HTTP/1.1\r\n{HOST}Transfer-Encoding: br\r\n\r\n"),
    "an expectation": (417, f"POST {{path}} HTTP/1.1\r\n{HOST}Expect: tea\r\nContent-Length: 1\r\n\r\na"),
    "another version": (505, f"GET {{path}} HTTP/9.9\r\n{HOST}\r\n"),
}
UNKNOWN = {
    "nothing but noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no path": b"GET\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a lone line feed": b"\n",
    "a word": b"hello\r\n\r\n",
}


@pytest.fixture
def port(gunicorn_port: int) -> int:
    wait_until(lambda: _is_up(gunicorn_port), 60, "the web")
    return gunicorn_port


def send(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are; return the one answer, after which the server closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        while piece := connection.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    headers = dict(text.lower().split(": ", 1) for text in rest)
    assert len(body) == int(headers["content-length"])
    return int(line.split()[1]), headers, body


def assert_contract(headers: dict[str, str], body: bytes) -> None:
    error = json.loads(body)
    assert headers["content-type"] == "application/json"
    assert set(error) == {"requestId", "message"}
    assert re.fullmatch(r"[0-9a-f]{24}", error["requestId"])
    assert error["requestId"] == headers["elements-request-id"]
    assert re.fullmatch(r"[A-Z].*\.", error["message"])


def test_every_refusal_is_the_contracts_on_api_routes_and_text_for_pages(port: int) -> None:
    for name, (expected, request) in REQUESTS.items():
        for path in API:
            status, headers, body = send(port, request.replace("{path}", path).encode())
            assert status == expected, (name, path)
            assert_contract(headers, body)
        for path in PAGES:
            status, headers, body = send(port, request.replace("{path}", path).encode())
            assert status == expected, (name, path)
            assert headers["content-type"] == "text/plain; charset=utf-8"
            assert b"<" not in body
    for name, raw in UNKNOWN.items():
        status, headers, body = send(port, raw)
        assert 400 <= status < 600, name
        assert_contract(headers, body)


def test_a_refusal_reaches_a_client_that_is_still_sending(port: int) -> None:
    head = f"POST /instances HTTP/1.1\r\n{HOST}Content-Length: 8000000\r\n\r\n".encode()
    status, headers, body = send(port, head + b"a" * 8_000_000)
    assert status == 413
    assert_contract(headers, body)


def test_who_asks_before_sending_a_body_goes_on_only_where_it_will_be_read(port: int) -> None:
    head = f"POST /instances HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    assert send(port, (head % 60_000_000).encode())[0] == 413
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall((head % 2).encode())
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
