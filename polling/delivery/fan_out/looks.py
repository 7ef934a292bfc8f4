"""Which instances a worker's fan-out has to look at: cheap enough to be asked at every look of the delivery loop.

While nothing is recorded a look is one value; what was recorded since the look before names the instances. All that
read the log are looked at in the beginning and every fifteen seconds: what a worker that died left, or one that
another had its hands on, is found by that.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from math import inf

from polling.log.event_ids import complete_id, last_taken
from polling.log.readers import instances_with_news, read_lagging

EVERY = 0.02  # seconds between two looks at what is new
ALL_EVERY = 15.0
ALL_EVERY_WHILE_NOBODY_READS = 1.0  # so that somebody's first events need not wait longer
TAKEN_EVERY = 0.5  # for what another worker has its hands on


class Looks:
    """What one loop knows of the log; of `among` alone, where that is given."""

    def __init__(self, among: Collection[int] | None = None) -> None:
        self.upto = 0
        self._among = None if among is None else frozenset(among)
        self._pending: dict[int, float] = {}  # by when they may be looked at
        self._at = self._all_at = -inf
        self._somebody_reads = True

    def instances(self) -> list[int]:
        """Return the instances whose subscriptions may lag now. `upto` is what they may read up to."""
        now = time.monotonic()
        if now >= self._all_at + (ALL_EVERY if self._somebody_reads else ALL_EVERY_WHILE_NOBODY_READS):
            self._all_at = self._at = now
            self._look_at_all()
        elif self._somebody_reads and now >= self._at + EVERY:
            self._at = now
            self._look_at_news()
        return [instance for instance, at in self._pending.items() if at <= now]

    def is_done(self, instance: int) -> None:
        """Take in that none of an instance's subscriptions lags any more."""
        self._pending.pop(instance, None)

    def put_off(self, instance: int) -> None:
        """Take in that others work on what lags of an instance: nothing of it is looked at for a while but news."""
        self._pending[instance] = time.monotonic() + TAKEN_EVERY

    def _look_at_all(self) -> None:
        self.upto = complete_id()
        found = read_lagging(self.upto)
        self._somebody_reads = bool(found)
        lagging = self._wanted({instance for instance, lags in found.items() if lags})
        self._pending |= dict.fromkeys(lagging - self._pending.keys(), 0.0)

    def _look_at_news(self) -> None:
        if last_taken() == self.upto:
            return
        before, self.upto = self.upto, complete_id()
        if self.upto > before:
            # At once, though an instance was put off: one of its subscriptions may be stuck, and the others are not.
            self._pending |= dict.fromkeys(self._wanted(instances_with_news(before, self.upto)), 0.0)

    def _wanted(self, instances: set[int]) -> set[int]:
        return instances if self._among is None else instances & self._among
