"""Small servers on 127.0.0.1 whose every byte a test decides, to try the outbound door and the client against."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from types import TracebackType

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class RawServer:
    """Calls `handle(connection)` in a thread for each connection, and counts the connections."""

    def __init__(self, handle: Callable[[socket.socket], None], host: str = "127.0.0.1", port: int = 0) -> None:
        self._handle = handle
        self._listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def __enter__(self) -> RawServer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.refuse_others()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def refuse_others(self) -> None:
        """Take no further connections; those that stand go on."""
        with contextlib.suppress(OSError):  # done before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            twin = connection.dup()  # ends the connection even if a handler has wrapped the first into TLS
            self.connections.append(twin)
            thread = threading.Thread(target=self._serve, args=(connection, twin))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, twin: socket.socket) -> None:
        with twin, connection:
            with contextlib.suppress(OSError):
                self._handle(connection)
            with contextlib.suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)


def read_request(connection: socket.socket) -> bytes:
    """Read one request with its body; nothing if the other side has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def requests_of(connection: socket.socket) -> Iterator[bytes]:
    """Return the requests of a kept-alive connection until the other side closes it."""
    while request := read_request(connection):
        yield request


def answer(body: bytes = b"", status: str = "200 OK", headers: tuple[str, ...] = ()) -> bytes:
    """Write an answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def always(*parts: bytes) -> Callable[[socket.socket], None]:
    """Make a handler that answers every request with the same bytes."""

    def handle(connection: socket.socket) -> None:
        for _ in requests_of(connection):
            connection.sendall(b"".join(parts))

    return handle
