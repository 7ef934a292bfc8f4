"""Instances that ConnectWise refuses, as alerts to the operator: when it begins, and when it is over.

A periodic job of each minute looks at the health that the polls have, rather than each place that changes it: so no way
into a refusal or out of it is forgotten, and one that is over within the minute disturbs nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from instances.models import Instance
from polling.alerts import delivery_alerts
from polling.models import Alert, Health, PollState

_SHOWN = 5


def raise_auth_alerts(now: datetime) -> int:
    """Raise an alert for each instance newly refused, and end those of instances no longer so; give how many."""
    begun = _begin(now)
    return begun + sum(_end(alert, now) for alert in _open().select_related("instance"))


def _begin(now: datetime) -> int:
    states = PollState.objects.filter(health=Health.UNAUTHORIZED).select_related("resource_poll__instance")
    states = states.exclude(resource_poll__instance__in=_open().values("instance")).order_by("pk")
    refused: dict[Instance, list[PollState]] = defaultdict(list)
    for state in states:
        refused[state.resource_poll.instance].append(state)
    for instance, polls in refused.items():
        delivery_alerts.warn(Alert.Kind.REFUSED, instance, _text(instance, polls), now)
    return len(refused)


def _text(instance: Instance, polls: Sequence[PollState]) -> str:
    names = [state.resource_poll.name for state in polls]
    listed = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return (
        f"ConnectWise refuses the keys of {instance} for {listed}: {polls[0].last_error} "
        "It is asked again each hour; new keys take effect at once, and nothing is missed meanwhile."
    )


def _end(alert: Alert, now: datetime) -> bool:
    """End the episode once a poll was good again; in silence if nothing is polled any more. Give whether it ended.

    A failure of another sort proves nothing: the keys may be refused as before.
    """
    polls = PollState.objects.filter(resource_poll__instance=alert.instance_id).exclude(health=Health.PAUSED)
    if polls.filter(health=Health.UNAUTHORIZED).exists():
        return False
    accepted = polls.filter(last_good_at__gt=alert.created_at).exists()
    if not accepted and polls.exists():
        return False
    with transaction.atomic():
        delivery_alerts.resolve(Alert.objects.filter(pk=alert.pk), now)
        if accepted and alert.instance is not None:
            text = f"ConnectWise accepts the keys of {alert.instance} again, and it is polled."
            delivery_alerts.raise_resolved(Alert.Kind.ACCEPTED, alert.instance, text, now)
    return True


def _open() -> QuerySet[Alert]:
    return Alert.objects.filter(kind=Alert.Kind.REFUSED, resolved_at=None)
