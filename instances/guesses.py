"""How often something may be guessed: after a few failures there is a delay, which grows with each further one.

What is counted has a key: the name of an account, a known browser, an address. An account has more guesses than one
address may make, so that no single address delays it for others. The counts live in the database, so that
all processes share them, and restart a day after the last failure.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime, timedelta

from django.db.models import F

from instances.models import FailureCount

ACCOUNT, BROWSER, FIRST_START = "account", "browser", "first start"
INVITATION, RESET = "invitation", "password reset"
SECOND_FACTOR, PASSKEY = "second factor", "passkey"
# What is no guess and counted all the same, each time: mail that somebody has the service send.
RESET_ASKED, MAILED, INVITED = "password reset asked for", "mailed to", "invited by mail"
FREE = {ACCOUNT: 15, BROWSER: 10, FIRST_START: 10, INVITATION: 10, RESET: 10, RESET_ASKED: 10, MAILED: 3, INVITED: 50}
FREE |= {SECOND_FACTOR: 5, PASSKEY: 10}
FIRST, LONGEST = timedelta(minutes=1), timedelta(minutes=15)
MEMORY = timedelta(days=1)
MOST_COUNTED = 10_000  # of things guessed at within minutes: beyond that the number no longer matters
NONE = timedelta(0)


def key_of(kind: str, text: str) -> str:
    """Return the key of a thing of that kind; what was typed is not stored: it may be a password."""
    return f"{kind}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def delay_after(failures: int, free: int) -> timedelta:
    """Return how long the next guess must wait: from the last free failure on 1, 2, 4, 8 minutes, then 15 each."""
    return NONE if failures < free else min(FIRST * 2 ** min(failures - free, 10), LONGEST)


def take_turn(key: str, now: datetime) -> timedelta:
    """Return how long the next guess must still wait. Where that is nothing, the turn is taken: no other has it too."""
    row = FailureCount.objects.filter(key=key, last_at__gte=now - MEMORY).first()
    delay = NONE if row is None else _delay(key, row.failures)
    if row is None or not delay:
        return NONE
    # A time ahead of ours is one that a wrong clock wrote, and no reason to wait until then.
    if row.last_at <= now < row.last_at + delay:
        return row.last_at + delay - now
    taken = FailureCount.objects.filter(key=key, last_at=row.last_at).update(last_at=now)
    return NONE if taken else delay


def note_failure(key: str, now: datetime) -> timedelta:
    """Count a failure; return how long the next guess must wait."""
    recent = FailureCount.objects.filter(key=key, last_at__gte=now - MEMORY)
    if not recent.update(failures=F("failures") + 1, last_at=now):
        FailureCount.objects.update_or_create(key=key, defaults={"failures": 1, "last_at": now})
    return _delay(key, FailureCount.objects.values_list("failures", flat=True).get(key=key))


def _delay(key: str, failures: int) -> timedelta:
    return delay_after(failures, FREE[key.partition(":")[0]])


def held_up(now: datetime) -> Counter[str]:
    """Return by kind at how many things guesses have waited within the longest delay; one statement, bounded."""
    lately = FailureCount.objects.filter(failures__gte=min(FREE.values()), last_at__gt=now - LONGEST, last_at__lte=now)
    kinds = (
        (key.partition(":")[0], failures) for key, failures in lately.values_list("key", "failures")[:MOST_COUNTED]
    )
    found = Counter(kind for kind, failures in kinds if kind in FREE and failures >= FREE[kind])
    return Counter({kind: found[kind] for kind in FREE})
