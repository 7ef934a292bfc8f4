"""One request, collected in pieces: whole when it is whole, refused as soon as it can't be."""

from __future__ import annotations

from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException

from cwconnect.web.reading import LONGEST_HEAD, RequestReader
from cwconnect.web.refusals import BodyTooLong

LONGEST = 100
HEAD = b"POST /instances?a=b HTTP/1.1\r\nHost: localhost\r\n"
NEXT = b"GET /next HTTP/1.1\r\n\r\n"


def reader(begun: bytes = b"") -> RequestReader:
    cfg = Config()
    for name, value in {
        "limit_request_line": 8190,
        "limit_request_fields": 64,
        "limit_request_field_size": 8190,
    }.items():
        cfg.set(name, value)
    return RequestReader(cfg, ("127.0.0.1", 1), longest_body=LONGEST, begun=begun)


def come(raw: bytes, size: int) -> tuple[Any, RequestReader, int]:
    """Feed pieces of so many bytes; return the request, its reader, and how many bytes it wanted."""
    reading = reader()
    for start in range(0, len(raw), size):
        reading.feed(raw[start : start + size])
        request = reading.read()
        if request is not None:
            return request, reading, start + size
    return None, reading, len(raw)


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"]
)
def test_a_request_is_whole_with_its_last_byte(size: int, body: bytes) -> None:
    request, reading, _ = come(HEAD + body + NEXT, size)
    assert (request.path, request.body.read()) == ("/instances", b"hello")
    assert NEXT.startswith(reading.rest)
    assert come((HEAD + body)[:-1], size)[0] is None


def test_what_follows_is_the_next_request() -> None:
    request, reading, _ = come(NEXT + NEXT, 10_000)
    assert request.path == "/next"
    following = reader(reading.rest)
    assert following.read().path == "/next"
    assert following.rest == b""


@pytest.mark.parametrize(
    ("raw", "error", "at_most"),
    [
        (HEAD + b"Content-Length: 101\r\n\r\n" + b"a" * 101, BodyTooLong, len(HEAD) + 30),
        (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", BodyTooLong, 200),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n65\r\n" + b"a" * 101, BodyTooLong, len(HEAD) + 40),
        (b"GET /" + b"a" * 20_000, LimitRequestLine, 8300),
        (b"a" * 20_000, LimitRequestLine, 8300),
        (HEAD + b"X: a\r\n" * 20_000, LimitRequestHeaders, LONGEST_HEAD + 200),
        (HEAD + b"X: " + b"a" * 200_000, LimitRequestHeaders, LONGEST_HEAD + 200),
        (b"GET / HTTP/1.1\nHost: localhost\n\n", ParseException, 20),
        (b"\x16\x03\x01\x02\n", ParseException, 10),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ParseException, 200),
    ],
)
def test_what_can_not_become_a_request_is_refused_before_more_is_read(
    raw: bytes, error: type[Exception], at_most: int
) -> None:
    with pytest.raises(error):
        come(raw[: at_most + 5], 5)


def test_the_path_is_known_as_far_as_it_came() -> None:
    reading = reader(b"POST http://x.example/admin/login/?next=")
    assert reading.path == "/admin/login/"
    assert reader(b"\x16\x03").path == ""
