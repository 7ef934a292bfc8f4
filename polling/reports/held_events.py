"""Which events were held back, read by the index of each subscription: a page costs the same however many there are."""

from __future__ import annotations

from collections.abc import Sequence

from cwconnect.core.statements import rows_of

# One for each subscription, the head of its index; there are no more of them than an instance may have.
_OF_ONE = """SELECT event_id FROM (
    SELECT event_id FROM polling_subscriptionevent
    WHERE subscription_id = %s AND notification_id IS NULL AND event_id < %s ORDER BY event_id DESC LIMIT %s
) AS held"""
_ALL = " UNION "
_NEWEST = "SELECT event_id FROM ({held}) AS found ORDER BY event_id DESC LIMIT %s"
_LAST = 2**63 - 1


def newest_held(subscription_ids: Sequence[int], *, before: int | None, most: int) -> list[int]:
    """Return the newest events that were held back from one of these subscriptions, of those before an id."""
    if not subscription_ids:
        return []
    upto = _LAST if before is None else before
    values = [value for key in subscription_ids for value in (key, upto, most)]
    statement = _NEWEST.format(held=_ALL.join(_OF_ONE for _ in subscription_ids))
    return [key for (key,) in rows_of(statement, [*values, most])]
