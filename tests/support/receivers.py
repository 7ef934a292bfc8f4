"""A receiver on 127.0.0.1 that keeps what it is sent and answers what a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Got:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes
    target: str = "/events"
    peer: int = 0
    """The port it came from: the same for what came over one connection."""

    @property
    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)

    @property
    def webhook_id(self) -> str:
        """The id by which repeats are known."""
        return self.headers["webhook-id"]

    def events(self) -> list[tuple[str, str]]:
        """Kind and object id of the events it carries."""
        return [(event["eventType"], event["objectId"]) for event in self.json["message"]["events"]]


@dataclass
class Receiver:
    """What came, in order; `answer` gives status and headers for each request, and may take its time."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answer: Callable[[Got], tuple[int, dict[str, str]]] = lambda got: (204, {})
    body: Callable[[Got], bytes] = lambda got: b""

    def events(self) -> list[tuple[str, str]]:
        """Kind and object id of all events that came, in order."""
        return [event for got in self.got for event in got.events()]


@contextmanager
def start_receiver() -> Iterator[Receiver]:
    """Run a receiver on a free port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:
                return  # the sender died in the middle of it: nothing came
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = Got(headers, body, self.path, self.client_address[1])
            receiver.got.append(got)
            status, more = receiver.answer(got)
            with suppress(ConnectionError):  # the sender waits for no answer
                self._answer(status, more, receiver.body(got))

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Be quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/events"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
