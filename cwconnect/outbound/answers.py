"""The head of an answer, read so that one answer is never taken for another's, and its status is never lost.

Interim answers (1xx, RFC 9110, section 15.2) come before the real one, in any number; http.client skips 100 alone. What
follows the status line may be broken: the status stands, the rest is missing, and the connection is not used again.

Nearly every head is plain: it comes in one piece, has nothing but what RFC 9112 has, and says in one way where its
answer ends. Such a head is read here, for a quarter of what http.client takes, which reads all heads as those of
e-mails; and so it does with all others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import CONTINUE, SWITCHING_PROTOCOLS, BadStatusLine, HTTPException, HTTPMessage, HTTPResponse

from urllib3.response import BaseHTTPResponse

MOST_INTERIM = 100  # a server that sends interim answers without end is not waited for until the deadline
_WITHOUT_BODY = (204, 205, 304)
_PLAIN = re.compile(
    rb"HTTP/1\.1 ([2-5]\d\d) ([\t\x20-\x7e]*)\r\n"  # the status line
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n){1,64})\r\n"
)
_LENGTH = re.compile(r"\d{1,15}", re.ASCII)
_FRAMING = ("content-length", "transfer-encoding", "connection")
_STAYS_OPEN = ("connection", "keep-alive")


@dataclass(frozen=True)
class WholeAnswer:
    """An answer that came in one piece with its head, and was read at once."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Answer = BaseHTTPResponse | WholeAnswer


class FinalAnswer(HTTPResponse):
    """The first answer from 200 on. `head_error`: why its headers could not be read.

    `at_hand`: all of its body came with its head, and is as it stands.
    """

    head_error: Exception | None = None
    at_hand = False
    _method: str | None  # http.client's own, of all versions
    _interim = 0
    _final: int | None = None

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]  # http.client's own, of all versions
        if status == SWITCHING_PROTOCOLS:  # never asked for: whatever follows is no answer
            raise BadStatusLine(f"{version} {status}")
        if 100 <= status < 200:
            self._interim += 1
            if self._interim > MOST_INTERIM:
                raise BadStatusLine("interim answers without end")
            return version, CONTINUE, reason  # which is skipped with its headers
        self._final = status
        return version, status, reason

    def begin(self) -> None:
        """Read the head. Raises what http.client raises, as long as no status was read."""
        if self._begin_plainly():
            return
        try:
            super().begin()
        except (HTTPException, OSError, ValueError) as error:
            if self._final is None:
                raise
            self.head_error = error
            self.headers = self.msg = HTTPMessage()
            self.version, self.length, self.chunked, self.will_close = 11, 0, False, True
            return
        both = "Transfer-Encoding" in self.headers and "Content-Length" in self.headers
        if both or (self.status in _WITHOUT_BODY and self._announces_a_body()):
            self.will_close = True  # bytes may follow that belong to no answer

    def _begin_plainly(self) -> bool:
        """Read the head if it is plain, as http.client would; else leave it unread and return False."""
        sent = self.fp.peek()
        head = _PLAIN.match(sent)
        if head is None or int(head[1]) in _WITHOUT_BODY or self._method == "HEAD":
            return False
        headers = HTTPMessage()
        framing = []
        for line in head[3].decode("iso-8859-1").split("\r\n")[:-1]:
            name, _, value = line.partition(":")
            headers.set_raw(name, value := value.strip(" \t"))
            if (lower := name.lower()) in _FRAMING and (lower, value.lower()) != _STAYS_OPEN:
                framing.append((lower, value.lower()))
        ends = _end_of(framing)
        if ends is None:
            return False
        self.fp.read(head.end())
        self.status = self.code = self._final = int(head[1])
        self.reason, self.version = head[2].decode("ascii").strip(), 11
        self.headers = self.msg = headers
        self.chunked, self.chunk_left, self.length, self.will_close = ends == "chunked", None, None, False
        if isinstance(ends, int):
            self.length = ends
            self.at_hand = head.end() + ends <= len(sent) and "Content-Encoding" not in headers
        return True

    def _announces_a_body(self) -> bool:
        return "Transfer-Encoding" in self.headers or (self.headers.get("Content-Length") or "0").strip() != "0"


def _end_of(framing: Sequence[tuple[str, str]]) -> int | str | None:
    """Return the length of the body or "chunked", where the headers that frame it say so in one way; else None."""
    match framing:
        case [("content-length", length)] if _LENGTH.fullmatch(length):
            return int(length)
        case [("transfer-encoding", "chunked")]:
            return "chunked"
    return None
