"""How many requests a tenant may send a minute, if that is to be limited."""

from __future__ import annotations

import math
import threading
from collections import deque

from cwconnect.sandbox.errors import Response, answer

_WINDOW = 60.0


class RateLimit:
    """Lets `per_minute` requests pass in any sixty seconds, all if that is None; those refused do not count."""

    def __init__(self) -> None:
        self._per_minute: int | None = None
        self._passed: deque[float] = deque()
        self._lock = threading.Lock()

    @property
    def per_minute(self) -> int | None:
        """The limit; setting it begins a new count."""
        return self._per_minute

    @per_minute.setter
    def per_minute(self, number: int | None) -> None:
        with self._lock:
            self._per_minute = number
            self._passed.clear()

    def refusal(self, now: float) -> Response | None:
        """Return the 429 for a request that comes at `now` (monotonic seconds) too early; None lets it pass."""
        with self._lock:
            if self._per_minute is None:
                return None
            while self._passed and self._passed[0] <= now - _WINDOW:
                self._passed.popleft()
            if len(self._passed) < self._per_minute:
                self._passed.append(now)
                return None
            wait = math.ceil(self._passed[0] + _WINDOW - now) if self._passed else int(_WINDOW)
        return too_many(wait)


def too_many(seconds: int) -> Response:
    """429, with the time to wait in words and in `Retry-After`."""
    message = f"Too many requests. Please try again in {seconds} seconds."
    return answer({"error": "ConnectWiseAPI", "message": message}, 429, (("Retry-After", str(seconds)),))
