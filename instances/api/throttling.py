"""The brake on failed authentication: so many a minute for each address (IPv6: each /64), fewer for one header.

A header that failed often is refused without a look at the database, and without counting against its address: one
program with an old secret does not lock out the others beside it. Secrets are 256 random bits, so this is against
load and noise more than against guessing.

The counts live in Django's cache: in Redis where that is configured, else in each web process by itself, so that the
limits hold for each process. Where Redis is away, nothing is braked: the API goes on answering.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress

from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from cwconnect.core.client_ip import client_network
from cwconnect.core.plain_cache import RedisError

WINDOW = 60
PER_ADDRESS = 60
PER_HEADER = 10


def check_failures(request: HttpRequest | Request, header: str) -> None:
    """Raise Throttled (429, with Retry-After) for an address or a header that has failed too often this minute."""
    now = time.time()
    by_header, by_address = _counts(_header_key(header, now), _address_key(request, now))
    if by_header >= PER_HEADER or by_address >= PER_ADDRESS:
        raise Throttled(WINDOW - now % WINDOW, "There were too many failures of authentication.")


def note_failure(request: HttpRequest | Request, header: str) -> None:
    """Count a failure."""
    now = time.time()
    with suppress(RedisError):  # it is away: one attempt says so, for each may take two seconds
        for key in (_header_key(header, now), _address_key(request, now)):
            cache.add(key, 0, WINDOW)
            with suppress(ValueError):  # it has run out between the two
                cache.incr(key)


def _counts(*keys: str) -> list[int]:
    """Return the counts by one question; nought for what is missing or no number, and where Redis is away."""
    try:
        known = cache.get_many(keys)
    except RedisError:
        known = {}
    return [count if isinstance(count := known.get(key), int) else 0 for key in keys]


def _header_key(header: str, now: float) -> str:
    return _key("header", header, now)


def _address_key(request: HttpRequest | Request, now: float) -> str:
    return _key("address", client_network(request), now)


def _key(kind: str, text: str, now: float) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"failures:{kind}:{digest}:{int(now // WINDOW)}"
