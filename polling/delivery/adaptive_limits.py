"""Who may have how many requests at a time, in one worker process: so that a slow receiver holds up nobody else.

A thread sends the notifications of one subscription in a *batch*, one after another. How many batches a receiver may
have beside each other, and how many notifications in each, grows with deliveries and falls with failures. So one that
hangs binds two threads with a single notification each, while one that is quick takes hundreds by one claim: what a
claim and its transactions cost is shared by all of them.

Shares are per process: with N workers on all machines together, a receiver sees up to N times as many.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

PER_SUBSCRIPTION = 8
PER_HOST = 12
FIRST = 2
PROBES = 8
BATCH_SECONDS = 0.1  # what a batch may take: the longest that an answer's commit, or a crash, has to reckon with
LONGEST_BATCH = 32
MOST = 256  # notifications under way at a time: their bodies are held in memory
_WEIGHT = 0.2  # of the newest delivery, in the mean of how long they take


@dataclass
class HostStats:
    """What is known of one host: `batches` beside each other, and the `seconds` that it takes a delivery by."""

    batches: int = FIRST
    seconds: float | None = None

    @property
    def length(self) -> int:
        """How many notifications one of its batches may have; one while nothing, or a failure, is known of it."""
        if self.seconds is None:
            return 1
        return max(1, min(LONGEST_BATCH, int(BATCH_SECONDS / max(self.seconds, 1e-6))))


class AdaptiveLimits:
    """What is known of each host.

    Two batches at first, one more for each delivery, half of them after a failure: a host that hangs thus binds two
    threads, not twelve, until its time-outs open its breaker. The length of its batches goes by how long it takes.
    """

    def __init__(self) -> None:
        self._stats: dict[str, HostStats] = defaultdict(HostStats)

    def of(self, host: str) -> HostStats:
        """Return what is known of the host."""
        return self._stats[host]

    def learn(self, host: str, *, delivered: bool, seconds: float) -> None:
        """Take in how an attempt went."""
        stats = self._stats[host]
        if not delivered:
            stats.batches, stats.seconds = max(stats.batches // 2, FIRST), None
            return
        stats.batches = min(stats.batches + 1, PER_HOST)
        before = seconds if stats.seconds is None else stats.seconds
        stats.seconds = before + _WEIGHT * (seconds - before)


@dataclass(eq=False)
class Batch:
    """Notifications of a subscription that one thread sends one after another, until one fails or the time is up.

    `over` is what the thread sets then: what is left is not sent, and goes back.
    """

    subscription_id: int
    host: str
    length: int = 0
    over: bool = False
    _ends: float = field(default=float("inf"), init=False)

    def note(self, *, delivered: bool) -> None:
        """Take in how one of them went; by the thread."""
        now = time.monotonic()
        self.over = self.over or not delivered or now > self._ends
        self._ends = min(self._ends, now + BATCH_SECONDS)


class ConcurrencyLimiter:
    """What is taken of each share while a claim is being made.

    `running` holds the batch of each notification under way, `capacity` says how many batches may be begun beside
    those; `slow` hosts are given none.
    """

    def __init__(
        self, capacity: int, running: Collection[Batch], limits: AdaptiveLimits, *, slow: Collection[str] = ()
    ) -> None:
        self.capacity, self.slots = capacity, MOST - len(running)
        self._running = set(running)
        self._subscriptions = Counter(batch.subscription_id for batch in self._running)
        self._hosts = Counter(batch.host for batch in self._running)
        self._begun: dict[int, list[Batch]] = defaultdict(list)
        self._limits, self._slow = limits, slow

    def full_subscriptions(self) -> set[int]:
        """Return the subscriptions with requests in flight that may have no further batch."""
        return {
            batch.subscription_id
            for batch in self._running
            if not self._has_capacity(batch.subscription_id, batch.host)
        }

    def take(self, subscription_id: int, host: str) -> Batch | None:
        """Take a place for a notification: in a batch of its own while there is room, else in the shortest begun."""
        batch = self._begin(subscription_id, host)
        if batch is None:
            batch = min(self._begun[subscription_id], key=lambda begun: begun.length, default=None)
            if batch is None or batch.length >= self._limits.of(host).length:
                return None
        batch.length += 1
        self.slots -= 1
        return batch

    def _begin(self, subscription_id: int, host: str) -> Batch | None:
        if not self._has_capacity(subscription_id, host):
            return None
        batch = Batch(subscription_id, host)
        self._begun[subscription_id].append(batch)
        self.capacity -= 1
        self._subscriptions[subscription_id] += 1
        self._hosts[host] += 1
        return batch

    def _has_capacity(self, subscription_id: int, host: str) -> bool:
        mine = (
            self._subscriptions[subscription_id] < PER_SUBSCRIPTION
            and self._hosts[host] < self._limits.of(host).batches
            and host not in self._slow
        )
        return self.capacity > 0 and self.slots > 0 and mine
