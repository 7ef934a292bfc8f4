"""Clients that take their time, at the real web server: each has so long in all, and none holds up another."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from tests.site.test_smuggling import SECOND, _is_up
from tests.support.required import lengthy
from tests.support.services import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(200)]

HEAD = b"POST /instances HTTP/1.1\r\nHost: localhost\r\n"
LENGTH, CHUNKS = HEAD + b"Content-Length: 100000\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BUNDLE = "/static/admin/js/vendor/xregexp/xregexp.js"
LATE = 15  # seconds: how much later than its time a deadline is noticed on a machine that is busy otherwise


@pytest.fixture
def port(gunicorn_port: int) -> int:
    wait_until(lambda: _is_up(gunicorn_port), 60, "the web")
    return gunicorn_port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=0.5)


def trickle(port: int, begun: bytes, piece: bytes) -> tuple[float, bytes]:
    """Send a piece each half second until the server answers or closes; return after how long, and its status line."""
    began = time.monotonic()
    with connect(port) as connection:
        connection.sendall(begun)
        while time.monotonic() - began < 100:
            try:
                received = connection.recv(65536)
            except TimeoutError:
                if piece:
                    connection.sendall(piece)
                continue
            return time.monotonic() - began, received.partition(b"\r\n")[0]
    raise AssertionError("the server waits for ever")


# What was begun, what trickles in, after how many seconds it ends, and with which status.
SLOW: dict[str, tuple[bytes, bytes, int, bytes]] = {
    "a head": (HEAD + b"X: ", b"a", 10, b"HTTP/1.1 408 Request Timeout"),
    "a head, line by line": (HEAD, b"X: a\r\n", 10, b"HTTP/1.1 408 Request Timeout"),
    "a request line": (b"G", b"E", 10, b"HTTP/1.1 408 Request Timeout"),
    "nothing at all": (b"", b"", 10, b""),
    "a body": (LENGTH, b"a", 30, b"HTTP/1.1 408 Request Timeout"),
    "a body that stops": (LENGTH + b"a", b"", 30, b"HTTP/1.1 408 Request Timeout"),
    "chunks": (CHUNKS, b"1\r\na\r\n", 30, b"HTTP/1.1 408 Request Timeout"),
    "trailers": (CHUNKS + b"0\r\n", b"X: a\r\n", 30, b"HTTP/1.1 408 Request Timeout"),
    "a chunk's size": (CHUNKS, b"0", 30, b"HTTP/1.1 408 Request Timeout"),
}


@lengthy
def test_a_request_has_its_time_in_all_however_it_trickles_in(port: int) -> None:
    with ThreadPoolExecutor(len(SLOW)) as threads:
        begun = {name: threads.submit(trickle, port, row[0], row[1]) for name, row in SLOW.items()}
        found = {name: future.result() for name, future in begun.items()}
    for name, (_, _, seconds, status) in SLOW.items():
        took, line = found[name]
        assert line == status, name
        assert seconds - 1 < took < seconds + LATE, name


def test_very_many_slow_ones_hold_up_nobody(port: int) -> None:
    with ExitStack() as stack:
        for begun in (HEAD, LENGTH, CHUNKS, f"GET {BUNDLE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()):
            for _ in range(20):
                connection = stack.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect(("127.0.0.1", port))
                connection.sendall(begun)
        began = time.monotonic()
        assert all(_is_up(port) for _ in range(10))
        assert time.monotonic() - began < LATE


def test_who_reads_slowly_gets_all_of_it(port: int) -> None:
    def read(slowly: bool) -> bytes:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.sock = socket.socket()  # with room for so little that the server can't be rid of it all at once
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sock.settimeout(30)
            connection.sock.connect(("127.0.0.1", port))
            connection.request("GET", BUNDLE)
            answer = connection.getresponse()
            if slowly:
                time.sleep(2)
            return answer.read()

    assert len(read(slowly=True)) > 60 * 4096
    assert read(slowly=True) == read(slowly=False)


def test_requests_sent_in_one_go_are_answered_in_their_order(port: int) -> None:
    probe = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    two = LENGTH.replace(b"100000", b"2") + b"{}"
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(probe + b"\r\n" + two + SECOND + probe + b"\r\n" + probe[:9])
        connection.sendall(probe[9:] + b"Connection: close\r\n\r\n")
        while piece := connection.recv(65536):
            received += piece
    statuses = [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 401, 404, 200, 200]


def test_a_connection_that_is_kept_alive_is_closed_when_nobody_asks(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5 + LATE)) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
        assert connection.sock.recv(1) == b""


def test_where_there_are_too_many_connections_those_waited_for_longest_go(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--worker-connections 40")
    port: int = request.getfixturevalue("port")
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(port)) for _ in range(100)]
        began = time.monotonic()
        assert all(_is_up(port) for _ in range(5))
        assert time.monotonic() - began < 9, "before any of them was late"
        assert opened[0].recv(1) == b"", "the first one is gone"
        with pytest.raises(TimeoutError):
            opened[-1].recv(1)
