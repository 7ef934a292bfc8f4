"""What the supervisor sees through the database: what is due, and whether its cluster still works.

It runs in a thread of its own, so that a database that is slow or gone holds up neither a stop nor a restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from polling.workers import heartbeats, queue, wakeups

log = logging.getLogger(__name__)

SET_BACK = timedelta(minutes=1)  # what a clock is corrected by in small steps needs no mending


@dataclass(frozen=True)
class Timings:
    """All in seconds. `grace`: from SIGTERM to SIGKILL; requests in flight get eight, the rest is for writing."""

    look: float = 1.0
    beat: float = 10.0
    stale: float = 45.0
    stale_in_part: float = 450.0  # longer than the queue lets a task run, and one of the other kind after it
    grace: float = 8.2


@dataclass
class Sign:
    """One sign of life, and when it last changed by this process's monotonic clock."""

    part: heartbeats.Part
    value: datetime | None = None
    changed_at: float = 0.0

    def note(self, value: datetime | None, clock: float) -> None:
        """Take what the row says now."""
        if value is not None and value != self.value:
            self.value, self.changed_at = value, clock


@dataclass
class Watchdog:
    """Sends wake-ups and heartbeats, and judges from what comes back whether the cluster called `name` works.

    It is frozen if neither its workers showed life nor its heartbeat was answered for `stale` seconds. Each by itself
    has an innocent cause (another machine took the heartbeats; every worker is busy for a while), so that one alone
    counts only after `stale_in_part` seconds. `repair_clock_skew` sees to it that no time of a clock that was ahead
    holds anything up.
    """

    name: str
    repair_clock_skew: Callable[[datetime], object]
    timings: Timings = field(default_factory=Timings)
    clock: Callable[[], float] = time.monotonic
    _last_beat: float = field(default=float("-inf"), init=False)
    _outage: str = field(default="", init=False)
    _dead: list[str] = field(default_factory=list, init=False)
    _scanned_at: datetime | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._alive, self._answered = Sign(heartbeats.Part.CLUSTER), Sign(heartbeats.Part.ANSWER)
        self.start_over()

    def start_over(self) -> None:
        """Have patience anew: the cluster was just started, or could not have shown life."""
        self._alive.changed_at = self._answered.changed_at = self.clock()

    def cluster_ended(self, signature: str) -> None:
        """Have what the dead cluster held freed at the next look; costs no time now."""
        self._dead.append(signature)

    def tidy(self) -> None:
        """Free what dead clusters held: their places and leases, and the wake-ups that may have died with them."""
        while self._dead:
            heartbeats.release_dead_cluster(self.name, self._dead[0])
            wakeups.drop_pending_wakeups()
            del self._dead[0]

    def end(self) -> None:
        """Tidy for the last time, and let go of the database."""
        try:
            self.tidy()
        except DatabaseError as error:
            log.warning("What the ended cluster held is freed when its leases run out: %s", error)
        finally:
            connection.close()

    def frozen(self) -> str:
        """Return why the cluster counts as frozen, in words; empty if it does not."""
        now = self.clock()
        ages = sorted((now - self._alive.changed_at, now - self._answered.changed_at))
        if ages[0] > self.timings.stale:
            return f"no sign of life for {ages[0]:.0f} s"
        if ages[1] > self.timings.stale_in_part:
            return f"a part of it showed no sign of life for {ages[1]:.0f} s"
        return ""

    def look(self) -> None:
        """Look once; never raises, for whatever database and queue do, the supervisor goes on."""
        try:
            close_old_connections()
            self.tidy()
            self._mind_the_clock()
            seen = heartbeats.seen(self.name)
            for sign in (self._alive, self._answered):
                sign.note(seen.get(sign.part), self.clock())
            if self.clock() - self._last_beat >= self.timings.beat:
                queue.queue_beat(self.name)
                self._last_beat = self.clock()
            queue.enqueue_wakeups()
        except Exception as error:  # noqa: BLE001  (the clients of database and queue have many trees of errors)
            self._bear(error)
        else:
            if self._outage:
                log.warning("Database and queue can be reached again; waking goes on.")
                self._outage = ""

    def _mind_the_clock(self) -> None:
        """Have made good what was written while our clock was ahead: at first, and whenever it was set back."""
        now = timezone.now()
        if self._scanned_at is None or now < self._scanned_at - SET_BACK:
            queue.ensure_tick()
            self.repair_clock_skew(now)
        self._scanned_at = now

    def _bear(self, error: Exception) -> None:
        if not self._outage:
            # A database that is away needs no traceback; anything else does, it may be a fault of ours.
            known = isinstance(error, DatabaseError | OSError)
            log.error("Waking nobody, for database or queue can't be reached: %s", error, exc_info=not known)
        self._outage = str(error) or type(error).__name__
        connection.close()
        self.start_over()  # what can't be written or read proves nothing
