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
from cwconnect.core.statements import AMONG, rows_of

# Heads of indexes, asked by ranges so that no other index will do: see `_OLDEST` in detection/event_log.py.
_FACTS = """WITH facts AS MATERIALIZED (
    SELECT given.value AS subscription, (
        SELECT paused_at IS NOT NULL FROM polling_deliverystate WHERE instance_id = given.value
    ) AS paused, (
        SELECT id FROM polling_notification
        WHERE COALESCE(subscription_id, instance_id) BETWEEN given.value AND given.value
            AND state IN ('pending', 'exhausted')
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
_GIVEN = {"postgresql": "unnest(%s::bigint[]) AS given (value)", "sqlite": "json_each(%s) AS given"}

# Asked event by event, by scalar subqueries, which PostgreSQL can't turn around; of ids nothing is asked that an index
# could answer, so that no range of them is read in place of a record's few events. The event's own row says which
# record it is of, since its poll may have been deleted since it was read.
_CARRIED = """(
    SELECT carried.notification FROM (
        SELECT earlier.id, COALESCE((
            SELECT notification_id FROM polling_subscriptionevent AS judged
            WHERE judged.subscription_id = given.subscription AND judged.event_id = earlier.id
        ), CASE WHEN given.subscription = event.instance_id THEN earlier.notification_id END) AS notification
        FROM polling_event AS earlier
        WHERE {same} AND earlier.record_id = event.record_id
            AND earlier.id + 0 >= given.bound AND earlier.id + 0 < event.id
    ) AS carried
    WHERE (SELECT state FROM polling_notification WHERE id = carried.notification) IN ('pending', 'exhausted')
    ORDER BY carried.id DESC LIMIT 1
)"""
_OF_POLL = _CARRIED.format(same="earlier.resource_poll_id = event.resource_poll_id")
_OF_NO_POLL = _CARRIED.format(
    same="earlier.resource_poll_id IS NULL AND earlier.instance_id + 0 = event.instance_id "
    "AND earlier.object_type = event.object_type"
)
_WAITS = f"""SELECT given.subscription, event.id,
    CASE WHEN event.resource_poll_id IS NOT NULL THEN {_OF_POLL} ELSE {_OF_NO_POLL} END
FROM {{asked}} JOIN polling_event AS event ON event.id = given.event
"""  # noqa: S608  (our own)
_ASKED = {
    "postgresql": "unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS given (subscription, bound, event)",
    "sqlite": "(SELECT value ->> 0 AS subscription, value ->> 1 AS bound, value ->> 2 AS event FROM json_each(%s)) "
    "AS given",
}

_UNDELIVERED = "SELECT id FROM polling_notification WHERE id {among} AND state IN ('pending', 'exhausted') ORDER BY id"
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
    rows = rows_of(_FACTS.format(given=_GIVEN[connection.vendor]), [keys(subscription_ids)])
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
    if not asked:
        return {}
    statement = _WAITS.format(asked=_ASKED[connection.vendor])
    if connection.vendor == "postgresql":
        rows = rows_of(statement, [keys(column) for column in zip(*asked, strict=True)])
    else:
        rows = rows_of(statement, [orjson.dumps(asked).decode()])
    return {(subscription, event): found for subscription, event, found in rows if found is not None}


def still_undelivered(notification_ids: Collection[int]) -> set[int]:
    """Return those of these notifications that are still undelivered, locked.

    A delivery that commits now either sees our followers or is seen by us.
    """
    if not notification_ids:
        return set()
    statement = _UNDELIVERED.format(among=AMONG[connection.vendor]) + _LOCK[connection.vendor]
    return {key for (key,) in rows_of(statement, [keys(notification_ids)])}
