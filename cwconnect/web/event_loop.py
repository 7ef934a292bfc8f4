"""The loop that waits for all connections at once: threads get whole requests, however slowly they come.

A request has a time for its head and one for its body, an answer one to be taken, each in total and not from byte to
byte. Where there are too many connections or bytes, the one that has been waited for longest goes: a request that is
meant to be answered is whole within milliseconds.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from cwconnect.web.connections import READING, Connection, State
from cwconnect.web.reading import RequestReader
from cwconnect.web.refusals import TooSlow

_PIECE = 64 * 1024
_ACCEPTED_AT_ONCE = 64
MOST_BYTES = 64 * 1024 * 1024
_WATCHED = {State.ANSWER: 0, State.REST_OF_ANSWER: 0}  # nothing is read then; all else is
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

log = logging.getLogger(__name__)

Answer = Callable[[Connection, Any], None]
Refuse = Callable[[Connection, Exception], None]


class EventLoop:
    """Reads requests and sends the rest of answers.

    `begin` hands a whole request over to a thread, which calls `finished` when it has written its answer; `refuse`
    writes the answer to what can't be read. `make_reader` makes what reads the next request of a connection.
    """

    def __init__(
        self,
        *,
        make_reader: Callable[[Any, bytes, int], RequestReader],
        begin: Answer,
        refuse: Refuse,
        most_connections: int,
        keep_alive: float,
        wake: Callable[[], None],
    ) -> None:
        self.connections: set[Connection] = set()
        self.selector = selectors.DefaultSelector()
        self._make_reader, self._begin, self._refuse = make_reader, begin, refuse
        self._most, self._keep_alive, self._wake = most_connections, keep_alive, wake
        self._listeners: list[socket.socket] = []
        self._accepting = True
        self._news: SimpleQueue[Connection] = SimpleQueue()

    # Called by threads

    def finished(self, connection: Connection) -> None:
        """Note that a thread has written its answer, or something of it that the reader has not taken."""
        self._news.put(connection)
        self._wake()

    # Called by the loop's own thread

    def listen(self, listener: socket.socket) -> None:
        """Accept what comes at a listening socket."""
        listener.setblocking(False)
        self._listeners.append(listener)
        self.selector.register(listener, selectors.EVENT_READ, self._accept)

    def stop_listening(self) -> None:
        """Accept nothing more."""
        self._accept_more(False)
        self._listeners.clear()

    def _accept_more(self, more: bool) -> None:
        """Have what comes wait in the system's queue while threads are at work on as many as may be there."""
        if more == self._accepting:
            return
        self._accepting = more
        for listener in self._listeners:
            if more:
                self.selector.register(listener, selectors.EVENT_READ, self._accept)
            else:
                self.selector.unregister(listener)

    def watch(self, file: int, act: Callable[[Any], None]) -> None:
        """Call `act` whenever a file can be read."""
        self.selector.register(file, selectors.EVENT_READ, act)

    def turn(self, seconds: float) -> None:
        """Wait for at most so many seconds and do what is to be done."""
        for key, events in self.selector.select(seconds):
            if isinstance(key.data, Connection):
                self._serve_safely(key.data, events)
            else:
                key.data(key.fileobj)
        self._hear_news()
        self._give_up_late()
        self._accept_more(self._accepting or len(self.connections) < self._most)

    def ask_again(self, connection: Connection) -> None:
        """Note that a thread is about to answer a request that was parked."""
        connection.enter(State.ANSWER)
        self._watch(connection)

    def end_idle(self) -> None:
        """Close the connections on which nobody has begun to ask."""
        for connection in [found for found in self.connections if found.state in READING and not len(found.reader)]:
            self.close(connection)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            if len(self.connections) >= self._most and not self._drop_longest_waiting():
                self._accept_more(False)
                return
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError:  # gone already; or no descriptor is left
                if not self._drop_longest_waiting():
                    self._accept_more(False)
                    return
                continue
            connection = Connection(sock, address, listener.getsockname(), self.finished)
            connection.reader = self._make_reader(address, b"", 1)
            self.connections.add(connection)
            self._watch(connection)

    def _serve_safely(self, connection: Connection, events: int) -> None:
        try:
            self._serve(connection, events)
        except Exception:  # a fault of ours on one connection ends that one, and not the service
            log.exception("A connection met a fault of the web server")
            self.close(connection)

    def _serve(self, connection: Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            connection.outgoing.flush()
            self._go_on(connection)
        elif connection.state is State.GOODBYE:
            if _receive(connection.socket) == b"":  # what still comes is thrown away
                self.close(connection)
        elif connection.state is State.PARKED:
            self._keep_for_later(connection)
        elif connection.state in READING:
            self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        data = _receive(connection.socket)
        if data is None:
            return
        if not data:
            self.close(connection)
            return
        if connection.state is State.IDLE:
            connection.enter(State.HEAD)
        connection.reader.feed(data)
        self._read(connection)
        if connection.held > _PIECE:
            self._bound_bytes()

    def _keep_for_later(self, connection: Connection) -> None:
        """Keep what is sent behind a request that waits; one that ends meanwhile, or sends very much, is closed."""
        data = _receive(connection.socket)
        connection.reader.feed(data or b"")
        if data == b"" or connection.held > _PIECE:
            self.close(connection)

    def _read(self, connection: Connection) -> None:
        """See whether a request is whole, and hand it over."""
        reader = connection.reader
        try:
            request = reader.read()
        except Exception as error:  # noqa: BLE001  (whatever the parser finds concerns this client alone)
            self.refuse(connection, error)
            return
        if request is not None:
            connection.enter(State.ANSWER)
            self._watch(connection)
            self._begin(connection, request)
        elif reader.head_is_read and connection.state is State.HEAD:
            connection.enter(State.BODY)
            if reader.wants_continue:
                connection.outgoing.sendall(_CONTINUE)

    def refuse(self, connection: Connection, error: Exception) -> None:
        """Answer what can't be read, and close."""
        connection.keep_alive = False
        self._refuse(connection, error)
        connection.enter(State.REST_OF_ANSWER)
        self._go_on(connection)

    def _hear_news(self) -> None:
        try:
            while True:
                connection = self._news.get_nowait()
                if connection in self.connections:
                    self._go_on(connection)
        except Empty:
            return

    def answered(self, connection: Connection, *, keep_alive: bool) -> None:
        """Note, in the thread that wrote it, that an answer is complete."""
        connection.keep_alive = keep_alive
        connection.enter(State.REST_OF_ANSWER)
        self.finished(connection)

    def _go_on(self, connection: Connection) -> None:
        """Do what follows what was just sent or written."""
        if connection.outgoing.closed:
            self.close(connection)
        elif len(connection.outgoing) or connection.state is not State.REST_OF_ANSWER:
            self._watch(connection)
            self._bound_bytes()
        elif connection.keep_alive:
            self._wait_for_next(connection)
        else:
            connection.say_goodbye()
            self._watch(connection)

    def _wait_for_next(self, connection: Connection) -> None:
        rest = connection.reader.rest
        connection.reader = self._make_reader(connection.address, rest, connection.reader.number + 1)
        connection.enter(State.HEAD if rest else State.IDLE, at_least=0 if rest else self._keep_alive)
        self._watch(connection)
        if rest:
            self._read(connection)

    def _give_up_late(self) -> None:
        now = time.monotonic()
        for connection in [found for found in self.connections if found.deadline <= now]:
            if connection.state in READING and len(connection.reader) + connection.reader.head_is_read:
                self.refuse(connection, TooSlow())
            else:
                self.close(connection)

    def _bound_bytes(self) -> None:
        while sum(connection.held for connection in self.connections) > MOST_BYTES:
            if not self._drop_longest_waiting():
                return

    def _drop_longest_waiting(self) -> bool:
        """Close the connection that has been waited for longest; False where all are at work, or parked."""
        waiting = [found for found in self.connections if found.state not in (State.ANSWER, State.PARKED)]
        if waiting:
            self.close(min(waiting, key=lambda found: found.since))
        return bool(waiting)

    def _watch(self, connection: Connection) -> None:
        """Have the selector look for what the connection's state waits for."""
        events = _WATCHED.get(connection.state, selectors.EVENT_READ)
        if len(connection.outgoing):
            events |= selectors.EVENT_WRITE
        if events == connection.watched:
            return
        if not connection.watched:
            self.selector.register(connection.socket, events, connection)
        elif not events:
            self.selector.unregister(connection.socket)
        else:
            self.selector.modify(connection.socket, events, connection)
        connection.watched = events

    def close(self, connection: Connection) -> None:
        """Close a connection at once."""
        if connection.watched:
            self.selector.unregister(connection.socket)
            connection.watched = 0
        self.connections.discard(connection)
        connection.close()


def _receive(sock: socket.socket) -> bytes | None:
    """Return what has come in, nothing at the end of it, None if there is nothing yet."""
    try:
        return sock.recv(_PIECE)
    except BlockingIOError:
        return None
    except OSError:
        return b""
