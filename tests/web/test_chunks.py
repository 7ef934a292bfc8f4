"""Where chunked bodies end: the scanner and gunicorn's own reader never differ, however the bytes come."""

from __future__ import annotations

import re

import pytest
from gunicorn.http.body import Body, ChunkedReader
from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import IterUnreader
from hypothesis import given
from hypothesis import strategies as st

from cwconnect.web.chunks import ChunkScanner
from cwconnect.web.refusals import BodyTooLong

LONGEST = 1000
NEXT = b"GET / HTTP/1.1\r\n\r\n"


def written(pieces: list[bytes], *, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    """Write a chunked body as RFC 9112, section 7.1, has it."""
    chunks = [b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces if piece]
    return b"".join(chunks) + b"0\r\n" + trailers + b"\r\n"


def scan(raw: bytes, size: int) -> int | None:
    """Return where a body ends that comes in pieces of so many bytes."""
    scanner, come = ChunkScanner(LONGEST), bytearray()
    for start in range(0, len(raw), size):
        come += raw[start : start + size]
        end = scanner.end(come)
        if end is not None:
            return end
    return None


def taken_by_gunicorn(raw: bytes) -> tuple[bytes, bytes] | None:
    """Return what gunicorn reads of a body and what it leaves; None where it refuses or wants more."""
    unreader = IterUnreader([raw])
    try:
        return Body(ChunkedReader(None, unreader)).read(), unreader.take_buffered()
    except (ParseException, OSError, AttributeError):  # AttributeError: trailers, which belong to a request
        return None


@given(st.lists(st.binary(max_size=60), max_size=8), st.integers(1, 40), st.sampled_from([b"", b";a=b", b' ; x="y z"']))
def test_the_end_is_found_however_the_bytes_come(pieces: list[bytes], size: int, extension: bytes) -> None:
    raw = written(pieces, extension=extension)
    assert scan(raw + NEXT, size) == len(raw)
    assert scan(raw[:-1], size) is None
    assert taken_by_gunicorn(raw + NEXT) == (b"".join(pieces), NEXT)


@given(st.binary(max_size=40) | st.text("0123abcdf;= \r\n\t", max_size=60).map(str.encode), st.integers(1, 9))
def test_what_is_found_to_be_whole_gunicorn_finds_whole_or_refuses(raw: bytes, size: int) -> None:
    try:
        end = scan(raw, size)
    except ParseException:
        return
    read = taken_by_gunicorn(raw)
    assert read is None or (end is not None and read[1] == raw[end:])


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_trailers_belong_to_the_body(size: int) -> None:
    raw = written([b"abc"], trailers=b"X-Sum: 1\r\nY: 2\r\n")
    assert scan(raw + NEXT, size) == len(raw)


@pytest.mark.parametrize(
    "raw",
    [
        *(
            b"zz\r\n",
            b"\r\n",
            b"-1\r\n",
            b"+0\r\n",
            b"0x0\r\n",
            b"1_0\r\n",
            b" 1\r\n",
            b"1 1\r\n",
            b"11112222333344445\r\n",
        ),
        *(b"1\r\naXX0\r\n\r\n", b"1\r\na\n0\r\n\r\n", b"1" * 2000, b"1;" + b"a" * 2000),
        b"0\r\n" + b"X: a\r\n" * 3000,
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_a_frame_that_is_not_right_is_refused_at_once(raw: bytes, size: int) -> None:
    with pytest.raises(ParseException):
        scan(raw, size)


@pytest.mark.parametrize("raw", [b"3e9\r\n", b"1f4\r\n" + b"a" * 500 + b"\r\n1f5\r\n", b"ffffffffffffffff\r\n"])
def test_one_that_says_it_is_too_long_is_refused_before_it_has_come(raw: bytes) -> None:
    with pytest.raises(BodyTooLong):
        scan(raw, 3)


def test_very_many_very_small_chunks_are_refused() -> None:
    scanner, raw = ChunkScanner(1_000_000), bytearray(b"1\r\na\r\n" * 30_000)
    with pytest.raises(BodyTooLong):
        scanner.end(raw)
    assert re.fullmatch(rb"(1\r\na\r\n)+", raw), "nothing was taken"
