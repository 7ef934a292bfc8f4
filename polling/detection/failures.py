"""What a failed poll leads to: how its health is called, when it is tried again, who else must stop. Pure.

| Failure | Health | Tried again |
|---|---|---|
| network, time-out, 5xx, an answer that can't be read | retrying | 30 s, doubled each time, 15 min at most |
| 429 | rate limited | when ConnectWise allows it, with all polls of that company |
| 401 | unauthorized | hourly, by one poll of the instance; the others wait for it |
| 403 on the resource | unauthorized | hourly; the login is accepted, so the others go on |
| 400 and whatever else ConnectWise refuses | rejected | hourly |

So everything recovers by itself once its cause is gone, and nothing hammers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

from cwconnect.connectwise.errors import ConnectWiseError, Forbidden, RateLimited, Unauthorized
from polling.models import Health

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
PROBE_EVERY = timedelta(hours=1)
LONGEST_RETRY_AFTER = timedelta(hours=1)  # a header gone wrong must not park a company for years


@dataclass(frozen=True)
class RetryDecision:
    """What follows from a failure; `site_waits`: every poll of that ConnectWise company waits as long.

    `login_accepted`: the request failed for another reason than its login, so polls that a refused one stopped go on.
    """

    health: Health
    wait: timedelta
    site_waits: bool = False
    stops_instance: bool = False
    login_accepted: bool = False


def decide_retry(error: ConnectWiseError | None, failures: int) -> RetryDecision:
    """Return what follows from the `failures`-th failure in a row; `error` is None for a fault of our own."""
    if isinstance(error, RateLimited):
        wait = _retry_after(error) or FIRST_WAIT
        return RetryDecision(Health.RATE_LIMITED, wait + timedelta(seconds=random.uniform(0, 5)), site_waits=True)  # noqa: S311  (jitter)
    if isinstance(error, Unauthorized):
        return RetryDecision(Health.UNAUTHORIZED, PROBE_EVERY, stops_instance=True)
    if isinstance(error, Forbidden):
        return RetryDecision(Health.UNAUTHORIZED, PROBE_EVERY, login_accepted=True)
    if error is not None and not error.retryable:
        return RetryDecision(Health.REJECTED, PROBE_EVERY, login_accepted=error.status == 400)
    wait = min(FIRST_WAIT * 2 ** min(failures - 1, 10), LONGEST_WAIT) * random.uniform(0.8, 1.2)  # noqa: S311  (jitter)
    return RetryDecision(Health.RETRYING, wait if error is None else max(wait, _retry_after(error)))


def _retry_after(error: ConnectWiseError) -> timedelta:
    return min(timedelta(seconds=error.retry_after or 0), LONGEST_RETRY_AFTER)
