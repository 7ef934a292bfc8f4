"""Requests that wait without a thread: when they are asked again, and what becomes of those that nobody reads."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cwconnect.web import parking
from cwconnect.web.connections import Connection, State
from cwconnect.web.parking import CarPark, Parked, Position, Ticket


class Loop:
    """In the event loop's place: notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[Connection] = []
        self.closed: list[Connection] = []

    def ask_again(self, connection: Connection) -> None:
        self.asked.append(connection)

    def close(self, connection: Connection) -> None:
        self.closed.append(connection)
        connection.close()


class Town:
    """A car park whose threads are this one, with a clock and news of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.news, self.looks = 1000.0, set[str](), list[Position]()
        self.answered: list[Parked] = []
        self.later: list[Callable[[], None]] = []
        self.holds_threads = False
        monkeypatch.setattr(parking, "monotonic", lambda: self.now)
        self.loop: Any = Loop()
        self.park = CarPark(submit=self.submit, ask=self.answered.append, most=8, wake=lambda: None)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> None:
        if self.holds_threads:
            self.later.append(lambda: function(*arguments))
        else:
            function(*arguments)

    def look(self, since: Position) -> tuple[Position, set[str]]:
        self.looks.append(since)
        if "fails" in self.news:
            raise OSError("the database is away")
        return (since[0] + len(self.news),), self.news

    def ticket(self, topic: str, seconds: float = 10.0, position: int = 5, group: str = "a") -> Ticket:
        return Ticket(frozenset((topic,)), (position,), seconds, self.look, None, group)

    def pass_time(self, seconds: float) -> list[Parked]:
        """Let time pass and turn twice, since what a look finds is asked at the next turn; who was asked."""
        before = len(self.answered)
        self.now += seconds
        for _ in range(2):
            self.park.turn(self.loop)
            self.now += 0.2
        return self.answered[before:]


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch) -> Town:
    return Town(monkeypatch)


@pytest.fixture
def connect() -> Iterator[Callable[[], Connection]]:
    opened: list[socket.socket] = []

    def make() -> Connection:
        ours, theirs = socket.socketpair()
        opened.extend((ours, theirs))
        return Connection(ours, None, None, lambda connection: None)

    yield make
    for each in opened:
        each.close()


Connect = Callable[[], Connection]


def test_news_of_its_topic_has_a_request_asked_again_and_others_wait_on(town: Town, connect: Connect) -> None:
    mine, other = (Parked(connect(), None, town.ticket(topic)) for topic in ("mine", "other"))
    town.park.add(mine)
    town.park.add(other)
    assert mine.connection.state is State.PARKED
    assert town.pass_time(2) == []
    town.news = {"mine"}
    assert town.pass_time(1) == [mine]
    assert town.loop.asked == [mine.connection]
    assert len(town.park) == 1


def test_one_look_serves_all_and_begins_where_the_last_one_ended(town: Town, connect: Connect) -> None:
    for _ in range(3):
        town.park.add(Parked(connect(), None, town.ticket("mine")))
    town.news = {"strange"}
    for _ in range(3):
        town.pass_time(0.6)
    assert town.looks == [(5,), (6,), (7,)]


def test_without_news_it_is_asked_again_when_its_time_has_come(town: Town, connect: Connect) -> None:
    parked = Parked(connect(), None, town.ticket("mine", seconds=3))
    town.park.add(parked)
    assert town.pass_time(2) == []
    assert town.pass_time(1) == [parked]


def test_who_was_just_asked_has_a_rest_from_news(town: Town, connect: Connect) -> None:
    town.news = {"mine"}
    parked = Parked(connect(), None, town.ticket("mine"))
    town.park.add(parked)
    assert town.pass_time(0.1) == []
    assert town.pass_time(1) == [parked]


def test_a_look_that_was_ahead_of_a_request_is_news_to_it(town: Town, connect: Connect) -> None:
    town.park.add(Parked(connect(), None, town.ticket("other", seconds=100)))
    town.news = {"mine"}
    town.pass_time(1)
    town.news = set()
    late = Parked(connect(), None, town.ticket("mine", position=5))
    town.park.add(late)
    assert town.pass_time(1.5) == [late]
    in_time = Parked(connect(), None, town.ticket("mine", position=6))
    town.park.add(in_time)
    assert town.pass_time(1.5) == []


def test_a_look_that_fails_is_done_again(town: Town, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    parked = Parked(connect(), None, town.ticket("mine"))
    town.park.add(parked)
    town.news = {"fails"}
    assert town.pass_time(1) == []
    assert "the database is away" in caplog.text
    town.news = {"mine"}
    assert town.pass_time(1) == [parked]


def test_few_are_asked_at_once_and_all_when_the_server_stops(town: Town, connect: Connect) -> None:
    town.holds_threads = True
    everyone = [Parked(connect(), None, town.ticket("mine", seconds=1)) for _ in range(5)]
    for parked in everyone:
        town.park.add(parked)
    town.pass_time(2)
    assert len(town.loop.asked) == 2
    town.park.end(at_once=8)
    town.pass_time(0)
    assert len(town.loop.asked) == 5


def test_nobody_is_asked_who_has_not_taken_what_he_was_sent_and_in_the_end_he_is_closed(
    town: Town, connect: Connect
) -> None:
    parked = Parked(connect(), None, town.ticket("mine", seconds=1))
    while not len(parked.connection.outgoing):
        parked.connection.outgoing.sendall(bytes(100_000))
    town.park.add(parked)
    assert town.pass_time(30) == []
    assert town.loop.closed == []
    assert town.pass_time(31) == []
    assert town.loop.closed == [parked.connection]
    assert len(town.park) == 0


def test_who_is_gone_is_forgotten(town: Town, connect: Connect) -> None:
    parked = Parked(connect(), None, town.ticket("mine", seconds=1))
    town.park.add(parked)
    parked.connection.close()
    assert town.pass_time(2) == []
    assert len(town.park) == 0


def test_half_of_the_places_are_a_groups(town: Town, connect: Connect) -> None:
    for _ in range(4):
        assert town.park.has_room("a")
        town.park.add(Parked(connect(), None, town.ticket("mine", group="a")))
    assert not town.park.has_room("a")
    for _ in range(4):
        assert town.park.has_room("b")
        town.park.add(Parked(connect(), None, town.ticket("mine", group="b")))
    assert not town.park.has_room("c")
