"""How one instance's resources stand: the rows of its page. A constant number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, Sum

from cwconnect.connectwise.callbacks.types import type_of_path
from instances.configuration.polls import plan_of
from instances.models import Instance, ResourcePoll
from polling.models import CallbackRegistration, Health, MissingRecord, PollRun, PollState
from polling.reports.delivery_issues import DeliveryIssue, instance_issues
from polling.reports.instance_rows import DAY, state_of


@dataclass(frozen=True)
class ResourceRow:
    """One resource: its poll, its state if watching has begun, and what a day's runs read and recorded."""

    poll: ResourcePoll
    state: PollState | None
    word: str
    known_to: datetime | None
    records: int
    events: int
    held: int
    woken: bool  # a callback has it polled before its time

    @property
    def may_poll(self) -> bool:
        """Whether *Poll now* does something."""
        return self.state is not None and self.state.health != Health.PAUSED


@dataclass(frozen=True)
class InstanceStatus:
    """An instance's head line, what the matter is with its delivery, and its resources."""

    word: str
    issue: DeliveryIssue | None
    rows: tuple[ResourceRow, ...]


def instance_status_of(instance: Instance, now: datetime) -> InstanceStatus:
    """Return how an instance stands: six queries, seven where callbacks are on."""
    polls = list(ResourcePoll.objects.filter(instance=instance).select_related("state").order_by("name"))
    read = _runs_of_a_day(polls, now)
    held = _held(instance)
    woken = _woken(instance, polls)
    rows = tuple(_row(poll, read.get(poll.pk, (0, 0)), held.get(poll.pk, 0), poll.pk in woken) for poll in polls)
    healths = [row.state.health for row in rows if row.state]
    issue = instance_issues([instance.pk]).get(instance.pk)
    of_delivery = None if issue is None or issue.callbacks else issue
    return InstanceStatus(state_of(instance, healths, issue), of_delivery, rows)


def _runs_of_a_day(polls: Sequence[ResourcePoll], now: datetime) -> dict[int, tuple[int, int]]:
    """Sum up the runs from the first of the day on: by their ids, since a day of all other polls is long."""
    of_today = PollRun.objects.filter(started_at__gte=now - DAY).order_by("started_at")
    first = of_today.values_list("pk", flat=True).first()
    if first is None:
        return {}
    runs = PollRun.objects.filter(resource_poll__in=[poll.pk for poll in polls], pk__gte=first)
    runs = runs.filter(Q(records__gt=0) | Q(events__gt=0))
    summed = runs.values("resource_poll_id").annotate(read=Sum("records"), recorded=Sum("events")).order_by()
    return {row["resource_poll_id"]: (row["read"] or 0, row["recorded"] or 0) for row in summed}


def _held(instance: Instance) -> dict[int, int]:
    held = MissingRecord.objects.filter(resource_poll__instance=instance, status=MissingRecord.Status.HELD)
    return dict(held.values_list("resource_poll_id").annotate(n=Count("record_id")).order_by())


def _woken(instance: Instance, polls: Sequence[ResourcePoll]) -> set[int]:
    """Return the polls whose changes ConnectWise announces: their type is registered, and not silent."""
    if not instance.callbacks_enabled:
        return set()
    active = CallbackRegistration.objects.filter(instance=instance, status=CallbackRegistration.Status.ACTIVE)
    types = set(active.filter(silent_since=None).values_list("type", flat=True))
    return {poll.pk for poll in polls if type_of_path(plan_of(poll.name, poll.configuration).hub.path) in types}


def _row(poll: ResourcePoll, read: tuple[int, int], held: int, woken: bool) -> ResourceRow:
    state: PollState | None = getattr(poll, "state", None)
    known = state.cursor if state and state.health != Health.PAUSED else None
    word = str(state.health) if state else "not begun"
    return ResourceRow(poll, state, word if poll.enabled else "off", known, read[0], read[1], held, woken)
