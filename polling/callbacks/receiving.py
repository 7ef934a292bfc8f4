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

_Hint, _Endpoint = CallbackHint._meta, CallbackEndpoint._meta  # noqa: SLF001  (documented: Django's model API)
_COLUMNS = ("received_at", "judge_at", "signature", "body", "status", "reason", "digest", "type", "action")
# The endpoint is looked up, the bound is kept and the row is written by one statement.
_TAKE = f"""
INSERT INTO {_Hint.db_table} (instance_id, {", ".join(_COLUMNS)})
SELECT instance_id, {", ".join(["%s"] * len(_COLUMNS))} FROM {_Endpoint.db_table} AS endpoint
WHERE token_hash = %s AND (SELECT count(*) FROM (
    SELECT 1 FROM {_Hint.db_table} AS hint
    WHERE hint.instance_id = endpoint.instance_id AND hint.status = 'waiting' LIMIT %s
) AS waiting) < %s
"""  # noqa: S608  (the models' own names)


class Taken(StrEnum):
    """What became of a callback."""

    STORED = "stored"
    UNKNOWN = "unknown"
    FULL = "full"


def take(token: str, body: bytes, signature: str, now: datetime) -> Taken:
    """Store a callback for a worker to judge, if the token in its URL is one of ours and not too many wait."""
    most = MOST_WAITING if len(body) <= LARGE else MOST_WAITING_BEFORE_LARGE
    hashed, at = hash_token(token), db_timestamp(now)
    # One that is too long is no signature; cut, it stays one that does not fit.
    values = [at, at, signature[:_LONGEST_SIGNATURE].replace("\x00", ""), body, CallbackHint.Status.WAITING.value]
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [*values, "", "", "", "", hashed, most, most])
        stored = cursor.rowcount > 0
    if stored:
        _wake()
        return Taken.STORED
    return Taken.FULL if CallbackEndpoint.objects.filter(token_hash=hashed).exists() else Taken.UNKNOWN


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
