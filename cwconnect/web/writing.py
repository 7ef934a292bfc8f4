"""An answer on its way out: a thread writes it without waiting, and the loop sends what the reader has not taken yet.

Only a stream that is far ahead of its reader waits, and not for long, so a slow reader holds no thread.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

PATIENCE = 60.0  # seconds that a thread waits for its reader to take HIGH_WATER bytes
HIGH_WATER = 4 * 1024 * 1024  # the longest of our files is 3.9 MB; only exports are streamed beyond


class Outgoing:
    """Stands for a connection's socket where gunicorn writes to it; `wake` is called when the loop has to send."""

    def __init__(self, sock: socket.socket, wake: Callable[[], None]) -> None:
        self._socket, self._wake = sock, wake
        self._waiting = bytearray()
        self._changed = threading.Condition()
        self._closed = False
        self._patience, self._taken = PATIENCE, 0

    def __len__(self) -> int:
        """Return how many bytes wait to be sent."""
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        """Whether the reader is gone."""
        return self._closed

    def send(self, data: bytes) -> int:
        """Take all of `data`, as a socket would; BrokenPipeError when the reader is gone."""
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Send at once what the reader takes, keep the rest; waits only while very much is kept already."""
        with self._changed:
            self._wait_for_room()
            if self._closed:
                raise BrokenPipeError("the reader is gone")
            if self._waiting:
                self._waiting += data
                return
            sent = self._try(data)
            self._waiting += memoryview(data)[sent:]
        if self._waiting:
            self._wake()

    def _wait_for_room(self) -> None:
        began = time.monotonic()
        room = self._changed.wait_for(lambda: self._closed or len(self._waiting) < HIGH_WATER, self._patience)
        self._patience -= time.monotonic() - began
        self._closed = self._closed or not room

    def flush(self) -> None:
        """Send what the reader takes of what is kept; to be called by the loop."""
        with self._changed:
            sent = self._try(self._waiting)
            del self._waiting[:sent]
            self._taken += sent
            if self._taken >= HIGH_WATER:
                self._patience, self._taken = PATIENCE, 0
            self._changed.notify_all()

    def close(self) -> None:
        """Keep and take nothing more: the reader is gone, or is given up."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _try(self, data: bytes | bytearray) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._closed = True
            return len(data)
