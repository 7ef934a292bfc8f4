"""What is the matter with an instance's delivery or callbacks: one rule for what needs a person and what waits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet

from cwconnect.core.one_statement import Question, Questions, Row, time_of
from cwconnect.core.text import counted
from polling.models import Alert, CallbackRegistration, DeliveryState

_NAMED = ("instance_id", "subscription_id", "subscription__name")
PAUSED = Q(paused_at__isnull=False)
RECEIVER_FAILS = Q(receiver__open_until__isnull=False, paused_at=None)
RUNNING_OUT = Q(
    Q(subscription=None) | Q(subscription__enabled=True),
    resolved_at=None,
    kind__in=(Alert.Kind.LAST_TRY, Alert.Kind.HALF_USED),
    instance__isnull=False,
)
SILENT = Q(
    silent_since__isnull=False,
    status=CallbackRegistration.Status.ACTIVE,
    instance__callbacks_enabled=True,
    instance__disabled=False,
    instance__events_enabled=True,
)


def states_of_instances() -> QuerySet[Any]:
    """Return the states of delivery with the instance that each is of; one may have several, a subscription each.

    Those excepted of subscriptions that are off: they need nobody.
    """
    on = DeliveryState.objects.filter(subscription__enabled=True, subscription__deleted_at=None)
    return on.annotate(instance_id=F("subscription__instance_id"))


def further_name(row: Row) -> str:
    """Return the name of the subscription of a row that has it, blank for the first one: that is the instance's own."""
    further = row["subscription_id"] is not None and row["subscription_id"] != row["instance_id"]
    return str(row["subscription__name"]) if further else ""


@dataclass(frozen=True)
class DeliveryIssue:
    """What is the matter, in a word or two, and why. `paused`: nothing goes on before a person releases it.

    `callbacks`: ConnectWise's are silent, and delivery itself is well.
    """

    word: str
    why: str
    paused: bool = False
    callbacks: bool = False
    since: datetime | None = None


def delivery_issues(keys: Collection[int]) -> dict[int, DeliveryIssue]:
    """Return those of these instances whose delivery needs a person, with what the matter is: one query."""
    found = instance_issues(keys)
    return {key: issue for key, issue in found.items() if not issue.callbacks}


def instance_issues(keys: Collection[int]) -> dict[int, DeliveryIssue]:
    """Return those of these instances whose delivery or callbacks need a person, with what the matter is: one query."""
    return issues_of(_ISSUES.ask(keys=list(keys)))


def issue_questions(keys: Collection[int] | QuerySet[Any, Any]) -> dict[str, Question]:
    """Return the queries that `issues_of` reads; `keys` are ids of instances, or a query of them."""
    alerts = Alert.objects.filter(RUNNING_OUT, instance__in=keys)
    stopped = states_of_instances().filter(PAUSED | RECEIVER_FAILS, subscription__instance__in=keys)
    silent = CallbackRegistration.objects.filter(SILENT, instance__in=keys)
    return {
        "silent_types": (silent, ("instance_id", "type")),
        "running_out": (alerts, ("instance_id", "kind", "text")),
        "stopped": (stopped, (*_NAMED, "paused_at", "pause_reason", "receiver__failures")),
    }


def issues_of(found: Mapping[str, Sequence[Row]]) -> dict[int, DeliveryIssue]:
    """Return what the matter is, by instance: of several things the one that matters most."""
    silent = {row["instance_id"]: _SILENT_CALLBACKS for row in found["silent_types"]}
    # The kinds' order is that of their urgency: the last try stands.
    alerts = sorted(found["running_out"], key=lambda row: str(row["kind"]))
    failing = {row["instance_id"]: DeliveryIssue("delivery failing", row["text"]) for row in alerts}
    stopped: dict[int, list[Row]] = {}
    for row in sorted(found["stopped"], key=urgency):
        stopped.setdefault(row["instance_id"], []).append(row)
    return silent | failing | {key: _issue(*rows) for key, rows in stopped.items()}


def urgency(row: Row) -> tuple[bool, int]:
    """Return the place of a state of delivery among those of its instance: what is paused first, and the first one."""
    return not row["paused_at"], row["subscription_id"]


_ISSUES = Questions(issue_questions)
_SILENT_CALLBACKS = DeliveryIssue("callbacks silent", "ConnectWise's callbacks have fallen silent.", callbacks=True)


def _issue(row: Row, *others: Row) -> DeliveryIssue:
    name = further_name(row)
    about = f"{name}: " if name else ""
    also = sum(bool(other["paused_at"]) == bool(row["paused_at"]) for other in others)
    besides = f" So is it with {counted(also, 'other subscription')}." if also else ""
    if row["paused_at"]:
        why, since = f"{about}{row['pause_reason']}{besides}", time_of(row["paused_at"])
        return DeliveryIssue("delivery paused", why, paused=True, since=since)
    why = f"{about}The receiver failed {counted(row['receiver__failures'], 'time')} in a row.{besides}"
    return DeliveryIssue("delivery failing", why)
