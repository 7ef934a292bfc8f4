"""How many subscriptions stand how, and what filters held back from all of them: one statement, for `/metrics`.

A subscription's state is the word of its card (`subscription_cards.py`), by the same rules, asked of the database: a
test holds the one against the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Case, CharField, Count, F, Q, Sum, Value, When

from cwconnect.core.one_statement import Question, Questions
from polling.delivery.pausing import SENDING
from polling.models import Alert, Subscription
from polling.models.deliveries import TO
from polling.reports.delivery_issues import RUNNING_OUT
from polling.reports.subscription_cards import CATCHING_UP, DELIVERING, FAILING, OFF, PAUSED, PULLED
from polling.subscriptions.held_counts import kept_counts

STATES: Final = (DELIVERING, CATCHING_UP, FAILING, PAUSED, PULLED, OFF)
_DELETED = "deleted"  # its rows are still to go

_OFF = Q(enabled=False) | Q(instance__events_enabled=False) | Q(instance__disabled=True)
_WARNED = Alert.objects.filter(RUNNING_OUT).order_by().values_list(TO)
WORD = Case(
    When(Q(deleted_at__isnull=False) | Q(instance__organization=None), then=Value(_DELETED)),
    When(_OFF, then=Value(OFF)),
    When(delivery_state__paused_at__isnull=False, then=Value(PAUSED)),
    When(~SENDING, then=Value(PULLED)),  # what is on, and may be sent nothing, has no URL
    When(Q(delivery_state__receiver__open_until__isnull=False) | Q(pk__in=_WARNED), then=Value(FAILING)),
    When(catching_up_to__gt=F("reached_id"), then=Value(CATCHING_UP)),
    default=Value(DELIVERING),
    output_field=CharField(),
)
"""The state of a subscription that has been joined with nothing, as an expression."""


@dataclass(frozen=True)
class SubscriptionCounts:
    """How many subscriptions there are by state, and how many events filters ever held back, of whomever."""

    states: dict[str, int]
    held: int


def count_subscriptions() -> SubscriptionCounts:
    """Return how subscriptions stand; what those held back that are deleted, or gone, stays counted."""
    answers = _ALL.ask()  # one statement, so that a subscription whose row goes meanwhile counts once
    words = {row["word"]: row for row in answers["words"]}
    held = sum(row["events"] for row in (*words.values(), *answers["gone"]))
    return SubscriptionCounts({word: words[word]["n"] if word in words else 0 for word in STATES}, int(held))


def _questions() -> dict[str, Question]:
    words = Subscription.objects.order_by().annotate(word=WORD).values("word")
    counted = words.annotate(n=Count("pk"), events=Sum("held"))
    return {"words": (counted, ("word", "n", "events")), "gone": (kept_counts(), ("events",))}


_ALL = Questions(_questions)
