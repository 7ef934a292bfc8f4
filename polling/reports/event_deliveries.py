"""What became of one event for each subscription of its instance: a line each, on its page and in the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, FilteredRelation, Q

from polling.delivery.first_subscriptions import NAME
from polling.delivery.replay.selection import state_in_words
from polling.models import Event, Notification, Subscription
from polling.reports.event_states import DISCARDED, HELD_BACK, NOT_SENT

NOT_JUDGED, LOST, FORGOTTEN = "not judged yet", "lost", "no longer kept"
_LATER: Final = "It is from before the subscription began, or was switched on again."
_OFF: Final = "The subscription is off."
_NO_URL: Final = "The subscription has no URL."
_NOBODY: Final = "The instance had no callback URL when it was recorded."
_FORGOTTEN: Final = "What became of it is past the subscription’s retention."
_LOST: Final = "Its notification is lost: Verify finds that, and Repair makes another."


@dataclass(frozen=True)
class EventDelivery:
    """How an event stands with a subscription: its state in words, and why where that is not delivery itself.

    `held_by` is the condition that the event did not meet, `not_judged` what could not be judged, and let it pass.
    """

    subscription: Subscription
    word: str
    notification_id: int | None = None
    webhook_id: str = ""
    delivered_at: datetime | None = None
    held_by: str = ""
    not_judged: str = ""
    why: str = ""


def deliveries_of(event: Event, now: datetime) -> list[EventDelivery]:
    """Return a line for each subscription, the first one first: one query. The event's notification is at hand."""
    own = FilteredRelation("judged", condition=Q(judged__event=event.pk))
    rows = Subscription.objects.filter(instance=event.instance_id, deleted_at=None).annotate(
        found=own,
        judged_id=F("found__pk"),
        **{name: F(f"found__{name}") for name in ("notification_id", "held_by", "not_judged")},
        **{name: F(f"found__notification__{name}") for name in ("state", "webhook_id", "delivered_at")},
    )
    lines = [_line(event, row, now) for row in rows.order_by("pk")]
    if lines and lines[0].subscription.is_first:
        return lines
    # An instance of an earlier version's making has no row of its first one yet.
    first: Any = Subscription(pk=event.instance_id, instance=event.instance, name=NAME)
    first.judged_id = None
    return [_line(event, first, now), *lines]


def shown_of(lines: Sequence[EventDelivery], to: int | None) -> EventDelivery:
    """Return the line of this subscription, else the first with a notification, else the first."""
    sent = [line for line in lines if line.notification_id is not None]
    return next((line for line in lines if line.subscription.pk == to), (*sent, *lines)[0])


def _line(event: Event, row: Any, now: datetime) -> EventDelivery:
    row.instance = event.instance
    own = event.notification if row.is_first else None
    if row.judged_id is not None and row.notification_id is None:
        return EventDelivery(row, HELD_BACK, held_by=row.held_by)
    if row.judged_id is None or row.state is None:
        return _carried(row, own) if own is not None else _neither(event, row, now)
    sent = {"webhook_id": row.webhook_id, "delivered_at": row.delivered_at, "not_judged": row.not_judged}
    return EventDelivery(row, _in_words(row.state), row.notification_id, **sent)


def _carried(row: Subscription, own: Notification) -> EventDelivery:
    return EventDelivery(row, _in_words(own.state), own.pk, own.webhook_id, own.delivered_at)


def _in_words(stored: str) -> str:
    return stored if stored == DISCARDED else state_in_words(stored)


def _neither(event: Event, row: Subscription, now: datetime) -> EventDelivery:
    """Return the line of a subscription for which nothing is noted of an event."""
    if not row.reads_log:
        was_to_be = bool(event.instance.callback_url) and event.pk > row.began_id
        return EventDelivery(row, LOST, why=_LOST) if was_to_be else EventDelivery(row, NOT_SENT, why=_NOBODY)
    if event.pk <= row.began_id:
        return EventDelivery(row, NOT_SENT, why=_LATER)
    if event.pk > row.reached_id:
        if not row.enabled:
            return EventDelivery(row, NOT_SENT, why=_OFF)
        has_url = bool(row.notification_settings.callback_url)
        return EventDelivery(row, NOT_JUDGED) if has_url else EventDelivery(row, NOT_SENT, why=_NO_URL)
    if event.polled_at < now - timedelta(days=row.days_kept):
        return EventDelivery(row, FORGOTTEN, why=_FORGOTTEN)
    return EventDelivery(row, LOST, why=_LOST)
