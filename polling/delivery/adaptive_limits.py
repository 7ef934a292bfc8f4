"""Who may have how many requests at a time, in one worker process: so that a slow receiver holds up nobody else.

A thread sends the notifications of one instance in a *turn*, one after another. How many turns a receiver may have
beside each other, and how many notifications in each, is earned by deliveries and lost by failures. So one that hangs
binds two threads with a single notification each, while one that is quick takes hundreds by one claim: what a claim and
its transactions cost is shared by all of them.

Shares are per process: with N workers on all machines together, a receiver sees up to N times as many.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

PER_INSTANCE = 8
PER_HOST = 12
FIRST = 2
PROBES = 8
TURN_SECONDS = 0.1  # what a turn may take: the longest that an answer's commit, or a crash, has to reckon with
LONGEST_TURN = 32
MOST = 256  # notifications under way at a time: their bodies are held in memory
_WEIGHT = 0.2  # of the newest delivery, in the mean of how long they take


@dataclass
class Earned:
    """What one host has earned: `turns` beside each other, and the `seconds` that it takes a delivery by."""

    turns: int = FIRST
    seconds: float | None = None

    @property
    def length(self) -> int:
        """How many notifications one of its turns may have; one while nothing, or a failure, is known of it."""
        if self.seconds is None:
            return 1
        return max(1, min(LONGEST_TURN, int(TURN_SECONDS / max(self.seconds, 1e-6))))


class Trust:
    """What each host has earned.

    Two turns at first, one more for each delivery, half of them after a failure: a host that hangs thus binds two
    threads, not twelve, until its time-outs open its breaker. The length of its turns goes by how long it takes.
    """

    def __init__(self) -> None:
        self._earned: dict[str, Earned] = defaultdict(Earned)

    def of(self, host: str) -> Earned:
        """Give what the host has earned."""
        return self._earned[host]

    def learn(self, host: str, *, delivered: bool, seconds: float) -> None:
        """Take in how an attempt went."""
        earned = self._earned[host]
        if not delivered:
            earned.turns, earned.seconds = max(earned.turns // 2, FIRST), None
            return
        earned.turns = min(earned.turns + 1, PER_HOST)
        before = seconds if earned.seconds is None else earned.seconds
        earned.seconds = before + _WEIGHT * (seconds - before)


@dataclass(eq=False)
class Turn:
    """Notifications of an instance that one thread sends one after another, until one fails or the time is up.

    `over` is what the thread sets then: what is left is not sent, and goes back.
    """

    instance_id: int
    host: str
    length: int = 0
    over: bool = False
    _ends: float = field(default=float("inf"), init=False)

    def note(self, *, delivered: bool) -> None:
        """Take in how one of them went; by the thread."""
        now = time.monotonic()
        self.over = self.over or not delivered or now > self._ends
        self._ends = min(self._ends, now + TURN_SECONDS)


class Shares:
    """What is taken of each share while a claim is being made.

    `running` holds the turn of each notification under way, `room` says how many turns may be begun beside those.
    """

    def __init__(self, room: int, running: Collection[Turn], trust: Trust) -> None:
        self.room, self.places = room, MOST - len(running)
        self._running = set(running)
        self._instances = Counter(turn.instance_id for turn in self._running)
        self._hosts = Counter(turn.host for turn in self._running)
        self._begun: dict[int, list[Turn]] = defaultdict(list)
        self._trust = trust

    def full_instances(self) -> set[int]:
        """Give the instances with requests in flight that may have no further turn."""
        return {turn.instance_id for turn in self._running if not self._has_room(turn.instance_id, turn.host)}

    def take(self, instance_id: int, host: str) -> Turn | None:
        """Take a place for a notification: in a turn of its own while there is room, else in the shortest begun."""
        turn = self._begin(instance_id, host) or self._shortest(instance_id, host)
        if turn is not None:
            turn.length += 1
            self.places -= 1
        return turn

    def _begin(self, instance_id: int, host: str) -> Turn | None:
        if not self._has_room(instance_id, host):
            return None
        turn = Turn(instance_id, host)
        self._begun[instance_id].append(turn)
        self.room -= 1
        self._instances[instance_id] += 1
        self._hosts[host] += 1
        return turn

    def _shortest(self, instance_id: int, host: str) -> Turn | None:
        shortest = min(self._begun[instance_id], key=lambda turn: turn.length, default=None)
        return shortest if shortest is not None and shortest.length < self._trust.of(host).length else None

    def _has_room(self, instance_id: int, host: str) -> bool:
        mine = self._instances[instance_id] < PER_INSTANCE and self._hosts[host] < self._trust.of(host).turns
        return self.room > 0 and self.places > 0 and mine
