"""Many virtual ConnectWise sites and receivers in one cheap process: `python -m tests.benchmarks.sites EVERY LOW HIGH`.

A GET of a list is answered after LOW to HIGH ms: by no record, but each EVERY-th first page by one just changed (below
/quiet nothing changes). A POST is a notification, and answered by 204 at once. Prints its URL.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import count

from cwconnect.processes import follow_parent

RECORDS = 1_000_000


class Sites(asyncio.Protocol):
    """One connection; requests come one after another."""

    reads = count(1)
    every, low, high = 50, 100.0, 300.0

    def __init__(self) -> None:
        self._buffer = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is whole."""
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._buffer = b""
        if head.startswith(b"POST"):
            self._send(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            delay = random.uniform(self.low, self.high) / 1000
            self._loop.call_later(delay, self._send, _answer(self._page(head.split(b" ", 2)[1])))

    def _page(self, target: bytes) -> list[dict[str, object]]:
        if b"pageId=" in target or target.startswith(b"/quiet") or next(self.reads) % self.every:
            return []
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return [{"id": random.randrange(1, RECORDS), "notes": "x" * 800, "_info": {"lastUpdated": stamp}}]

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def _answer(page: list[dict[str, object]]) -> bytes:
    body = json.dumps(page).encode()
    date = formatdate(usegmt=True)
    head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def serve(every: int, low: float, high: float) -> None:
    """Serve on all of 127.0.0.0/8, so that sites may have hosts of their own."""
    Sites.every, Sites.low, Sites.high = every, low, high
    listener = socket.create_server(("0.0.0.0", 0), backlog=512)  # noqa: S104  # hosts 127.0.0.2 and on are wanted
    server = await asyncio.get_running_loop().create_server(Sites, sock=listener)
    sys.stdout.write(f"Sites http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    follow_parent()
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
