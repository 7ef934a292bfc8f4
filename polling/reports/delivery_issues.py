"""What is the matter with an instance's delivery: one rule for its state, what needs a person, and what waits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from cwconnect.core.one_statement import Question, Questions, Row
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
    """Return those of these instances whose delivery needs a person, with what the matter is: one query."""
    return issues_of(_ISSUES.ask(keys=list(keys)))


def issue_questions(keys: Collection[int] | QuerySet[Any, Any]) -> dict[str, Question]:
    """Return the queries that `issues_of` reads; `keys` are ids of instances, or a query of them."""
    alerts = Alert.objects.filter(RUNNING_OUT, instance__in=keys)
    stopped = DeliveryState.objects.filter(PAUSED | RECEIVER_FAILS, instance__in=keys)
    return {
        "running_out": (alerts, ("instance_id", "kind", "text")),
        "stopped": (stopped, ("instance_id", "paused_at", "pause_reason", "receiver__failures")),
    }


def issues_of(found: Mapping[str, Sequence[Row]]) -> dict[int, DeliveryIssue]:
    """Return what the matter is, by instance."""
    # The kinds' order is that of their urgency: the last try stands.
    alerts = sorted(found["running_out"], key=lambda row: str(row["kind"]))
    failing = {row["instance_id"]: DeliveryIssue("delivery failing", row["text"]) for row in alerts}
    return failing | {row["instance_id"]: _issue(row) for row in found["stopped"]}


_ISSUES = Questions(issue_questions)


def _issue(row: Row) -> DeliveryIssue:
    if row["paused_at"]:
        return DeliveryIssue("delivery paused", row["pause_reason"], paused=True)
    return DeliveryIssue(
        "delivery failing", f"The receiver failed {counted(row['receiver__failures'], 'time')} in a row."
    )
