"""A receiver that takes everything at next to no cost, in a process of its own; it prints its URL.

`GET /arrivals` gives when each POST came, by webhook-id, as JSON of Unix times.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

TAKEN = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
WEBHOOK_ID = re.compile(rb"\r\nwebhook-id: *(\S+)", re.IGNORECASE)

arrivals: dict[str, float] = {}


class Sink(asyncio.Protocol):
    """One connection: requests are cut off by their lengths and answered, never read further."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._data = transport, b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self._data, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._data) < whole:
                return
            self._answer(self._data[:end])
            self._data = self._data[whole:]

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"GET /arrivals"):
            body = json.dumps(arrivals).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            return
        if named := WEBHOOK_ID.search(head):
            arrivals[named[1].decode()] = time.time()
        self._transport.write(TAKEN)


async def main() -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
