"""Who waits for a lock of rows, on PostgreSQL; other databases of the server left aside."""

from __future__ import annotations

import time
from collections.abc import Callable

from cwconnect.core.statements import rows_of

# By locks alone: what PostgreSQL says of sessions stays as it was for the rest of a transaction.
_WAITING = """SELECT 1 FROM pg_locks WHERE NOT granted AND pid IN (
    SELECT pid FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
) LIMIT 1
"""


def wait_for_who_waits(*, unless: Callable[[], bool] = lambda: False, seconds: float = 20.0) -> None:
    """Return once somebody waits for what another has locked, or `unless` is true; AssertionError after a while."""
    until = time.monotonic() + seconds
    while not unless() and not rows_of(_WAITING, ()):
        assert time.monotonic() < until, "nobody waits for a lock"
        time.sleep(0.005)
