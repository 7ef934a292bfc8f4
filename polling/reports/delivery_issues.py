"""What is the matter with an instance's delivery: one rule for its state, what needs a person, and what waits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q

from cwconnect.core.text import counted
from polling.models import Alert, DeliveryState

PAUSED = Q(paused_at__isnull=False)
RECEIVER_FAILS = Q(receiver__open_until__isnull=False, paused_at=None)
RUNNING_OUT = Q(resolved_at=None, kind__in=(Alert.Kind.LAST_TRY, Alert.Kind.HALF_USED), instance__isnull=False)


@dataclass(frozen=True)
class DeliveryIssue:
    """What is the matter, in a word or two, and why. `paused`: nothing goes on before a person releases it."""

    word: str
    why: str
    paused: bool = False


def delivery_issues(keys: Collection[int]) -> dict[int, DeliveryIssue]:
    """Return those of these instances whose delivery needs a person, with what the matter is: two queries."""
    # The kinds' order is that of their urgency: the last try, written last, stands.
    alerts = Alert.objects.filter(RUNNING_OUT, instance__in=keys).order_by("kind")
    found = {
        key: DeliveryIssue("delivery failing", text) for key, text in alerts.values_list("instance_id", "text") if key
    }
    states = DeliveryState.objects.filter(PAUSED | RECEIVER_FAILS, instance__in=keys).select_related("receiver")
    return found | {state.instance_id: _issue(state) for state in states}


def _issue(state: DeliveryState) -> DeliveryIssue:
    if state.paused_at or state.receiver is None:
        return DeliveryIssue("delivery paused", state.pause_reason, paused=True)
    return DeliveryIssue(
        "delivery failing", f"The receiver failed {counted(state.receiver.failures, 'time')} in a row."
    )
