"""Answers that are not the last, and answers whose rest is broken: whose they are, and what they say. Real sockets."""

from __future__ import annotations

import gzip
import ipaddress
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from cwconnect.outbound import Limits, OutboundClient, OutboundError, Reply, TooLarge

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REFUSED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1\r\n\r\nx"
LIMITS = Limits(connect=5, read=1.5, total=3, body=1000)
Step = bytes | float


class RawServer:
    """Answers each request by the next script: bytes are sent, numbers are seconds to wait; then it may hang up."""

    def __init__(self, scripts: Sequence[Sequence[Step]], *, hang_up: bool) -> None:
        self._scripts, self._hang_up = list(scripts), hang_up
        self.requests = self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve_quietly, args=(connection,), daemon=True).start()

    def _serve_quietly(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client hangs up on what it can't use
            self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while stream.readline():
                length = 0
                while (line := stream.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                stream.read(length)
                script = self._scripts[min(self.requests, len(self._scripts) - 1)]
                self.requests += 1
                for step in script:
                    if isinstance(step, bytes):
                        connection.sendall(step)
                    else:
                        time.sleep(step)
                if self._hang_up:
                    return


@pytest.fixture
def client() -> Iterator[OutboundClient]:
    made = OutboundClient([ipaddress.ip_network("127.0.0.0/8")])
    yield made
    made.close()


def post(client: OutboundClient, server: RawServer) -> Reply:
    return client.request("POST", server.url, headers={}, body=b"{}", limits=LIMITS, truncate=True)


def early(status: str, headers: bytes = b"Link: </style.css>; rel=preload\r\n") -> bytes:
    return b"HTTP/1.1 " + status.encode() + b"\r\n" + headers + b"\r\n"


INTERIM: dict[str, Sequence[Step]] = {
    "103, then 200": [early("103 Early Hints"), 0.1, OK],
    "102, then 200": [early("102 Processing", b""), 0.1, OK],
    "100, 102, 103 in one packet with 200": [early("100 Continue", b"") + early("102 x") + early("103 y") + OK],
    "199, which nobody has heard of": [early("199 Whatever"), OK],
    "twenty of them": [early("103 Early Hints")] * 20 + [OK],
}


@pytest.mark.parametrize("kind", INTERIM)
def test_interim_answers_are_skipped_and_the_next_request_gets_its_own(client: OutboundClient, kind: str) -> None:
    server = RawServer([INTERIM[kind], [REFUSED], [OK]], hang_up=False)
    assert [post(client, server).status for _ in range(3)] == [200, 500, 200]
    assert server.requests == 3
    server.close()


@pytest.mark.parametrize(
    "script",
    [[early("103 Early Hints")], [early("101 Switching Protocols"), OK], [early("103 x")] * 500 + [OK], [3.5, OK]],
    ids=["then nothing", "101", "without end", "late"],
)
def test_without_a_final_answer_it_fails_and_the_connection_is_not_used_again(
    client: OutboundClient, script: list[Step]
) -> None:
    server = RawServer([script, [REFUSED]], hang_up=False)
    with pytest.raises(OutboundError):
        post(client, server)
    assert post(client, server).status == 500
    assert server.connections == 2
    server.close()


ACCEPTED = b"HTTP/1.1 202 Accepted\r\n"
BROKEN: dict[str, Sequence[Step]] = {
    "shorter than announced": [ACCEPTED + b"Content-Length: 20\r\n\r\n{}"],
    "chunked without its end": [ACCEPTED + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"],
    "a chunk size that is no number": [ACCEPTED + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"],
    "falsely gzip": [ACCEPTED + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain"],
    "half of a gzip": [ACCEPTED + b"Content-Encoding: gzip\r\nContent-Length: 30\r\n\r\n" + gzip.compress(b"{}")[:12]],
    "120 headers": [ACCEPTED + b"".join(b"X-%d: y\r\n" % number for number in range(120)) + b"\r\n"],
    "a header without an end": [ACCEPTED + b"X: " + b"y" * 70_000 + b"\r\n\r\n"],
}


@pytest.mark.parametrize("hang_up", [True, False])
@pytest.mark.parametrize("kind", BROKEN)
def test_the_status_decides_whatever_becomes_of_the_rest(client: OutboundClient, kind: str, hang_up: bool) -> None:
    server = RawServer([BROKEN[kind], [REFUSED]], hang_up=hang_up)
    reply = post(client, server)
    assert (reply.status, bool(reply.broken), server.requests) == (202, True, 1)
    assert post(client, server).status == 500
    # Of the false gzip all bytes came; of the others nobody knows where they end.
    assert server.connections == (1 if kind == "falsely gzip" and not hang_up else 2)
    server.close()


def test_a_head_that_is_left_open_leaves_the_status(client: OutboundClient) -> None:
    server = RawServer([[ACCEPTED, 4], [REFUSED]], hang_up=False)
    reply = post(client, server)
    assert (reply.status, bool(reply.broken)) == (202, True)
    assert post(client, server).status == 500
    server.close()


@pytest.mark.parametrize("kind", BROKEN)
def test_where_the_body_counts_it_must_be_whole(client: OutboundClient, kind: str) -> None:
    server = RawServer([BROKEN[kind]], hang_up=True)
    with pytest.raises(OutboundError):
        client.request("GET", server.url, headers={}, limits=LIMITS)
    server.close()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_bytes_that_belong_to_no_answer_reach_no_other_request(client: OutboundClient, head: bytes) -> None:
    server = RawServer([[head, 0.05, OK], [REFUSED]], hang_up=False)
    assert 200 <= post(client, server).status < 300
    assert post(client, server).status == 500
    server.close()


TYPE = b"HTTP/1.1 200 OK\r\nX-Case: a\r\nx-case: b\r\n"
SHAPES: dict[str, Sequence[Step]] = {
    "with its head": [TYPE + b"Content-Length: 4\r\n\r\nbody"],
    "after its head": [TYPE + b"Content-Length: 4\r\n\r\n", 0.05, b"body"],
    "in pieces": [TYPE + b"Content-Length: 4\r\n\r\nbo", 0.05, b"dy"],
    "chunked": [TYPE + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"],
    "packed": [TYPE + b"Content-Encoding: deflate\r\nContent-Length: 12\r\n\r\n" + zlib.compress(b"body")],
    "with an old head": [b"HTTP/1.0 200 OK\r\nX-Case: a, b\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody"],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_connection_that_stands_answers_as_a_new_one(client: OutboundClient, shape: str) -> None:
    server = RawServer([SHAPES[shape]], hang_up=False)
    for most, body in ((4, b"body"), (3, b"bod")):
        limits = replace(LIMITS, body=most)
        asked = [client.request("GET", server.url, headers={}, limits=limits, truncate=True) for _ in range(2)]
        assert [(reply.status, reply.body, reply.truncated) for reply in asked] == [(200, body, most < 4)] * 2
        assert {(reply.headers["x-CASE"], reply.broken) for reply in asked} == {("a, b", "")}
    assert client.request("GET", server.url, headers={}, limits=LIMITS).body == b"body"
    with pytest.raises(TooLarge):
        client.request("GET", server.url, headers={}, limits=replace(LIMITS, body=3))
    server.close()


def test_of_two_answers_to_one_request_none_is_that_of_the_next(client: OutboundClient) -> None:
    server = RawServer([[OK], [OK + REFUSED], [b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"]], hang_up=False)
    assert [post(client, server).status for _ in range(2)] == [200, 200]
    assert post(client, server).status == 404
    server.close()
