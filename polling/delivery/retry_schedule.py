"""When a failed delivery is tried again (docs/wire-contract.md#6-headers-signatures-answers-and-retries). Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from cwconnect.outbound.retry_after import parse_retry_after

PATIENCE = timedelta(seconds=60)  # after 429 and time-outs: a receiver that is overrun gets air
JITTER = 0.2
LONGEST_RETRY_AFTER = 86_400.0


def next_wait(
    schedule: Sequence[float], step: int, *, status: int | None, timed_out: bool, retry_after: float | None
) -> timedelta | None:
    """Return how long to wait after the try that used up step number `step` (from 1), or None when none is left.

    `schedule` holds the delay before each try, in seconds; each is jittered by 20 %, so that receivers that failed
    together are not tried together. `retry_after` (seconds) is honoured as a least wait.
    """
    if step >= len(schedule):
        return None
    wait = timedelta(seconds=schedule[step] * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  (jitter)
    if status == 429 or timed_out:
        wait = max(wait, PATIENCE)
    if retry_after is not None:
        wait = max(wait, timedelta(seconds=retry_after))
    return wait


def retry_after_seconds(value: str, now: datetime) -> float | None:
    """Read a `Retry-After` header, seconds or an HTTP date (RFC 9110 §10.2.3); None when absent or unreadable.

    At most a day is honoured: a receiver can't park a notification beyond the schedule's own longest wait.
    """
    seconds = parse_retry_after(value, now=now)
    return None if seconds is None else min(seconds, LONGEST_RETRY_AFTER)
