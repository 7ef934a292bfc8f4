"""The head of an answer, read so that one answer is never taken for another's, and its status is never lost.

Interim answers (1xx, RFC 9110, section 15.2) come before the real one, in any number; http.client skips 100 alone. What
follows the status line may be broken: the status stands, the rest is missing, and the connection is not used again.
"""

from __future__ import annotations

from http.client import CONTINUE, SWITCHING_PROTOCOLS, BadStatusLine, HTTPException, HTTPMessage, HTTPResponse

MOST_INTERIM = 100  # a server that sends interim answers without end is not waited for until the deadline
_WITHOUT_BODY = (204, 205, 304)


class FinalAnswer(HTTPResponse):
    """The first answer from 200 on. `head_error`: why its headers could not be read."""

    head_error: Exception | None = None
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

    def _announces_a_body(self) -> bool:
        return "Transfer-Encoding" in self.headers or (self.headers.get("Content-Length") or "0").strip() != "0"
