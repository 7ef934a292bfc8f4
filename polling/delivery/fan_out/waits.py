"""What the events of subscriptions have to wait for: whether delivery rests, and the last undelivered of each record.

All of it is read past the length of log and backlog. The oldest undelivered notification is the head of an index, and
so is its first event, before which no event matters: notifications of the log are made in the order of their first
events (order.py). From there on the events of a record are read, each with its own notification.

Looked up before the transaction that writes: a subscription's notifications are made under its lease, so none is added
meanwhile; those that are delivered by then are left out by `still_undelivered`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import orjson
from django.db import connection

from cwconnect.core.bulk_sql import keys
from cwconnect.core.statements import AMONG, GIVEN, Rows, rows_of

# Heads of indexes, asked by ranges so that no other index will do: see `_OLDEST` in detection/event_log.py.
_FACTS = """WITH facts AS MATERIALIZED (
    SELECT given.value AS subscription, (
        SELECT paused_at IS NOT NULL FROM polling_deliverystate WHERE instance_id = given.value
    ) AS paused, (
        SELECT id FROM polling_notification
        WHERE COALESCE(subscription_id, instance_id) BETWEEN given.value AND given.value
            AND NOT state IN ('delivered', 'failed', 'discarded')
        ORDER BY COALESCE(subscription_id, instance_id), id LIMIT 1
    ) AS oldest
    FROM {given}
)
SELECT subscription, paused, oldest, (
    SELECT event_id FROM polling_subscriptionevent
    WHERE notification_id BETWEEN oldest AND oldest AND notification_id IS NOT NULL
    ORDER BY notification_id, event_id LIMIT 1
), (
    SELECT event_id FROM polling_subscriptionevent
    WHERE oldest IS NOT NULL AND subscription_id BETWEEN subscription AND subscription
    ORDER BY subscription_id, event_id LIMIT 1
) FROM facts
"""

# Asked event by event, by scalar subqueries, which PostgreSQL can't turn around; of ids nothing is asked that an index
# could answer, so that no range of them is read in place of a record's few events. The latest that was carried and not
# discarded says it: had it arrived, what it followed would have too; so the events of a record are read from the last
# one on, and OFFSET 0 has each looked up only as it is needed. `state || ''` is asked of a row found by its key: of the
# undelivered there may be many, while the planner believes that there are hardly any, and takes their index. An event's
# own row says which record it is of, since its poll may have been deleted since it was read.
_LATEST = """(
    SELECT (
        SELECT id FROM polling_notification
        WHERE id = carried.notification AND state || '' IN ('pending', 'exhausted')
    ) FROM (
        SELECT COALESCE((
            SELECT notification_id FROM polling_subscriptionevent AS judged
            WHERE judged.subscription_id = given.subscription AND judged.event_id = earlier.id
        ), CASE WHEN given.subscription = event.instance_id THEN earlier.notification_id END) AS notification
        FROM (
            SELECT id, notification_id FROM polling_event
            WHERE {same} AND polling_event.record_id = event.record_id
                AND polling_event.id + 0 >= given.bound AND polling_event.id + 0 < event.id
            ORDER BY polling_event.id + 0 DESC {all}OFFSET 0
        ) AS earlier {all}OFFSET 0
    ) AS carried
    WHERE (SELECT state FROM polling_notification WHERE id = carried.notification) <> 'discarded' LIMIT 1
)"""
_OF_POLL = "polling_event.resource_poll_id = event.resource_poll_id"
_OF_NO_POLL = """polling_event.resource_poll_id IS NULL AND polling_event.instance_id + 0 = event.instance_id
                AND polling_event.object_type = event.object_type"""
_WAITS = """SELECT given.subscription, event.id, {latest}
FROM {asked} JOIN polling_event AS event ON event.id = given.event
"""
_ALL = {"postgresql": "", "sqlite": "LIMIT -1 "}
_ASKED = {
    "postgresql": "unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS given (subscription, bound, event)",
    "sqlite": "(SELECT value ->> 0 AS subscription, value ->> 1 AS bound, value ->> 2 AS event FROM json_each(%s)) "
    "AS given",
}
_MOST_ASKED = 500  # of one statement: more, and PostgreSQL compiles it (JIT), which takes longer than all the rest

_UNDELIVERED = (
    "SELECT id FROM polling_notification WHERE id {among} AND state || '' IN ('pending', 'exhausted') ORDER BY id"
)
# Against whoever ends one, who locks it FOR UPDATE (delivery/ends.py); not against whoever makes due what follows one:
# he has ended others, which may be among ours, and to wait for each other would be a deadlock.
_LOCK = {"postgresql": " FOR KEY SHARE", "sqlite": ""}


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """How delivery to a subscription stands: whether it is paused; the first event that an undelivered one may carry.

    None: there is none.
    """

    paused: bool
    bound: int | None


def read_delivery_facts(subscription_ids: Collection[int]) -> dict[int, DeliveryFacts]:
    """Return how delivery to these subscriptions stands."""
    rows = rows_of(_FACTS.format(given=GIVEN[connection.vendor]), [keys(subscription_ids)])
    return {key: DeliveryFacts(bool(paused), _bound(*columns)) for key, paused, *columns in rows}


def _bound(oldest: int | None, first: int | None, head: int | None) -> int | None:
    if oldest is None or first is not None:
        return first
    # It was made with its events, and has the id of the first. While the first subscription was switched to the log
    # one may have been made of that whose events were before these (beginnings.py).
    return oldest if head is None else min(oldest, head)


def read_waits(asked: Sequence[tuple[int, int, int]]) -> dict[tuple[int, int], int]:
    """Return, by subscription and event, the last undelivered notification with an earlier event of the same record.

    `asked`: subscription, its `bound`, and the event.
    """
    found: dict[tuple[int, int], int] = {}
    for first in range(0, len(asked), _MOST_ASKED):
        some = asked[first : first + _MOST_ASKED]
        rows = _read_latest(some, _OF_POLL)
        # Their polls may have been deleted. What was recorded before is of none then, also where they were added again.
        if alone := {row[:2] for row in rows if row[2] is None}:
            rows += _read_latest([one for one in some if (one[0], one[2]) in alone], _OF_NO_POLL)
        found |= {(subscription, event): latest for subscription, event, latest in rows if latest is not None}
    return found


def _read_latest(asked: Sequence[tuple[int, int, int]], same: str) -> Rows:
    vendor = connection.vendor
    latest = _LATEST.format(same=same, all=_ALL[vendor])
    statement = _WAITS.format(latest=latest, asked=_ASKED[vendor])
    if vendor == "postgresql":
        return rows_of(statement, [keys(column) for column in zip(*asked, strict=True)])
    return rows_of(statement, [orjson.dumps(asked).decode()])


def still_undelivered(notification_ids: Collection[int]) -> set[int]:
    """Return those of these notifications that are still undelivered, locked.

    A delivery that commits now either sees our followers or is seen by us.
    """
    if not notification_ids:
        return set()
    statement = _UNDELIVERED.format(among=AMONG[connection.vendor]) + _LOCK[connection.vendor]
    return {key for (key,) in rows_of(statement, [keys(notification_ids)])}
