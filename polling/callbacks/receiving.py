"""Taking a callback: one insert, whatever arrived. A worker judges it (judging.py); nothing is asked outside here.

ConnectWise waits five seconds and repeats little, so this is all that an answer waits for.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from enum import StrEnum

from django.db import connection

from cwconnect.core.bulk_sql import db_timestamp
from cwconnect.tracing.middleware import current_span
from instances.secrets import hash_token
from polling.models import CallbackEndpoint, CallbackHint
from polling.workers import wakeups
from polling.workers.queue import queue
from polling.workers.wakeups import Kind

log = logging.getLogger(__name__)

LONGEST_BODY = 1024 * 1024  # bytes
MOST_WAITING = 2000  # hints of an instance that nobody has judged yet
LARGE, MOST_WAITING_BEFORE_LARGE = 64 * 1024, 50  # bytes; of larger ones few are taken, so that a pile stays small
WAKE_EVERY = 0.2  # seconds, of this process: a flood needs no wake-up for each of it
_LONGEST_SIGNATURE = 100
_WAITING = CallbackHint.Status.WAITING.value

_HINTS = CallbackHint._meta.db_table  # noqa: SLF001  (documented: Django's model API)
_COLUMNS = (
    *("instance_id", "received_at", "judge_at", "signature", "body", "status"),
    *("reason", "digest", "type", "action", "traceparent"),
)
# The bound is kept by the statement that writes the row.
_TAKE = f"""
INSERT INTO {_HINTS} ({", ".join(_COLUMNS)})
SELECT {", ".join(["%s"] * len(_COLUMNS))} WHERE (SELECT count(*) FROM (
    SELECT 1 FROM {_HINTS} WHERE instance_id = %s AND status = 'waiting' LIMIT %s
) AS waiting) < %s
"""  # noqa: S608  (the model's own names)


class Taken(StrEnum):
    """What became of a callback."""

    STORED = "stored"
    UNKNOWN = "unknown"
    FULL = "full"


def take(token: str, body: bytes, signature: str, now: datetime) -> Taken:
    """Store a callback for a worker to judge, if the token in its URL is one of ours and not too many wait."""
    # Looked up first: on SQLite an insert of nothing would wait for its turn to write all the same.
    endpoint = CallbackEndpoint.objects.filter(token_hash=hash_token(token)).values_list("pk", flat=True).first()
    if endpoint is None:
        return Taken.UNKNOWN
    most = MOST_WAITING if len(body) <= LARGE else MOST_WAITING_BEFORE_LARGE
    at = db_timestamp(now)
    # One that is too long is no signature; cut, it stays one that does not fit.
    values = [endpoint, at, at, signature[:_LONGEST_SIGNATURE].replace("\x00", ""), body, _WAITING, "", "", "", ""]
    values.append(span.traceparent if (span := current_span.get()) else None)
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [*values, endpoint, most, most])
        if cursor.rowcount < 1:
            return Taken.FULL
    _wake()
    return Taken.STORED


_woken_at = [0.0]


def _wake() -> None:
    """Have a worker woken, at most every `WAKE_EVERY`; `manage.py work` looks each second."""
    now = time.monotonic()
    if now < _woken_at[0] + WAKE_EVERY:
        return
    _woken_at[0] = now
    try:
        wakeups.call(Kind.POLL, queue)
    except Exception as error:  # noqa: BLE001  (the hint is stored: nothing is lost but time)
        log.warning("Nobody could be woken at once: %s", error)
