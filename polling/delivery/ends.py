"""How attempts end in the database: under their leases, by one statement each for all that came in at a look.

First the fence, which locks the notifications that still are ours, with all that needs no newer view of the rows: what
was delivered is, what was not sent is free again, attempts are completed. Then, by statements of their own, what hangs
on those: a follower may have been recorded by whoever held the lock just before, so only a statement that begins after
the fence is sure to see it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from cwconnect.core.bulk_sql import db_timestamp, keys, update
from cwconnect.core.statements import rows_of
from polling.delivery.delivery_request import DeliveryRequest, Outcome
from polling.models import DeliveryAttempt

Pair = tuple[DeliveryRequest, Outcome]

# By their keys, which it doesn't see in JSON, it finds the rows; and it is not to go by the index of tokens, of which
# many rows have the same.
_END_AND_COMPLETE = """WITH given AS (
    SELECT * FROM json_to_recordset(%s) AS one (
        key bigint, token text, attempt bigint, sent boolean, delivered boolean, seconds double precision,
        status smallint, error_kind text, error text, request_headers text, response text, unsent boolean
    )
), held AS (
    SELECT polling_notification.replay_id, polling_notification.step, given.* FROM polling_notification
    JOIN given ON polling_notification.id = given.key AND lease_token IS NOT DISTINCT FROM given.token
    WHERE polling_notification.id = ANY(%s)
    ORDER BY polling_notification.id FOR UPDATE OF polling_notification
), delivered AS (
    UPDATE polling_notification
    SET lease_token = NULL, lease_until = NULL, state = 'delivered', delivered_at = COALESCE(delivered_at, %s),
        step = polling_notification.step + 1, next_attempt_at = NULL, last_error = '', replay_id = NULL
    FROM held WHERE polling_notification.id = held.key AND held.delivered
), freed AS (
    UPDATE polling_notification SET lease_token = NULL, lease_until = NULL
    FROM held WHERE polling_notification.id = held.key AND NOT held.sent
), completed AS (
    UPDATE polling_deliveryattempt
    SET finished_at = %s, seconds = held.seconds, status = held.status, error_kind = held.error_kind,
        error = held.error, request_headers = held.request_headers::jsonb, response = held.response,
        unsent = held.unsent
    FROM held WHERE polling_deliveryattempt.id = held.attempt AND held.sent
), dropped AS (
    DELETE FROM polling_deliveryattempt USING held
    WHERE polling_deliveryattempt.id = held.attempt AND NOT held.sent
)
SELECT key, token, replay_id, step FROM held
"""

_HELD = """SELECT id, lease_token, replay_id, step FROM polling_notification
WHERE id IN (SELECT value FROM json_each(%s))
"""
_DELIVERED = """UPDATE polling_notification
SET lease_token = NULL, lease_until = NULL, state = 'delivered', delivered_at = COALESCE(delivered_at, %s),
    step = step + 1, next_attempt_at = NULL, last_error = '', replay_id = NULL
WHERE id IN (SELECT value FROM json_each(%s)) RETURNING id
"""
_FREED = """UPDATE polling_notification SET lease_token = NULL, lease_until = NULL
WHERE id IN (SELECT value FROM json_each(%s)) RETURNING id
"""
_DROPPED = "DELETE FROM polling_deliveryattempt WHERE id IN (SELECT value FROM json_each(%s)) RETURNING id"

# Each step waits for the one before, so that all workers lock in the same order.
_LET_GO = """WITH followers AS (
    UPDATE polling_notification SET next_attempt_at = %s
    WHERE follows_id = ANY(%s) AND next_attempt_at IS NULL
        AND (state = 'pending' OR (replay_id IS NOT NULL AND state IN ('delivered', 'failed', 'discarded')))
    RETURNING id
), noted AS (
    UPDATE polling_deliverystate SET last_delivered_at = %s
    WHERE instance_id = ANY(%s) AND (SELECT COUNT(*) FROM followers) >= 0
    RETURNING instance_id
)
SELECT 0, instance_id FROM noted
UNION ALL
SELECT id, 0 FROM polling_receiver WHERE id = ANY(%s) AND failures > 0 AND (SELECT COUNT(*) FROM noted) >= 0
"""
_FOLLOW = """UPDATE polling_notification SET next_attempt_at = %s
WHERE follows_id IN (SELECT value FROM json_each(%s)) AND next_attempt_at IS NULL
    AND (state = 'pending' OR (replay_id IS NOT NULL AND state IN ('delivered', 'failed', 'discarded')))
RETURNING id
"""
_NOTED = """UPDATE polling_deliverystate SET last_delivered_at = %s
WHERE instance_id IN (SELECT value FROM json_each(%s)) RETURNING instance_id
"""
_FAILING = "SELECT id FROM polling_receiver WHERE id IN (SELECT value FROM json_each(%s)) AND failures > 0"


@dataclass(frozen=True)
class Held:
    """What a notification is as its attempt ends: a person may have asked meanwhile that it be sent again.

    `replay_id`: by which replay it is sent. `step`: how many tries of its schedule went before, none for a new replay.
    """

    replay_id: int | None
    step: int


@dataclass(frozen=True)
class PassedOn:
    """What followed from deliveries: subscriptions that have a row to note them in, and receivers that had failed."""

    noted: Collection[int]
    failing: Collection[int]


def end_attempts(results: Sequence[Pair], now: datetime) -> dict[tuple[int, str], Held]:
    """End those of these attempts that are still ours; give, by notification and token, how each stands now.

    What was delivered is written as that; what failed stays under its lease until it is said what becomes of it. To
    be the first statement of a transaction.
    """
    if connection.vendor == "sqlite":
        return _end_on_sqlite(results, now)
    rows = [_row_of(*pair) for pair in results]
    wanted = keys(request.notification.pk for request, _ in results)
    held = rows_of(_END_AND_COMPLETE, [orjson.dumps(rows).decode(), wanted, now, now])
    return {(key, token): Held(replay_id, step) for key, token, replay_id, step in held}


def _row_of(request: DeliveryRequest, outcome: Outcome) -> dict[str, Any]:
    return {
        "key": request.notification.pk,
        "token": request.token,
        "attempt": request.attempt_id,
        "sent": outcome.sent,
        "delivered": outcome.delivered,
        "seconds": outcome.seconds,
        "status": outcome.status,
        "error_kind": outcome.error_kind,
        "error": outcome.error,
        "request_headers": orjson.dumps(dict(outcome.headers)).decode(),
        "response": outcome.response,
        "unsent": outcome.unsent,
    }


def _end_on_sqlite(results: Sequence[Pair], now: datetime) -> dict[tuple[int, str], Held]:
    tokens = {request.notification.pk: request.token for request, _ in results}
    rows = rows_of(_HELD, [keys(tokens)])
    held = {(key, token): Held(replay_id, step) for key, token, replay_id, step in rows}
    ours = [pair for pair in results if (pair[0].notification.pk, pair[0].token) in held]
    _complete([pair for pair in ours if pair[1].sent], now)
    if delivered := [request.notification.pk for request, outcome in ours if outcome.delivered]:
        rows_of(_DELIVERED, [db_timestamp(now), keys(delivered)])
    if unsent := [request for request, outcome in ours if not outcome.sent]:
        rows_of(_DROPPED, [keys(request.attempt_id for request in unsent)])
        rows_of(_FREED, [keys(request.notification.pk for request in unsent)])
    return held


def _complete(ended: Sequence[Pair], now: datetime) -> None:
    at, columns = db_timestamp(now), ("finished_at", *_COLUMNS)
    given = [_row_of(*pair) for pair in ended]
    rows = [(at, *(row[column] for column in _COLUMNS), row["attempt"]) for row in given]
    update(DeliveryAttempt, columns, rows, key="id")


_COLUMNS = ("seconds", "status", "error_kind", "error", "request_headers", "response", "unsent")


def pass_on(
    delivered: Collection[int], subscriptions: Collection[int], receivers: Collection[int], now: datetime
) -> PassedOn:
    """Make due what follows what was delivered, and note of its subscriptions when that was.

    After `end_attempts`, in its transaction.
    """
    at = db_timestamp(now)
    if connection.vendor == "sqlite":
        rows_of(_FOLLOW, [at, keys(delivered)])
        noted = rows_of(_NOTED, [at, keys(subscriptions)])
        failing = rows_of(_FAILING, [keys(receivers)])
        return PassedOn({key for (key,) in noted}, {key for (key,) in failing})
    rows = rows_of(_LET_GO, [now, keys(delivered), now, keys(subscriptions), keys(receivers)])
    return PassedOn({subscription for _, subscription in rows} - {0}, {receiver for receiver, _ in rows} - {0})
