"""Many virtual ConnectWise sites and receivers in one process: `python -m tests.long.benchmarks.sites EVERY LOW HIGH`.

A GET of a list is answered after LOW to HIGH ms: by no record, but each EVERY-th first page by one just changed (below
/quiet nothing changes). A POST is a notification, and answered by 204 at once. Prints its URL; below it, /_asked shows
which polls and notifications came more than once, and whether with other bytes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import socket
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import count

from cwconnect.core.processes import follow_parent

RECORDS = 1_000_000


class Sites(asyncio.Protocol):
    """One connection; requests come one after another."""

    reads = count(1)
    asked: Counter[str] = Counter()
    bodies: dict[str, set[int]] = defaultdict(set)
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
        target = head.split(b" ", 2)[1]
        if target == b"/_asked":
            self._send(_answer(self._repeated()))
            return
        self._count(head, target, body)
        if head.startswith(b"POST"):
            self._send(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            delay = random.uniform(self.low, self.high) / 1000
            self._loop.call_later(delay, self._send, _answer(self._page(target)))

    def _count(self, head: bytes, target: bytes, body: bytes) -> None:
        """Count a poll by its login and path, a notification by its id."""
        if webhook_id := _header(head, b"webhook-id"):
            self.bodies[webhook_id.decode()].add(hash(body))
        login = base64.b64decode(_header(head, b"authorization").removeprefix(b"Basic ")).partition(b"+")[0]
        self.asked[(webhook_id or login + b" " + target.partition(b"?")[0]).decode()] += 1

    def _repeated(self) -> dict[str, object]:
        return {
            "asked": len(self.asked),
            "repeated": {key: number for key, number in self.asked.items() if number > 1},
            "changed": [key for key, bodies in self.bodies.items() if len(bodies) > 1],
        }

    def _page(self, target: bytes) -> list[dict[str, object]]:
        if b"pageId=" in target or target.startswith(b"/quiet") or next(self.reads) % self.every:
            return []
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return [{"id": random.randrange(1, RECORDS), "notes": "x" * 800, "_info": {"lastUpdated": stamp}}]

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def _length(head: bytes) -> int:
    return int(_header(head, b"content-length") or 0)


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""


def _answer(what: object) -> bytes:
    body = json.dumps(what).encode()
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
