"""What is due, found and claimed: leases taken and attempts begun, in one transaction, before any POST.

Which of what is due may be claimed is the scheduler's; here are the statements.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction

from cwconnect.core.bulk_sql import db_timestamp, keys
from cwconnect.core.one_statement import time_of
from cwconnect.core.statements import Condition, Rows, rows_of

_DUE = """SELECT CAST(polling_notification.next_attempt_at AS text), polling_notification.id,
    COALESCE(subscription_id, instance_id)
FROM polling_notification
WHERE polling_notification.next_attempt_at IS NOT NULL
    AND (polling_notification.next_attempt_at, polling_notification.id) >= (%s, %s)
    AND polling_notification.next_attempt_at <= %s AND (lease_until IS NULL OR lease_until < %s)
    AND COALESCE(subscription_id, instance_id) {without}{among}
ORDER BY polling_notification.next_attempt_at, polling_notification.id LIMIT %s
"""
_WITHOUT = {"postgresql": "<> ALL(%s)", "sqlite": "NOT IN (SELECT value FROM json_each(%s))"}

_BODY = """CASE WHEN shared_body_id IS NULL THEN body ELSE (
    SELECT shared.body FROM polling_notificationbody AS shared WHERE shared.hash = shared_body_id
) END"""

_CLAIM = """UPDATE polling_notification
SET lease_token = %s, lease_until = %s, first_attempt_at = COALESCE(first_attempt_at, %s)
WHERE id IN (SELECT value FROM json_each(%s)) AND next_attempt_at <= %s
    AND (lease_until IS NULL OR lease_until < %s){among}
RETURNING id, COALESCE(subscription_id, instance_id), webhook_id, {body}, state, step, CAST(next_attempt_at AS text),
    CAST(first_attempt_at AS text), replay_id, traceparent, content_type
""".replace("{body}", _BODY)

_ARRIVED = """SELECT DISTINCT notification_id FROM polling_deliveryattempt
WHERE notification_id IN (SELECT value FROM json_each(%s)) AND NOT unsent
"""

_BEGIN = """INSERT INTO polling_deliveryattempt
    (notification_id, url, started_at, replay, error_kind, error, request_headers, response)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), %s, json_extract(value, '$[2]'), '', '', '{}', ''
FROM json_each(%s) ORDER BY key
RETURNING notification_id, id
"""

# An earlier attempt without an end counts as arrived: it was cut off by a crash, after the POST as likely as before it.
# Asked by a scalar subquery: an EXISTS, PostgreSQL may answer by reading all attempts that there are.
_CLAIM_AND_BEGIN = """WITH target AS (
    SELECT * FROM unnest(%s::bigint[], %s::text[]) AS given (subscription_id, url)
), claimed AS (
    UPDATE polling_notification
    SET lease_token = %s, lease_until = %s, first_attempt_at = COALESCE(first_attempt_at, %s)
    WHERE id IN (
        SELECT id FROM polling_notification
        WHERE id = ANY(%s) AND next_attempt_at <= %s AND (lease_until IS NULL OR lease_until < %s){among}
        FOR UPDATE SKIP LOCKED
    )
    RETURNING id, COALESCE(subscription_id, instance_id) AS subscription_id, webhook_id, {body} AS body, state, step,
        next_attempt_at, first_attempt_at, replay_id, traceparent, content_type
), begun AS (
    INSERT INTO polling_deliveryattempt
        (notification_id, url, started_at, replay, error_kind, error, request_headers, response)
    SELECT claimed.id, target.url, %s,
        replay_id IS NOT NULL AND COALESCE((
            SELECT TRUE FROM polling_deliveryattempt AS earlier
            WHERE earlier.notification_id = claimed.id AND NOT earlier.unsent LIMIT 1
        ), FALSE),
        '', '', '{}', ''
    FROM claimed JOIN target USING (subscription_id)
    ORDER BY next_attempt_at, claimed.id
    RETURNING id, notification_id, replay
)
SELECT claimed.id, subscription_id, webhook_id, body, state, step, CAST(next_attempt_at AS text),
    CAST(first_attempt_at AS text), replay_id, traceparent, content_type, begun.id, begun.replay
FROM claimed JOIN begun ON begun.notification_id = claimed.id
ORDER BY claimed.next_attempt_at, claimed.id
""".replace("{body}", _BODY)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notification as it was claimed, its `body` and the `attempt_id` that was begun; times as the database has them.

    `repeated`: it was asked for again, and an earlier attempt may have arrived.
    """

    pk: int
    subscription_id: int
    webhook_id: str
    body: str
    state: str
    step: int
    due_text: str
    first_text: str
    replay_id: int | None
    traceparent: str | None = None
    content_type: str = ""
    attempt_id: int = 0
    repeated: bool = False

    @property
    def next_attempt_at(self) -> datetime:
        """When it was due."""
        return time_of(self.due_text)

    @property
    def first_attempt_at(self) -> datetime:
        """When its first attempt began."""
        return time_of(self.first_text)


def find_due(
    among: Condition, now: datetime, *, beginning: tuple[datetime, int], without: Collection[int], most: int
) -> Rows:
    """Return due time (as text), key and subscription of what is due and free `beginning` at a place, in order."""
    condition, values = among
    statement = _DUE.replace("{without}", _WITHOUT[connection.vendor]).replace("{among}", condition)
    at = db_timestamp(now)
    return rows_of(statement, [db_timestamp(beginning[0]), beginning[1], at, at, keys(without), *values, most])


def claim_and_begin(
    wanted: Collection[int], urls: Mapping[int, str], among: Condition, *, token: str, now: datetime, length: timedelta
) -> list[Claimed]:
    """Claim those of `wanted` that still are due and free, and begin an attempt of each; return them in order.

    `urls` says by subscription where to send.
    """
    if not wanted:
        return []
    lease = [token, db_timestamp(now + length), db_timestamp(now)]
    due = [keys(wanted), db_timestamp(now), db_timestamp(now), *among[1]]
    if connection.vendor == "sqlite":
        return _claim_on_sqlite(_CLAIM.replace("{among}", among[0]), [*lease, *due], urls, now)
    statement = _CLAIM_AND_BEGIN.replace("{among}", among[0])
    return [Claimed(*row) for row in rows_of(statement, [list(urls), list(urls.values()), *lease, *due, now])]


def _claim_on_sqlite(statement: str, parameters: list[Any], urls: Mapping[int, str], now: datetime) -> list[Claimed]:
    with transaction.atomic():
        rows = sorted(rows_of(statement, parameters), key=lambda row: (row[6], row[0]))
        replayed = [row[0] for row in rows if row[8] is not None]
        arrived = {key for (key,) in rows_of(_ARRIVED, [keys(replayed)])} if replayed else ()
        begun = [(row[0], urls[row[1]], row[0] in arrived) for row in rows]
        attempts: dict[int, int] = dict(rows_of(_BEGIN, [db_timestamp(now), orjson.dumps(begun).decode()]))
    return [Claimed(*(*row, attempts[row[0]], row[0] in arrived)) for row in rows]
