"""The receiver of all notifications, in a process of its own, and what it took, read from its log.

`python -m tests.long.faults.receiver PORT LOG MODE KEY`. It notes a notification before it answers, as a careful
integrator does; killed in between, it is sent it again. The file MODE says how it behaves: empty, well; a number, it
takes nothing and answers that; `mute`, it takes the notification and hangs up without an answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cwconnect.core.processes import follow_parent
from cwconnect.site.demo_receiver import verify
from tests.long.faults.connectwise import VERSION
from tests.long.faults.line_reader import Tail

FURTHER = "/further"
"""The path at which an instance's further subscription is notified."""


@dataclass(frozen=True)
class DeliveredEvent:
    """One event as the receiver took it. `instance` is below zero where a further subscription of it was notified."""

    instance: int
    list: str
    id: int
    kind: str
    version: int


@dataclass(frozen=True)
class Arrival:
    """One notification that was taken, or refused if `status` is not 204; by the receiver's clock."""

    at: float
    webhook_id: str
    digest: str
    status: int
    verified: bool
    events: tuple[DeliveredEvent, ...]


class Taken:
    """The receiver's log as read so far."""

    def __init__(self, log: Path) -> None:
        log.touch()
        self._tail = Tail(log)
        self.arrivals: list[Arrival] = []
        self.newest: dict[tuple[int, str, int], int] = {}

    def read_on(self) -> None:
        """Read what was added."""
        for line in self._tail.lines():
            at, webhook_id, digest, status, verified, events = json.loads(line)
            delivered = tuple(DeliveredEvent(*event) for event in events)
            arrival = Arrival(at, webhook_id, digest, status, verified, delivered)
            self.arrivals.append(arrival)
            for event in arrival.events if arrival.status == 204 else ():
                key = (event.instance, event.list, event.id)
                self.newest[key] = max(event.version, self.newest.get(key, 0))

    def first(self) -> Iterator[Arrival]:
        """Return each notification as it was taken first, in that order."""
        seen = set()
        for arrival in self.arrivals:
            if arrival.status == 204 and arrival.webhook_id not in seen:
                seen.add(arrival.webhook_id)
                yield arrival

    def close(self) -> None:
        """Close the log."""
        self._tail.close()


class Server(ThreadingHTTPServer):
    """Threads, and room for many to knock at once."""

    daemon_threads = True
    request_queue_size = 128


def main(port: int, log: Path, mode: Path, key: str) -> None:
    """Serve until killed."""
    follow_parent()
    Server(
        ("127.0.0.1", port), _handler(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), mode, key)
    ).serve_forever()


def _handler(log: int, mode: Path, key: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Notes, then answers."""

        timeout = 30

        def do_POST(self) -> None:
            """Take one notification, or refuse it."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            how = mode.read_text() if mode.exists() else ""
            status = int(how) if how.isdigit() else 204
            verified = verify(key, self.headers, body)  # type: ignore[arg-type]  # reads any case
            further = self.path.startswith(FURTHER)
            os.write(log, _note(self.headers["webhook-id"], body, status, verified=verified, further=further))
            if how == "mute":
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name)
            """Stay silent: the log has it."""

    return Handler


def _note(webhook_id: str, body: bytes, status: int, *, verified: bool, further: bool) -> bytes:
    message = json.loads(body)["message"]
    instance = -message["instanceId"] if further else message["instanceId"]
    records = message["raw"][message["raw"]["objectType"]]
    events = [
        (instance, event["objectType"], int(event["objectId"]), event["eventType"], record[VERSION])
        for event, record in zip(message["events"], records, strict=True)
    ]
    digest = hashlib.sha256(body).hexdigest()
    return json.dumps([time.time(), webhook_id, digest, status, verified, events]).encode() + b"\n"


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
