"""What is read by short cuts is read as the libraries do: plain heads as http.client, plain queries as requests."""

from __future__ import annotations

import io
import re
from itertools import product
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3._collections import HTTPHeaderDict

from cwconnect.outbound.answers import FinalAnswer
from cwconnect.outbound.errors import InvalidUrl
from cwconnect.outbound.kept_alive import _TARGET
from cwconnect.outbound.urls import _SPELT, _parse, parse, spell


class Wire:
    """A socket that gives these bytes, all at once or one by one."""

    def __init__(self, sent: bytes, *, at_once: bool = True) -> None:
        self._sent, self._at_once = sent, at_once

    def makefile(self, mode: str) -> io.BufferedReader:
        raw: Any = io.BytesIO(self._sent) if self._at_once else Dripping(self._sent)
        return io.BufferedReader(raw)


class Dripping(io.RawIOBase):
    """Bytes that come one by one: no head is in one piece then."""

    def __init__(self, sent: bytes) -> None:
        self._left = sent

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # the buffer is written to
        given, self._left = self._left[:1], self._left[1:]
        buffer[: len(given)] = given
        return len(given)


def read(sent: bytes, method: str = "GET", *, at_once: bool) -> dict[str, object]:
    answer = FinalAnswer(Wire(sent, at_once=at_once), method=method)  # type: ignore[arg-type]  # all it asks of a socket
    try:
        answer.begin()
    except Exception as error:  # noqa: BLE001  (whatever it is, it must be the same)
        return {"error": repr(error)}
    pairs = [(name, value.strip(" \t")) for name, value in answer.msg.items()]
    found = {"status": answer.status, "reason": answer.reason, "version": answer.version, "broken": answer.head_error}
    found |= {"headers": HTTPHeaderDict(pairs), "closes": answer.will_close, "chunked": answer.chunked}
    found |= {"length": answer.length}
    try:
        return found | {"body": answer.read()}
    except Exception as error:  # noqa: BLE001  (as above)
        return found | {"body": repr(error)}


CHUNKED = "Transfer-Encoding: chunked"
LINES = [
    *("Content-Length: 2", "content-length:2", "Content-Length: 2 ", "Content-Length: +2", "Content-Length: 2, 2"),
    *("Content-Length: 3", "Content-Length: 0", "Content-Length: -1", "Content-Length: ٢", "Content-Length : 2"),
    *(CHUNKED, "transfer-encoding: Chunked", "Transfer-Encoding: gzip, chunked"),
    *("Connection: close", "Connection: keep-alive", "connection: Keep-Alive, x", "Keep-Alive: timeout=5"),
    *("Date: Sat, 28 Nov 2026 17:22:45 GMT", "X-Two: a", "X-Two: b", "X: é\x85ü", "X: \x01"),
    *("X:", " folded", "no colon"),
    *('Link: <https://cw.example/a?pageId=3>; rel="next"', "Content-Encoding: identity", "Content-Type: text/html"),
]
STATUS = ["200 OK", "200 ", "200", "201 Made\tso", "204 No", "304 Not", "404 Nöt", "500 x", "100 Continue", "103 x"]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1", "ICY"]
BODIES = [b"[]", b"", b"2\r\n[]\r\n0\r\n\r\n", b"[]HTTP/1.1 500 x\r\n\r\n"]


def assert_read_alike(head: list[str], ending: str, body: bytes, method: str) -> None:
    text = "".join(line + ending for line in [*head, ""])
    sent = text.encode("utf-8" if "٢" in text else "iso-8859-1") + body
    at_once, dripping = (read(sent, method, at_once=whole) for whole in (True, False))
    assert str(at_once) == str(dripping)


@pytest.mark.parametrize(("framing", "body"), [("Content-Length: 2", BODIES[0]), (CHUNKED, BODIES[2]), ("X: y", b"[]")])
def test_a_line_beside_what_frames_the_answer_is_read_as_http_client_reads_it(framing: str, body: bytes) -> None:
    for status, line in product(STATUS, LINES):
        assert_read_alike([f"HTTP/1.1 {status}", framing, line], "\r\n", body, "GET")


@given(
    version=st.sampled_from(VERSIONS[:1] * 5 + VERSIONS),
    status=st.sampled_from(STATUS),
    lines=st.lists(st.sampled_from(LINES), max_size=5),
    ending=st.sampled_from(["\r\n", "\r\n", "\n"]),
    body=st.sampled_from(BODIES),
    method=st.sampled_from(["GET", "POST", "HEAD"]),
)
def test_a_head_in_one_piece_is_read_as_one_that_comes_byte_by_byte(
    version: str, status: str, lines: list[str], ending: str, body: bytes, method: str
) -> None:
    assert_read_alike([f"{version} {status}", *lines], ending, body, method)


@pytest.mark.parametrize(
    ("head", "plain"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n", True),
        ("HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n", False),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n", False),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", False),
        ("HTTP/1.1 200 OK\r\nX: y\r\n\r\n", False),
        ("HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 64 + "Content-Length: 2\r\n\r\n", False),
    ],
)
def test_plain_is_a_head_that_says_in_one_way_where_its_answer_ends(head: str, plain: bool) -> None:
    answer = FinalAnswer(Wire(head.encode() + b"[]"), method="GET")  # type: ignore[arg-type]  # as above
    assert answer._begin_plainly() == plain


QUERIES = st.text(
    st.sampled_from("abZ019-._~!$&'()*+,;=:@/?%%%%4127eEfF0[]{}|^`\"<>\\ é#"), min_size=1, max_size=12
) | st.integers(0, 255).map(lambda code: f"q=%{code:02X}x")


@example("conditions=lastUpdated%20%3E%20%5B2026-11-28T17:15:43Z%5D&pageSize=1000")
@given(QUERIES)
def test_a_query_that_is_cut_off_is_spelt_as_requests_spells_it(query: str) -> None:
    url = f"https://cw.example/v4_6_release/apis/3.0/company/contacts?{query}"
    try:
        whole = _parse(url)
    except InvalidUrl as error:
        with pytest.raises(InvalidUrl, match=re.escape(str(error))):
            parse(url)
        return
    assert (parse(url).url, parse(url).request_uri) == (whole.url, whole.request_uri)
    assert spell(url) == requests.Request("GET", url).prepare().url
    assert _TARGET.fullmatch(parse(spell(url)).request_uri)


def test_the_queries_that_polls_send_are_cut_off() -> None:
    assert _SPELT.fullmatch("conditions=lastUpdated%20%3E%20%5B2026-11-28T17:15:43Z%5D%20and%20a=%22%C3%A9%22&pageId=7")
