"""How subscriptions stand: by the same few statements, however many there are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import QuerySet

from cwconnect.core.bulk_sql import keys
from cwconnect.core.statements import GIVEN, rows_of
from instances.models import Instance
from polling.delivery.fan_out.beginnings import MOST_COUNTED
from polling.delivery.pausing import subscriptions_of
from polling.models import DeliveryState, Receiver, Subscription, SubscriptionEvent

# Written out: the index of undelivered notifications is by an expression, and each count ends at its bound.
_WAITING = """SELECT given.value, (
    SELECT count(*) FROM (
        SELECT 1 FROM polling_notification
        WHERE COALESCE(subscription_id, instance_id) = given.value
            AND NOT state IN ('delivered', 'failed', 'discarded') LIMIT %s
    ) AS counted
) FROM {given}
"""
_LEFT = """SELECT one.id, (
    SELECT count(*) FROM (
        SELECT 1 FROM polling_event
        WHERE instance_id = one.instance_id AND id > one.reached_id AND id <= one.catching_up_to LIMIT %s
    ) AS counted
) FROM polling_subscription AS one WHERE catching_up_to > reached_id AND one.id IN (SELECT value FROM {given})
"""


@dataclass(frozen=True)
class CatchUp:
    """What of the log a subscription began with: the last event of it, the last one looked at, how many are left."""

    upto: int
    reached: int
    left: int


@dataclass(frozen=True)
class SubscriptionStatus:
    """A subscription, and how its delivery stands; `waiting` and what is left are bounded by MOST_COUNTED."""

    subscription: Subscription
    waiting: int
    catch_up: CatchUp | None
    paused_at: datetime | None = None
    pause_reason: str = ""
    last_delivered_at: datetime | None = None
    receiver: Receiver | None = None  # once something was sent to it

    @property
    def enabled(self) -> bool:
        """Whether events are heard for it: of the first one its instance's key says that."""
        found = self.subscription
        return found.enabled and (not found.is_first or found.instance.events_enabled)


def statuses_of(instance: Instance) -> list[SubscriptionStatus]:
    """Return how all subscriptions of an instance stand, the first one first: five queries."""
    return statuses(subscriptions_of(instance))


def statuses(subscriptions: Collection[Subscription]) -> list[SubscriptionStatus]:
    """Return how these stand, in their order; each has its instance. Three queries."""
    ids = [each.pk for each in subscriptions]
    states = DeliveryState.objects.select_related("receiver").in_bulk(ids)
    waiting, left = _counts(_WAITING, ids), _counts(_LEFT, ids)
    nothing = DeliveryState()
    return [
        SubscriptionStatus(
            subscription=each,
            waiting=waiting[each.pk],
            catch_up=_catch_up(each, left.get(each.pk)),
            paused_at=states.get(each.pk, nothing).paused_at,
            pause_reason=states.get(each.pk, nothing).pause_reason,
            last_delivered_at=states.get(each.pk, nothing).last_delivered_at,
            receiver=states.get(each.pk, nothing).receiver,
        )
        for each in subscriptions
    ]


def held_of(subscription: Subscription) -> QuerySet[SubscriptionEvent]:
    """Return what was held back from a subscription, newest first, each with its event."""
    rows = SubscriptionEvent.objects.filter(subscription=subscription, notification=None)
    return rows.select_related("event").defer("event__record", "event__changes").order_by("-event_id")


def _counts(statement: str, ids: Collection[int]) -> Mapping[int, int]:
    """Run a statement that counts by subscription, up to the bound."""
    return dict(rows_of(statement.format(given=GIVEN[connection.vendor]), [MOST_COUNTED, keys(ids)]))


def _catch_up(subscription: Subscription, left: int | None) -> CatchUp | None:
    upto, reached = subscription.catching_up_to, subscription.reached_id
    return None if upto is None or left is None else CatchUp(upto, reached, left)
