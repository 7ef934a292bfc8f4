"""The bytes of notifications that are made of the log: written and stored once, however many subscriptions share them.

They are stored by their hash. Two subscriptions share them where they are sent the same events in the same form, so
what is said in a body is of the events alone: its date is when the first of them was polled.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from django.db import connection, transaction

from cwconnect.core.bulk_sql import db_timestamp
from instances.models import Instance
from polling.delivery.forms import render
from polling.models import NewEvent

FRESH = timedelta(hours=1)
"""A body's `used_at` is written anew where it is older: what retention deletes has to be older by far."""
_REMEMBERED = 10_000  # bodies known to be stored, of this loop, which lives for a minute
_STORED_FOR = 600.0  # seconds; less than FRESH by far

# Whether or not it is written anew, the row is locked, so that nobody deletes what our notifications are to share.
_STORE = """INSERT INTO polling_notificationbody (hash, body, used_at)
SELECT hash, convert_from(body, 'UTF8'), %s FROM unnest(%s::text[], %s::bytea[]) AS given (hash, body)
ON CONFLICT (hash) DO UPDATE SET used_at = excluded.used_at WHERE polling_notificationbody.used_at < %s
"""
_STORE_ONE = """INSERT INTO polling_notificationbody (hash, body, used_at) VALUES (%s, %s, %s)
ON CONFLICT (hash) DO UPDATE SET used_at = excluded.used_at WHERE polling_notificationbody.used_at < %s
"""


@dataclass(frozen=True, slots=True)
class Body:
    """A notification's bytes by their hash, and their content type; empty: application/json."""

    hash: str
    body: bytes
    content_type: str = ""


def body_for(instance: Instance, events: Sequence[NewEvent], form: str) -> Body:
    """Write the body of a notification that carries these events of one resource, as they are sent."""
    body, content_type = render(form, instance, events, created_at=events[0].polled_at)
    return Body(hashlib.sha256(body).hexdigest(), body, content_type)


class StoredBodies:
    """Stores bodies, and remembers for a while which are: what 20 subscriptions share goes to the database once."""

    def __init__(self) -> None:
        self._stored: dict[str, float] = {}

    def store(self, bodies: Iterable[Body], now: datetime) -> None:
        """Make sure that these are stored, and stay so until the transaction ends; in that of their notifications."""
        still = time.monotonic() - _STORED_FOR
        wanted = {body.hash: body.body for body in bodies if self._stored.get(body.hash, -inf) < still}
        if not wanted:
            return
        # In one order, so that two workers that store the same ones wait for each other in no circle.
        hashes = sorted(wanted)
        at, before = db_timestamp(now), db_timestamp(now - FRESH)
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(_STORE, [at, hashes, [wanted[key] for key in hashes], before])
            else:
                cursor.executemany(_STORE_ONE, [(key, wanted[key].decode(), at, before) for key in hashes])
        transaction.on_commit(lambda: self._remember(hashes))

    def _remember(self, hashes: Iterable[str]) -> None:
        if len(self._stored) > _REMEMBERED:
            self._stored.clear()
        self._stored.update(dict.fromkeys(hashes, time.monotonic()))
