"""Where in the event log a new subscription begins, as choices; each says how many events that is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import ValidationError

from instances.models import Instance
from polling.delivery.fan_out.beginnings import MOST_COUNTED
from polling.models import Event
from polling.reports.subscription_cards import in_numbers
from polling.subscriptions.beginnings import NOW, days_kept

OWN: Final = "own"
_DAY: Final = timedelta(days=1)
_SPANS: Final = {"day": (_DAY, "24 hours ago"), "week": (7 * _DAY, "7 days ago")}


def begins_of(instance: Instance, now: datetime) -> list[tuple[str, str]]:
    """Return the choices: a value, and words for it; four queries, each of so many events at most."""
    kept = timedelta(days=days_kept(instance))
    spans = {value: span for value, span in _SPANS.items() if span[0] < kept}
    spans["kept"] = kept, "the first event that is kept"
    choices = [(NOW, "From now on")]
    choices += [
        (value, f"From {words} on: {events_since(instance, now - span)}") for value, (span, words) in spans.items()
    ]
    return [*choices, (OWN, "From a time of your own on")]


def events_since(instance: Instance, since: datetime) -> str:
    """Return how many events of an instance polls saw from a time on, in words."""
    rows = Event.objects.filter(instance=instance, polled_at__gte=since).order_by("polled_at")
    return in_numbers(rows[:MOST_COUNTED].count(), "event")


def since_of(chosen: str, own: datetime | None, instance: Instance, now: datetime) -> datetime | None:
    """Return the time that a choice stands for; None: now. ValidationError for one of one's own that is not kept."""
    if chosen == NOW:
        return None
    if chosen in _SPANS:
        return now - _SPANS[chosen][0]
    days = days_kept(instance)
    if chosen != OWN:
        return now - timedelta(days=days)
    if own is None:
        raise ValidationError("A date and a time are needed.")
    if own > now:
        raise ValidationError("Give a time in the past; what comes is sent in any case.")
    if own < now - timedelta(days=days):
        raise ValidationError(f"The log is kept for {days} days: give a time within them.")
    return own
