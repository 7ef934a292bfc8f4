"""A connection as the loop sees it, and how long each of its states may last, whatever trickles in meanwhile."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any

from cwconnect.web.reading import RequestReader
from cwconnect.web.writing import Outgoing


class State(Enum):
    """What is waited for; the value is how many seconds in all, where it has an end of its own."""

    HEAD = 10.0
    BODY = 30.0
    IDLE = 5.0  # or gunicorn's `keepalive`, if that is longer
    ANSWER = None
    PARKED = "until there is news"
    REST_OF_ANSWER = 60.0
    GOODBYE = 2.0


READING = frozenset((State.HEAD, State.BODY, State.IDLE))


class Connection:
    """A client's socket with the request that is being read and the answer that is being sent."""

    def __init__(self, sock: socket.socket, address: Any, server: Any, wake: Callable[[Connection], None]) -> None:
        """Begin to wait for a first request."""
        sock.setblocking(False)
        self.socket, self.address, self.server = sock, address, server
        self.outgoing = Outgoing(sock, lambda: wake(self))
        self.reader: RequestReader
        self.keep_alive = False
        self.watched = 0  # the selector's events
        self.enter(State.HEAD)

    def enter(self, state: State, *, at_least: float = 0.0) -> None:
        """Begin a state, with its full time; `at_least` so many seconds."""
        self.state, self.since = state, time.monotonic()
        seconds = max(state.value, at_least) if isinstance(state.value, float) else float("inf")
        self.deadline = self.since + seconds

    @property
    def held(self) -> int:
        """How many bytes are kept for it."""
        return len(self.outgoing) + len(self.reader)

    def close(self) -> None:
        """Close it at once; a thread that still writes to it finds the reader gone."""
        self.outgoing.close()
        with suppress(OSError):
            self.socket.close()

    def say_goodbye(self) -> None:
        """Send no more, and wait for the other side to have read all: closing at once could cut the answer short."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        self.enter(State.GOODBYE)
