"""Where a look for due notifications may begin, so that it passes over none that may not be taken. Pure.

Looks go by *place*: due time and id. A subscription that may have no further request leaves what it has due behind, be
it a hundred thousand. The scheduler remembers how far it came, and for each subscription that it left something of,
from where on: the next look begins at the first place that may hold something for a subscription with room.

What becomes due behind such a place (a lease ran out, a slow transaction or another machine's clock wrote an earlier
time) is found by the look that begins at the head again: after `AFRESH_EVERY`, or later where such a look takes long,
so that it costs a twentieth of the time at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

Position = tuple[datetime, int]

HEAD: Position = (datetime.min.replace(tzinfo=UTC), 0)
AFRESH_EVERY = 1.0  # seconds
_SHARE = 20


class ScanCursor:
    """What the looks of one loop left behind. By `clock` (monotonic seconds), whatever the time of day does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._afresh_at = self._began = float("-inf")
        self._front = HEAD  # nothing is due before it, but for these:
        self._left: dict[int, Position] = {}  # the subscriptions of which something was left, from where on

    def begin(self, full: Collection[int]) -> Position:
        """Return the place at which a look begins that leaves out what `full` subscriptions have due."""
        self._began = self._clock()
        if self._began >= self._afresh_at:
            self._front, self._left = HEAD, {}
        return min([self._front, *(position for key, position in self._left.items() if key not in full)])

    def end(self, upto: Position, full: Collection[int], left: Mapping[int, Position]) -> None:
        """Take in that the look took all before `upto` but what `full` subscriptions have, and `left` from where."""
        if self._began >= self._afresh_at:
            now = self._clock()
            self._afresh_at = now + max(AFRESH_EVERY, _SHARE * (now - self._began))
        known = dict.fromkeys(full, self._front) | self._left | dict(left)
        self._front = max(self._front, upto)
        positions = {key: position if key in full else max(position, upto) for key, position in known.items()}
        self._left = {key: position for key, position in positions.items() if position < self._front}

    def put_back(self, subscription_id: int, position: Position) -> None:
        """Take in that something which had been taken is due again."""
        self._left[subscription_id] = min(position, self._left.get(subscription_id, self._front))
