"""One request, collected byte by byte until it is whole: its head under gunicorn's limits, its body under ours.

gunicorn's own parser reads the head and says how the body is framed, so that no second reading of either exists. It is
asked once the head is complete, or is certain not to become a right one.
"""

from __future__ import annotations

import re
from typing import Any

from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.errors import InvalidRequestLine, LimitRequestHeaders, LimitRequestLine, NoMoreData
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from cwconnect.web.chunks import ChunkScanner
from cwconnect.web.refusals import BodyTooLong, path_of

LONGEST_HEAD = 64 * 1024
_CHUNK_OVERHEAD = 2  # bytes on the wire for one of the body; with large chunks it is hardly more than 1
_HEAD_ENDS = re.compile(rb"\r\n\r\n|(?<!\r)\n")  # a bare LF is no end, but gunicorn refuses it


class RequestReader:
    """Collects one request; what is sent behind it, for the next one, is `rest` in the end."""

    def __init__(self, cfg: Any, address: Any, *, longest_body: int, begun: bytes = b"", number: int = 1) -> None:
        """Begin with what came behind the request before; `cfg` is gunicorn's, `address` the peer's."""
        self._cfg, self._address, self._longest, self._number = cfg, address, longest_body, number
        self._buffer = bytearray(begun)
        self._looked = self._taken = 0
        self._request: Any = None
        self._chunks: ChunkScanner | None = None
        self._path = ""
        self.wants_continue = False

    def __len__(self) -> int:
        """Return how many bytes are held, a body that was handed over included."""
        return len(self._buffer) + self._taken

    @property
    def head_is_read(self) -> bool:
        """Whether the body is what is waited for."""
        return self._request is not None

    @property
    def path(self) -> str:
        """The path that is asked for, as far as it can be read; empty where it can't."""
        return self._path or path_of(self._buffer)

    @property
    def rest(self) -> bytes:
        """What follows the request that was read."""
        return bytes(self._buffer)

    @property
    def number(self) -> int:
        """Which request of its connection it is, from 1."""
        return self._number

    def feed(self, data: bytes) -> None:
        """Take what came in."""
        self._buffer += data

    def read(self) -> Any:
        """Return gunicorn's request with its body once it is whole, None before.

        Raises ParseException where it can't be one, or is longer than may be, as soon as that shows.
        """
        if self._request is None and not self._read_head():
            return None
        end = self._end_of_body()
        if end is None:
            return None
        body = IterUnreader([bytes(self._buffer[:end])])
        reader = ChunkedReader(self._request, body) if self._chunks else LengthReader(body, end)
        self._request.body = Body(reader)
        del self._buffer[:end]
        self._taken = end
        return self._request

    def _read_head(self) -> bool:
        found = _HEAD_ENDS.search(self._buffer, max(0, self._looked - 3))
        if found is None:
            self._looked = len(self._buffer)
            self._check_lengths()
            return False
        self._path = path_of(self._buffer)
        given = IterUnreader([bytes(self._buffer)])
        try:
            request = Request(self._cfg, given, self._address, self._number)
        except (NoMoreData, StopIteration):
            raise InvalidRequestLine("incomplete") from None
        self._buffer = bytearray(given.take_buffered())
        self._note_body(request)
        self._request = request
        return True

    def _check_lengths(self) -> None:
        line = self._buffer.find(b"\r\n", 2)
        if (line if line >= 0 else len(self._buffer)) > self._cfg.limit_request_line + 2:
            raise LimitRequestLine(len(self._buffer), self._cfg.limit_request_line)
        if len(self._buffer) > LONGEST_HEAD:
            raise LimitRequestHeaders("longest head")

    def _note_body(self, request: Any) -> None:
        """Learn how the body is framed, and refuse one that says it is too long before any of it is read."""
        if isinstance(request.body.reader, ChunkedReader):
            self._chunks = ChunkScanner(self._longest)
        elif request.body.reader.length > self._longest:
            raise BodyTooLong
        # gunicorn would say "go on" when the body is there already; the loop says so in time.
        self.wants_continue = request._expected_100_continue  # noqa: SLF001  (has no public name)
        request._expected_100_continue = False  # noqa: SLF001  (as above)

    def _end_of_body(self) -> int | None:
        """Return how many bytes the body takes, None as long as they are not there."""
        if self._chunks is None:
            length: int = self._request.body.reader.length
            return length if len(self._buffer) >= length else None
        end = self._chunks.end(self._buffer)
        if end is None and len(self._buffer) > _CHUNK_OVERHEAD * self._longest:
            raise BodyTooLong
        return end
