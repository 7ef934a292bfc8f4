"""Requests that wait for something to happen, without a thread: they are asked again when there is news.

A view that has nothing to answer yet leaves a `Ticket` with the `Parking` that it finds in its environ. Its answer is
thrown away, and its request is asked again when one of the ticket's topics has news, or when its time has come. What a
stream answers is sent, and the answer goes on with what is answered the next time, as long as that is a 200. So
each time all is judged anew: who asks, by which key, and what he may see.

The news are looked for by one call of the ticket's `look` for all that wait, in a thread. When the server stops, all
are asked a last time, and none may wait any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from cwconnect.web.connections import Connection, State
from cwconnect.web.event_loop import EventLoop

ENVIRON_KEY: Final = "cwconnect.parking"
Position = tuple[int, ...]
Look = Callable[[Position], tuple[Position, Collection[str]]]

_EVERY: Final = 0.5  # seconds between two looks for news
_REST: Final = 1.0  # seconds after which one that was asked is asked again at the earliest, for news
_PATIENCE: Final = 60.0  # seconds that the reader of a stream may take for what it was sent
_AT_ONCE: Final = 2  # are asked again, so that the other threads are for whoever asks now
_SCAN: Final = 0.1  # seconds: how often those that wait are looked through at most

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ticket:
    """What a request waits for: news of one of the `topics` after `position`, or `seconds` from now.

    `position` was taken before what was answered was read. `state` is what the view will find the next time.
    """

    topics: frozenset[str]
    position: Position
    seconds: float
    look: Look
    state: object
    group: str
    streams: bool = False


class Parking:
    """Where a view leaves its ticket; `state` is that of its last one, None when it is asked for the first time.

    `is_open`: the server goes on, so that one may wait; `has_room` says whether one more of a group may.
    """

    def __init__(self, state: object, *, is_open: bool, has_room: Callable[[str], bool]) -> None:
        self.state, self.is_open, self.has_room = state, is_open, has_room
        self.ticket: Ticket | None = None


@dataclass
class Parked:
    """A request that waits; of a stream, with the gunicorn response that goes on."""

    connection: Connection
    request: Any
    ticket: Ticket
    response: Any = None
    parked_at: float = 0.0
    has_news: bool = False

    def is_due(self, now: float) -> bool:
        """Return whether it is to be asked again."""
        if len(self.connection.outgoing):
            return False  # what it was sent is not taken yet
        since = now - self.parked_at
        return since >= self.ticket.seconds or (self.has_news and since >= _REST)

    def reads_nothing(self, now: float) -> bool:
        """Return whether what it was sent is not taken within its time."""
        return len(self.connection.outgoing) > 0 and now - self.parked_at > _PATIENCE


class CarPark:
    """All that wait in one process. `submit` runs a function in a thread, `ask` asks one again in there."""

    def __init__(
        self, *, submit: Callable[..., Any], ask: Callable[[Parked], None], most: int, wake: Callable[[], None]
    ) -> None:
        self._submit, self._ask, self._most, self._wake = submit, ask, most, wake
        self._lock = threading.Lock()
        self._parked: dict[Connection, Parked] = {}
        self._asking = 0
        self._position: Position | None = None
        self._looking = False
        self._next_look = self._next_scan = 0.0
        self._at_once = _AT_ONCE
        self._ending = False

    def __len__(self) -> int:
        return len(self._parked)

    def has_room(self, group: str) -> bool:
        """Return whether one more of a group may wait: of a group, half as many as of all."""
        with self._lock:
            same = sum(found.ticket.group == group for found in self._parked.values())
        return len(self._parked) + self._asking < self._most and same < self._most // 2

    # Called by threads

    def add(self, parked: Parked) -> None:
        """Have a request wait; its thread must not touch its connection any more."""
        with self._lock:
            position = parked.ticket.position
            if self._position is None or not self._parked:
                self._position = position
            # A look that was ahead of what this one has read may have taken news for the others that are news to it.
            parked.has_news = any(seen < known for seen, known in zip(position, self._position, strict=True))
            parked.parked_at = monotonic()
            parked.connection.enter(State.PARKED)
            self._parked[parked.connection] = parked
        self._wake()

    def _look(self, look: Look, since: Position) -> None:
        try:
            position, topics = look(since)
            with self._lock:
                self._position = position
                for parked in self._parked.values():
                    parked.has_news = parked.has_news or not parked.ticket.topics.isdisjoint(topics)
        except Exception:  # a database that is away is asked again; who waits goes on waiting
            log.exception("It could not be seen whether there is something for those who wait")
        finally:
            self._looking = False
            self._wake()

    def _ask_again(self, parked: Parked) -> None:
        try:
            self._ask(parked)
        finally:
            with self._lock:
                self._asking -= 1
            self._next_scan = 0.0
            self._wake()

    # Called by the loop's own thread

    def turn(self, loop: EventLoop) -> None:
        """Look for news, and have those asked that are due; who does not read what it was sent is closed."""
        now = monotonic()
        if not self._parked or now < self._next_scan:
            return
        self._next_scan = now + _SCAN
        with self._lock:
            gone = [found for found in self._parked.values() if found.connection.outgoing.closed]
            late = [found for found in self._parked.values() if found.reads_nothing(now)]
            for each in (*gone, *late):
                self._parked.pop(each.connection, None)
            due = sorted((found for found in self._parked.values() if self._is_due(found, now)), key=_order)
            begun = due[: max(0, self._at_once - self._asking)]
            for each in begun:
                del self._parked[each.connection]
            self._asking += len(begun)
        for each in late:
            loop.close(each.connection)
        for each in begun:
            loop.ask_again(each.connection)
            self._submit(self._ask_again, each)
        self._look_for_news(now)

    def end(self, at_once: int) -> None:
        """Have all asked now, so many at a time: the server stops."""
        self._ending, self._at_once, self._next_scan = True, at_once, 0.0

    def _is_due(self, parked: Parked, now: float) -> bool:
        return parked.is_due(now) or (self._ending and not len(parked.connection.outgoing))

    def _look_for_news(self, now: float) -> None:
        first = next(iter(self._parked.values()), None)
        if self._looking or now < self._next_look or first is None or self._position is None:
            return
        self._looking, self._next_look = True, now + _EVERY
        self._submit(self._look, first.ticket.look, self._position)


def _order(parked: Parked) -> float:
    return parked.parked_at
