"""Where a chunked body ends, found while it comes in: each byte is looked at once.

Only the frame is read here, as strictly as gunicorn's own reader does; that one then takes the bodies out of it. A
frame that isn't right is an error at once, so no two readings of where the next request begins can differ.
"""

from __future__ import annotations

import re

from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize, LimitRequestHeaders

from cwconnect.web.refusals import BodyTooLong

_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?")
_LONGEST_LINE = 1024
_LONGEST_TRAILERS = 8 * 1024
_MOST_CHUNKS = 20_000  # of 2 MiB each would hold 100 bytes: no client sends less, but one that wants us busy


class ChunkScanner:
    """Follows one chunked body of at most `longest` bytes; to be asked each time when more of it has come."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._next = 0  # where the next chunk's size stands, or will
        self._size = 0
        self._chunks = 0

    def end(self, raw: bytearray) -> int | None:
        """Return how many bytes of `raw` the body takes, None as long as there are too few; raises ParseException."""
        while len(raw) > self._next:
            line_end = raw.find(b"\r\n", self._next, self._next + _LONGEST_LINE)
            if line_end < 0:
                if len(raw) - self._next >= _LONGEST_LINE:
                    raise InvalidChunkSize(b"")
                return None
            if self._next and raw[self._next - 2 : self._next] != b"\r\n":
                raise ChunkMissingTerminator(b"")
            size = self._read_size(raw, line_end)
            if not size:
                return _end_of_trailers(raw, line_end)
            self._next = line_end + 2 + size + 2
        return None

    def _read_size(self, raw: bytearray, line_end: int) -> int:
        found = _SIZE.fullmatch(raw, self._next, line_end)
        if found is None:
            raise InvalidChunkSize(b"")
        size = int(found[1], 16)
        self._size += size
        self._chunks += size > 0
        if self._size > self._longest or self._chunks > _MOST_CHUNKS:
            raise BodyTooLong
        return size


def _end_of_trailers(raw: bytearray, line_end: int) -> int | None:
    """Return where the head-like lines after the last chunk end, which mostly are none."""
    end = raw.find(b"\r\n\r\n", line_end, line_end + _LONGEST_TRAILERS)
    if end < 0 and len(raw) - line_end >= _LONGEST_TRAILERS:
        raise LimitRequestHeaders("trailers")
    return None if end < 0 else end + 4
