"""What the door does with servers that are slow, endless, gone or wrongly certified, and with headers."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.outbound import (
    CONNECTWISE_LIMITS,
    NOTIFICATION_LIMITS,
    ConnectFailed,
    Dropped,
    InvalidHeader,
    Limits,
    OutboundClient,
    Reply,
    TimedOut,
    TooLarge,
    merge_headers,
)
from tests.support.raw_servers import LOOPBACK, RawServer, always, answer, read_request, requests_of

QUICK = Limits(connect=0.5, read=0.5, total=0.8, body=1000)


@pytest.fixture
def outbound_client() -> Iterator[OutboundClient]:
    outbound_client = OutboundClient(LOOPBACK)
    yield outbound_client
    outbound_client.close()


def send(
    outbound_client: OutboundClient,
    url: str,
    *,
    method: str = "POST",
    limits: Limits = NOTIFICATION_LIMITS,
    truncate: bool = False,
) -> Reply:
    return outbound_client.request(method, url, headers={"X-Ours": "1"}, body=b"{}", limits=limits, truncate=truncate)


def test_an_answer_comes_back_whole(outbound_client: OutboundClient) -> None:
    with RawServer(always(answer(b"caf\xc3\xa9", "201 Created", ("X-Kind: b",)))) as server:
        reply = send(outbound_client, server.url())

    assert (reply.status, reply.body, reply.text()) == (201, b"caf\xc3\xa9", "café")
    assert reply.headers["x-kind"] == "b"
    assert 0 < reply.seconds < 5
    assert not reply.truncated
    outbound_client.close()


def test_the_request_is_sent_as_given(outbound_client: OutboundClient) -> None:
    seen = []

    def handle(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(answer())

    with RawServer(handle) as server:
        url = server.url("/a?where=x%27y")
        outbound_client.request("PUT", url, headers={"B": "ü"}, body=b"\x00\xff", limits=QUICK, auth=("ä", "b"))
        outbound_client.close()

    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"PUT /a?where=x%27y HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}".encode() in lines
    assert b"Authorization: Basic w6Q6Yg==" in lines
    assert b"B: \xfc" in lines
    assert b"Content-Length: 2" in lines
    assert body == b"\x00\xff"


def test_a_header_stands_once_whoever_gives_it(outbound_client: OutboundClient) -> None:
    seen = []

    def handle(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(answer())

    given = {"user-agent": "ours", "AUTHORIZATION": "Bearer x"}
    with RawServer(handle) as server:
        outbound_client.request("GET", server.url(), headers=given, limits=QUICK, auth=("a", "b"))
        outbound_client.close()

    lines = seen[0].lower().split(b"\r\n")
    assert [line for line in lines if line.startswith(b"user-agent")] == [b"user-agent: ours"]
    assert [line for line in lines if line.startswith(b"authorization")] == [b"authorization: basic ytpi"]


def test_a_header_that_would_begin_another_is_not_sent(outbound_client: OutboundClient) -> None:
    with RawServer(always(answer())) as server:
        with pytest.raises(InvalidHeader):
            outbound_client.request("GET", server.url(), headers={"A": "b\r\nC: d"}, limits=QUICK)
        assert not server.connections


def test_nothing_is_taken_from_the_environment(
    outbound_client: OutboundClient, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    monkeypatch.setenv("NETRC", f"{tmp_path}/netrc")

    with RawServer(always(answer(b"direct"))) as server:
        assert send(outbound_client, server.url()).body == b"direct"
        outbound_client.close()


def test_cookies_are_not_kept(outbound_client: OutboundClient) -> None:
    seen = []

    def handle(connection: socket.socket) -> None:
        for request in requests_of(connection):
            seen.append(request)
            connection.sendall(answer(headers=("Set-Cookie: a=b",)))

    with RawServer(handle) as server:
        send(outbound_client, server.url())
        send(outbound_client, server.url())
        outbound_client.close()

    assert len(seen) == 2
    assert b"cookie" not in seen[1].lower()


def test_connections_are_kept_alive_and_shared_by_threads(outbound_client: OutboundClient) -> None:
    with RawServer(always(answer(b"ok"))) as server:
        with ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(lambda _: send(outbound_client, server.url()), range(100)))
        outbound_client.close()

    assert all(reply.body == b"ok" for reply in replies)
    assert len(server.connections) <= 4


def drip(*, before: bytes, piece: bytes) -> object:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(before)
        while True:
            connection.sendall(piece)
            time.sleep(0.05)

    return handle


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"H"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "a header", "headers", "status line", "interim answers"],
)
def test_a_dripping_server_is_cut_at_the_total_time(
    outbound_client: OutboundClient, before: bytes, piece: bytes
) -> None:
    with RawServer(drip(before=before, piece=piece)) as server:  # type: ignore[arg-type]  # a handler
        started = time.monotonic()
        with pytest.raises(TimedOut, match=r"within 0\.8 s") as caught:
            send(outbound_client, server.url(), limits=QUICK)

    assert 0.7 < time.monotonic() - started < 5
    assert caught.value.kind == "timeout"


def test_a_silent_server_is_cut_at_the_read_time(outbound_client: OutboundClient) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        time.sleep(1)

    with RawServer(handle) as server, pytest.raises(TimedOut, match=r"sent nothing for 0\.3 s"):
        send(outbound_client, server.url(), limits=replace(QUICK, read=0.3))


def test_a_kept_alive_connection_keeps_to_the_limits_of_its_next_request(outbound_client: OutboundClient) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer(b"ok"))
        read_request(connection)
        time.sleep(2)

    with RawServer(handle) as server:
        send(outbound_client, server.url())
        started = time.monotonic()
        with pytest.raises(TimedOut, match=r"sent nothing for 0\.3 s"):
            send(outbound_client, server.url(), limits=replace(QUICK, read=0.3))
        assert 0.3 <= time.monotonic() - started < 2

    assert len(server.connections) == 1


def test_head_and_body_go_out_together(outbound_client: OutboundClient) -> None:
    pieces = []

    def handle(connection: socket.socket) -> None:
        for _ in range(3):
            pieces.append(connection.recv(65536))
            connection.sendall(answer(b"ok"))

    with RawServer(handle) as server:
        for _ in range(3):
            send(outbound_client, server.url())

    assert [piece[-6:] for piece in pieces] == [b"\r\n\r\n{}"] * 3


def test_a_server_that_reads_nothing_is_cut(outbound_client: OutboundClient) -> None:
    stop = threading.Event()

    def handle(connection: socket.socket) -> None:
        stop.wait(5)

    with RawServer(handle) as server:
        with pytest.raises(TimedOut):
            outbound_client.request("POST", server.url(), headers={}, body=bytes(50_000_000), limits=QUICK)
        stop.set()


def test_a_server_that_never_accepts_is_cut_at_the_connect_time(outbound_client: OutboundClient) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # fill the queue of connections not accepted
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        with pytest.raises(TimedOut, match="No connection"):
            send(outbound_client, f"http://127.0.0.1:{listener.getsockname()[1]}/", limits=QUICK)


def test_a_refused_connection_is_an_error_of_its_own(outbound_client: OutboundClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed, match="refused") as caught:
        send(outbound_client, f"http://127.0.0.1:{port}/")

    assert caught.value.kind == "connect"


def test_a_slow_resolver_is_cut_at_the_connect_time(
    outbound_client: OutboundClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()

    def getaddrinfo(*args: object, **kwargs: object) -> list[object]:
        answer.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    started = time.monotonic()

    before = set(threading.enumerate())
    with pytest.raises(TimedOut, match=r"slow\.example"):
        send(outbound_client, "http://slow.example/", limits=QUICK)
    assert time.monotonic() - started < 5
    answer.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)


def test_the_second_address_is_tried_if_the_first_refuses(
    outbound_client: OutboundClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(answer(b"second"))) as server:
        four = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
        six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", server.port, 0, 0))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [six, four])
        assert send(outbound_client, server.url(host="two.example")).body == b"second"
        outbound_client.close()


def test_a_long_body_is_cut_for_a_notification_and_an_error_for_others(outbound_client: OutboundClient) -> None:
    body = b"x" * 100_000
    with RawServer(always(answer(body))) as server:
        reply = send(outbound_client, server.url(), truncate=True)
        with pytest.raises(TooLarge, match="65,536"):
            send(outbound_client, server.url())
        assert send(outbound_client, server.url(), limits=CONNECTWISE_LIMITS).body == body
        outbound_client.close()

    assert (len(reply.body), reply.truncated) == (64 * 1024, True)


def test_a_body_of_just_the_limit_is_whole(outbound_client: OutboundClient) -> None:
    with RawServer(always(answer(b"x" * 1000))) as server:
        reply = send(outbound_client, server.url(), limits=QUICK, truncate=True)
        outbound_client.close()

    assert (len(reply.body), reply.truncated) == (1000, False)


def test_an_endless_body_is_cut_without_waiting_for_its_end(outbound_client: OutboundClient) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1000\r\n" + bytes(4096) + b"\r\n")

    with RawServer(handle) as server:
        reply = send(outbound_client, server.url(), truncate=True)

    assert (reply.status, len(reply.body), reply.truncated) == (302, 64 * 1024, True)


def test_the_limit_counts_bytes_after_decompression(outbound_client: OutboundClient) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with RawServer(always(answer(bomb, headers=("Content-Encoding: gzip",)))) as server:
        reply = send(outbound_client, server.url(), truncate=True)

    assert len(bomb) < 64 * 1024 == len(reply.body)
    assert reply.truncated


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
     b"garbage\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"],
)  # fmt: skip
def test_an_incomplete_answer_is_no_answer(outbound_client: OutboundClient, sent: bytes) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(sent)

    with RawServer(handle) as server:
        with pytest.raises(Dropped) as caught:
            send(outbound_client, server.url())
        assert len(server.connections) == 1  # a new connection gets no second try
    assert caught.value.kind == "dropped"


def test_a_kept_alive_connection_that_is_dead_gets_one_second_try(outbound_client: OutboundClient) -> None:
    bodies = []

    def handle(connection: socket.socket) -> None:
        bodies.append(read_request(connection))
        connection.sendall(answer(b"ok"))
        bodies.append(read_request(connection))  # and no answer to the second request

    with RawServer(handle) as server:
        assert [send(outbound_client, server.url()).body for _ in range(2)] == [b"ok", b"ok"]
        outbound_client.close()

    assert len(server.connections) == 2
    assert bodies[0] == bodies[1] == bodies[2]


def test_no_second_try_once_a_byte_of_the_answer_has_come(outbound_client: OutboundClient) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer(b"ok"))
        read_request(connection)
        connection.sendall(b"H")

    with RawServer(handle) as server:
        send(outbound_client, server.url())
        with pytest.raises(Dropped):
            send(outbound_client, server.url())
        assert len(server.connections) == 1


def test_no_second_try_after_a_time_out(outbound_client: OutboundClient) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer(b"ok"))
        read_request(connection)
        time.sleep(1)

    with RawServer(handle) as server:
        send(outbound_client, server.url())
        with pytest.raises(TimedOut):
            send(outbound_client, server.url(), limits=replace(QUICK, read=0.2))
        assert len(server.connections) == 1


def test_the_second_try_is_on_a_new_connection_even_if_several_are_dead(outbound_client: OutboundClient) -> None:
    barrier = threading.Barrier(3)

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        if len(server.connections) <= 3:
            barrier.wait(5)
        connection.sendall(answer(b"ok"))
        read_request(connection)

    with RawServer(handle) as server:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: send(outbound_client, server.url()), range(3)))
        assert send(outbound_client, server.url()).body == b"ok"
        outbound_client.close()
    assert len(server.connections) == 4


def test_extra_headers_are_added_to_ours() -> None:
    merged = merge_headers({"Content-Type": "application/json"}, {"X-Key": " é\tb ", "Authorization": "Bearer x"})

    assert merged == {"Content-Type": "application/json", "X-Key": "é\tb", "Authorization": "Bearer x"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("Host", "x"), ("content-length", "1"), ("Transfer-Encoding", "chunked"), ("CONNECTION", "close"), ("TE", "x"),
     ("authorization", "x"), ("Webhook-Id", "x"), ("X y", "x"), ("X:", "x"), ("", "x"), ("X\r\nHost", "x"),
     ("É", "x"), ("Upgrade", "h2c"), ("Expect", "100-continue"), ("Proxy-Authorization", "x")],
)  # fmt: skip
def test_a_header_that_is_ours_reserved_or_malformed_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidHeader) as caught:
        merge_headers({"Authorization": "Basic x", "webhook-id": "msg_1"}, {name: value})

    assert repr(name)[1:-1] in str(caught.value)


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "a\x00b", "日本", "\x7f"])
def test_a_value_that_could_smuggle_or_not_be_sent_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(InvalidHeader, match="X-Key") as caught:
        merge_headers({}, {"X-Key": value})

    assert value not in str(caught.value)


def test_a_header_given_twice_is_refused() -> None:
    with pytest.raises(InvalidHeader, match="x-key"):
        merge_headers({}, {"X-Key": "a", "x-key": "b"})


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_whatever_is_merged_can_be_sent_as_it_stands(extra: dict[str, str]) -> None:
    with contextlib.suppress(InvalidHeader):
        for name, value in merge_headers({"A": "b"}, extra).items():
            assert "\n" not in f"{name}{value}".encode("latin-1").decode("latin-1")
