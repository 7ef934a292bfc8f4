"""Where delivery waits, fails or is paused: the rows of the page *Deliveries*."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Count, F, Min, QuerySet
from django.db.models.expressions import RawSQL

from instances.models import Instance, Organization
from polling.delivery.carried import events_of
from polling.models import DeliveryAttempt, Event, Notification
from polling.reports.delivery_issues import (
    PAUSED,
    RECEIVER_FAILS,
    DeliveryIssue,
    delivery_issues,
    states_of_instances,
)
from polling.reports.delivery_names import name_of

MOST_ROWS = 50
MOST_ATTEMPTS = 25
# Written out: SQLite takes a partial index for constants only, never for bound values (373 ms with 600,000 rows
# that were delivered, 14 ms so).
_UNDELIVERED = RawSQL("polling_notification.state IN ('pending', 'exhausted')", [], output_field=BooleanField())


def undelivered_of(**whose: Any) -> QuerySet[Notification]:
    """Return the undelivered notifications that match, by the index that holds nothing else."""
    return Notification.objects.filter(_UNDELIVERED, **whose)


@dataclass(frozen=True)
class WaitingRow:
    """An instance whose delivery waits, fails or is paused."""

    instance: Instance
    undelivered: int
    next_try_at: datetime | None
    issue: DeliveryIssue | None

    @property
    def state(self) -> str:
        """In a word or two."""
        return self.issue.word if self.issue else "pending"

    @property
    def paused(self) -> bool:
        """Whether a person may release it."""
        return self.issue is not None and self.issue.paused


@dataclass(frozen=True)
class FailedAttempt:
    """An attempt that failed, the events of its notification, and to which subscription of several that went."""

    attempt: DeliveryAttempt
    events: Sequence[Event]
    to_name: str


def waiting_rows(organization: Organization) -> list[WaitingRow]:
    """Return the instances whose delivery waits, fails or is paused, those that need a person first: five queries."""
    undelivered = undelivered_of(instance__organization=organization)
    counted = undelivered.values("instance_id").annotate(n=Count("pk"), first=Min("next_attempt_at")).order_by("-n")
    waiting = {row["instance_id"]: (row["n"], row["first"]) for row in counted[:MOST_ROWS]}
    stopped = states_of_instances().filter(PAUSED | RECEIVER_FAILS, subscription__instance__organization=organization)
    of_stopped = stopped.order_by("instance_id").values_list("instance_id", flat=True).distinct()
    keys = {*waiting, *of_stopped[: 2 * MOST_ROWS]}
    issues = delivery_issues(keys)
    instances = Instance.objects.in_bulk(keys)
    rows = [WaitingRow(instance, *waiting.get(key, (0, None)), issues.get(key)) for key, instance in instances.items()]
    return sorted(rows, key=lambda row: (row.state == "pending", row.state, -row.undelivered))[:MOST_ROWS]


def failed_attempts(organization: Organization, since: datetime) -> list[FailedAttempt]:
    """Return the newest attempts that failed since a time: read by it, the sum keeps the planner off other indexes."""
    ours = Instance.objects.filter(organization=organization).values("pk")
    recent = DeliveryAttempt.objects.filter(started_at__gte=since).exclude(error_kind="")
    found = recent.annotate(owner=F("notification__instance_id") + 0).filter(owner__in=ours)
    living = found.exclude(notification__subscription__deleted_at__isnull=False)
    shown = living.select_related("notification__instance").defer("notification__body", "response")
    attempts = list(shown.annotate(to_name=name_of("notification__")).order_by("-started_at")[:MOST_ATTEMPTS])
    carried = events_of({attempt.notification_id for attempt in attempts})
    return [FailedAttempt(each, carried.get(each.notification_id, ()), each.to_name) for each in attempts]
