"""The cards of an instance's subscriptions: how each stands in a word, what it wants, and what tries of a day came to.

A constant number of queries, however many subscriptions there are and however much waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cwconnect.core.durations import write_durations
from cwconnect.core.text import counted
from instances.models import Instance
from polling.delivery.fan_out.beginnings import MOST_COUNTED
from polling.filters.words import words_of_filter
from polling.models import Alert, Subscription
from polling.reports.delivery_issues import RUNNING_OUT
from polling.reports.hours import Chart
from polling.reports.receiver_hours import HourOfReceiver, Tries, hours_of_receivers, in_all, outcomes_of
from polling.subscriptions.status import SubscriptionStatus, statuses_of

OFF: Final = "off"
PULLED: Final = "pulled only"
PAUSED: Final = "delivery paused"
FAILING: Final = "failing"
CATCHING_UP: Final = "catching up"
DELIVERING: Final = "delivering"


@dataclass(frozen=True)
class Card:
    """One subscription. `word` is its state, and `why` says in a sentence what is the matter; blank where nothing is.

    `tries` and `outcomes` are of its receiver in the last 24 hours; None where nothing was sent to it, or counted.
    """

    status: SubscriptionStatus
    word: str
    why: str
    wants: str
    outcomes: Chart | None
    tries: Tries | None

    @property
    def subscription(self) -> Subscription:
        """The row."""
        return self.status.subscription

    @property
    def url(self) -> str:
        """Where its notifications go; blank: nowhere."""
        return self.subscription.notification_settings.callback_url

    @property
    def sent(self) -> str:
        """Which fields of records are sent, in words; blank: all of them."""
        if self.subscription.mapping:
            return f"as {self.subscription.mapping} maps them"
        return f"{counted(len(self.subscription.fields), 'field')} alone" if self.subscription.fields else ""

    @property
    def waiting(self) -> str:
        """How many notifications wait, with the noun; of very many that there are so many or more."""
        return in_numbers(self.status.waiting, "notification")

    @property
    def schedule(self) -> str:
        """Its own waits before each try; blank: the service's."""
        return write_durations(self.subscription.retry_schedule or ())

    @property
    def left(self) -> str:
        """How many events are left of its catch-up, with the noun."""
        return in_numbers(self.status.catch_up.left if self.status.catch_up else 0, "event")

    @property
    def caught_up(self) -> int | None:
        """How many percent of its catch-up are done; None where there is none."""
        catch_up, begun = self.status.catch_up, self.subscription.began_id
        if catch_up is None:
            return None
        return max(0, min(99, 100 * (catch_up.reached - begun) // max(catch_up.upto - begun, 1)))

    @property
    def waits_for_url(self) -> bool:
        """Whether something waits that nothing can be sent of, since the URL was taken away."""
        return bool(self.status.waiting) and not self.url


def cards_of(instance: Instance, now: datetime) -> list[Card]:
    """Return the cards of an instance's subscriptions, the first one first: nine queries at most."""
    rows = statuses_of(instance)
    alerts = _alerts(instance)
    receivers = {each.receiver.pk: each.receiver for each in rows if each.receiver is not None}
    hours = hours_of_receivers(receivers.values(), now) if receivers else None
    return [_card(each, alerts.get(each.subscription.pk, ""), hours or {}) for each in rows]


def _alerts(instance: Instance) -> dict[int, str]:
    """Return what warns that tries run out, by the id of the subscription: of several warnings the most urgent."""
    found = Alert.objects.filter(RUNNING_OUT, instance=instance).order_by("kind")  # half used, last try
    return {subscription or instance.pk: text for subscription, text in found.values_list("subscription_id", "text")}


def _card(status: SubscriptionStatus, alert: str, hours: Mapping[int, Sequence[HourOfReceiver]]) -> Card:
    word, why = _state(status, alert)
    of_day = hours.get(status.receiver.pk, ()) if status.receiver else ()
    tries = in_all(of_day)
    some = any(tries.outcomes)
    return Card(
        status=status,
        word=word,
        why=why,
        wants=words_of_filter(status.subscription.filter),
        outcomes=outcomes_of(of_day) if some else None,
        tries=tries if some else None,
    )


def _state(status: SubscriptionStatus, alert: str) -> tuple[str, str]:
    """Return the state in a word, and why: of several the one that matters most."""
    subscription, receiver = status.subscription, status.receiver
    if subscription.instance.disabled:
        return OFF, "The instance is disabled. Nothing is lost: it goes on where it stopped."
    if not subscription.instance.events_enabled:
        return OFF, "Events of the instance are off: nothing is polled, recorded or sent."
    if not status.enabled:
        return OFF, "It is switched off: nothing is kept for it meanwhile, and what waits is sent once it is on."
    if status.paused_at is not None:
        return PAUSED, status.pause_reason
    if not subscription.notification_settings.callback_url:
        return PULLED, ""
    if receiver is not None and receiver.open_until is not None:
        return FAILING, f"The receiver failed {counted(receiver.failures, 'time')} in a row."
    if alert:
        return FAILING, alert
    return (CATCHING_UP if status.catch_up else DELIVERING), ""


def in_numbers(count: int, noun: str) -> str:
    """Write a count that is bounded, with its noun: `3 events`, `10,000 events or more`."""
    return counted(count, noun) + (" or more" if count >= MOST_COUNTED else "")
