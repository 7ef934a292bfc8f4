"""What became of events for their subscriptions, in a word: how lists show it, and what they are searched by.

An event that several notifications carry is in the state that matters most: given up, else waiting, discarded, and
else delivered. It waits as well where a subscription has still to come to it. One that no notification carries is held
back where a filter said so, and else not sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from cwconnect.core.hanging_rows import read_rows, rows_in, there_is
from cwconnect.core.one_statement import time_of
from polling.delivery.replay.selection import DELIVERED, GIVEN_UP, STATES, STORED_STATES, WAITING, state_in_words
from polling.log.readers import READING
from polling.models import Event, Notification, Subscription, SubscriptionEvent

HELD_BACK, NOT_SENT = "held back", "not sent"
SHOWN_STATES = (*STATES, HELD_BACK)
"""What a list can be narrowed to."""
DISCARDED = Notification.State.DISCARDED.value
_WORST = (GIVEN_UP, WAITING, DISCARDED, DELIVERED)


@dataclass(frozen=True)
class Carrier:
    """A notification that carries an event."""

    state: str
    webhook_id: str
    delivered_at: datetime | None


@dataclass(frozen=True)
class EventState:
    """An event's state, and of how many notifications that carry it how many were delivered."""

    word: str
    delivered: int = 0
    sent: int = 0

    @property
    def is_several(self) -> bool:
        """Whether several subscriptions are notified of it."""
        return self.sent > 1


def with_states(events: QuerySet[Event]) -> QuerySet[Any]:
    """Have each of these events, whose notifications are at hand, say what `state_of` and `carriers_of` go by."""
    judged = _judged()
    columns = ("notification__state", "notification__webhook_id", "notification__delivered_at")
    return events.annotate(carriers=rows_in(judged, "event", *columns), awaited=_AWAITED)


def with_first(events: QuerySet[Event]) -> QuerySet[Any]:
    """Have each of these events say which notification carries it to the first subscription: `of_first`."""
    judged = SubscriptionEvent.objects.filter(subscription=OuterRef("instance"), event=OuterRef("pk"))
    carrying = Subquery(judged.values("notification")[:1])
    return events.annotate(of_first=Coalesce(F("notification"), carrying, output_field=BigIntegerField()))


def carriers_of(event: Any) -> Sequence[Carrier]:
    """Return the notifications that carry an event of `with_states`, the first subscription's own first."""
    own = event.notification
    found = [] if own is None else [Carrier(own.state, own.webhook_id, own.delivered_at)]
    rows = (row for row in read_rows(event.carriers) if row[0] is not None)
    return [*found, *(Carrier(state, webhook_id, time_of(at)) for state, webhook_id, at in rows)]


def state_of(event: Any) -> EventState:
    """Return the state of an event of `with_states`."""
    carriers = carriers_of(event)
    words = [each.state if each.state == DISCARDED else state_in_words(each.state) for each in carriers]
    words += [WAITING] * event.awaited
    word = next((word for word in _WORST if word in words), None)
    if word is None:
        word = HELD_BACK if read_rows(event.carriers) else NOT_SENT
    return EventState(word, words.count(DELIVERED), len(carriers))


def sent_again(events: Iterable[Any], state: str) -> int:
    """Return how many notifications a replay of these events of `with_states` sends, of those in a state if given."""
    stored = STORED_STATES.get(state, tuple(Notification.State))
    carriers = {each for event in events for each in carriers_of(event)}
    return sum(each.state in stored and each.state != DISCARDED for each in carriers)


def in_state(state: str) -> Q:
    """Return the condition of events that are so for one of their subscriptions: of all of them by an empty state."""
    if not state:
        return Q()
    if state == HELD_BACK:
        return there_is(_judged().filter(notification=None))
    stored = STORED_STATES[state]
    own = Notification.objects.filter(pk=OuterRef("notification"), state__in=stored)
    condition = there_is(own) | there_is(_judged().filter(notification__state__in=stored))
    return condition | Q(_AWAITED) if Notification.State.PENDING in stored else condition


def _judged() -> QuerySet[SubscriptionEvent]:
    """Return what became of an event for those subscriptions that read the log; not for deleted ones."""
    return SubscriptionEvent.objects.filter(event=OuterRef("pk"), subscription__deleted_at=None)


_AWAITED = Exists(Subscription.objects.filter(READING, instance=OuterRef("instance"), reached_id__lt=OuterRef("pk")))
"""Whether a subscription that reads the log has still to come to an event."""
