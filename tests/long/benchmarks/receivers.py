"""Receivers in a process of their own: one that takes everything, and four that are trouble. Costs next to nothing.

`/healthy` takes 204, `/slow` after 100 ms; `/limiting` answers 429, `/hanging` never, `/dripping` a byte a second.
Each has a port of its own. `GET /arrivals` at the healthy port gives, by webhook-id, when each POST came.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from functools import partial
from typing import Final

KINDS: Final = ("healthy", "slow", "limiting", "hanging", "dripping")
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"

arrivals: dict[str, list[float]] = defaultdict(list)


async def serve(kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            await reader.readexactly(int(headers.get("content-length", 0)))
            if head.startswith("GET /arrivals"):
                body = json.dumps(arrivals).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            else:
                await answer(kind, headers.get("webhook-id", ""), writer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has closed: the usual end of a connection
    finally:
        writer.close()


async def answer(kind: str, webhook_id: str, writer: asyncio.StreamWriter) -> None:
    """Answer one notification as the receiver's kind does."""
    if kind in ("healthy", "slow"):
        arrivals[webhook_id].append(time.time())
        if kind == "slow":
            await asyncio.sleep(0.1)
        writer.write(NO_CONTENT)
    elif kind == "limiting":
        writer.write(TOO_MANY)
    elif kind == "hanging":
        await asyncio.sleep(3600)
    else:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(1)


async def main() -> None:
    """Open a port for each kind and print their URLs as JSON; end with standard input."""
    urls = {}
    for kind in KINDS:
        server = await asyncio.start_server(partial(serve, kind), "127.0.0.1", 0)
        urls[kind] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{kind}"
    sys.stdout.write(json.dumps(urls, separators=(",", ":")) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
