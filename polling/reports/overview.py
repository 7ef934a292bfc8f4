"""How an organization's instances fare: what the pages show of many instances at a time.

Each question is one query, whatever the number of instances shown, and none counts without a bound: an instance's
events of a day and what is undelivered are read from indexes that hold nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min

from cwconnect.core.text import counted
from instances.models import Instance, Organization
from polling.models import Alert, DeliveryState, Event, Health, MissingRecord, PollState, Receiver
from polling.reports.delivery_issues import (
    PAUSED,
    RECEIVER_FAILS,
    RUNNING_OUT,
    DeliveryIssue,
    delivery_issues,
)
from polling.reports.waiting import undelivered_of
from polling.workers.heartbeats import worker_seen

DAY = timedelta(days=1)
WORKER_SILENT = timedelta(seconds=60)  # a worker shows itself every 10 s
POLLS_LATE = timedelta(minutes=3)
MOST_ACTION_ITEMS = 25
# The first of these that holds for one of its resources is an instance's state.
_WORST = (Health.UNAUTHORIZED, Health.REJECTED, Health.HELD, Health.RATE_LIMITED, Health.RETRYING, Health.HEALTHY)
_NEEDING_A_PERSON = (Health.UNAUTHORIZED, Health.REJECTED, Health.HELD)


@dataclass(frozen=True)
class InstanceRow:
    """One instance in a table. `known_to` is the time of ConnectWise's clock up to which its changes are known."""

    instance: Instance
    state: str
    last_good_at: datetime | None
    known_to: datetime | None
    undelivered: int
    next_retry_at: datetime | None
    events: int


@dataclass(frozen=True)
class ActionItem:
    """Something that only a person can solve. `action` names the button that does so (see parts/action_item.html)."""

    action: str
    instance: Instance
    text: str
    since: datetime | None = None
    words: str = ""
    count: int = 0
    resource: str = ""
    poll_id: int = 0
    event_id: int | None = None


@dataclass(frozen=True)
class Engine:
    """Whether the parts that poll and deliver are alive; `problem` is empty if so."""

    worker_seen_at: datetime | None
    problem: str = ""


def instance_rows(instances: Sequence[Instance], now: datetime) -> list[InstanceRow]:
    """Return these instances with their state: five queries."""
    keys = [instance.pk for instance in instances]
    states: dict[int, list[dict[str, Any]]] = {key: [] for key in keys}
    for state in _states(keys):
        states[state["resource_poll__instance_id"]].append(state)
    issues = delivery_issues(keys)
    waiting = _undelivered(keys)
    events = _events_of_a_day(keys, now)
    return [
        _row(instance, states[instance.pk], issues.get(instance.pk), waiting.get(instance.pk), events)
        for instance in instances
    ]


def state_of(instance: Instance, healths: Iterable[str], issue: DeliveryIssue | None) -> str:
    """Return an instance's state in a word or two: what stops it or needs a person, else the worst of its resources."""
    found = set(healths)
    if instance.disabled:
        return "disabled"
    if not instance.events_enabled:
        return "events off"
    stopped = next((health for health in _WORST[:3] if health in found), None)
    if stopped is None and issue is not None:
        return issue.word
    return str(stopped or next((health for health in _WORST if health in found), "off"))


def engine(organization: Organization, now: datetime) -> Engine:
    """Look whether a worker lives and polls are on time: three queries."""
    seen = worker_seen()
    if seen is None:
        return Engine(None, "No worker has been seen: nothing is polled or delivered.")
    if now - seen > WORKER_SILENT:
        return Engine(seen, "No worker shows life any more: nothing is polled or delivered.")
    due = PollState.objects.filter(
        resource_poll__instance__organization=organization, next_poll_at__lt=now - POLLS_LATE
    )
    if due.filter(lease_until__isnull=True).exists() and not _polled_lately(organization, now):
        return Engine(seen, "Polls are due and none is run, though a worker lives.")
    return Engine(seen)


def _polled_lately(organization: Organization, now: datetime) -> bool:
    recent = PollState.objects.filter(resource_poll__instance__organization=organization)
    return recent.filter(last_good_at__gt=now - POLLS_LATE).exists()


def action_items(organization: Organization) -> list[ActionItem]:
    """Return what needs a person, the first few of each kind: seven queries at most."""
    delivery = [*_paused_items(organization), *_receiver_items(organization)]
    shown = {item.instance.pk for item in delivery}
    return [*_poll_items(organization), *delivery, *_failing_items(organization, shown)]


def _poll_items(organization: Organization) -> list[ActionItem]:
    states = (
        PollState.objects.filter(resource_poll__instance__organization=organization, health__in=_NEEDING_A_PERSON)
        .select_related("resource_poll__instance")
        .order_by("pk")[: 4 * MOST_ACTION_ITEMS]
    )
    held = [state.pk for state in states if state.health == Health.HELD]
    counts = _held_counts(held)
    found: list[ActionItem] = []
    refused: set[int] = set()
    for state in states:
        instance = state.resource_poll.instance
        if state.health == Health.UNAUTHORIZED and instance.pk in refused:
            continue  # the keys are the instance's: one line for all of its resources
        refused |= {instance.pk} if state.health == Health.UNAUTHORIZED else set()
        found.append(_poll_item(state, instance, counts.get(state.pk, 0)))
    return found[:MOST_ACTION_ITEMS]


def _poll_item(state: PollState, instance: Instance, held: int) -> ActionItem:
    name = state.resource_poll.name
    common = {"since": state.last_good_at, "resource": name, "poll_id": state.pk}
    if state.health == Health.HELD:
        gone = f"{counted(held, 'record')} of {name} {'seems' if held == 1 else 'seem'} to be deleted at once."
        text = f"{gone} {'Its delete is' if held == 1 else 'Their deletes are'} held back until you decide."
        return ActionItem("held", instance, text, count=held, resource=name, poll_id=state.pk)
    if state.health == Health.UNAUTHORIZED:
        return ActionItem("unauthorized", instance, "ConnectWise refuses the keys.", words=state.last_error, **common)
    return ActionItem(
        "rejected", instance, f"ConnectWise rejects the poll of {name}.", words=state.last_error, **common
    )


def _held_counts(poll_ids: Sequence[int]) -> dict[int, int]:
    if not poll_ids:
        return {}
    held = MissingRecord.objects.filter(resource_poll_id__in=poll_ids, status=MissingRecord.Status.HELD)
    return dict(held.values_list("resource_poll_id").annotate(n=Count("record_id")).order_by())


def _paused_items(organization: Organization) -> list[ActionItem]:
    paused = list(
        DeliveryState.objects.filter(PAUSED, instance__organization=organization)
        .select_related("instance")
        .order_by("paused_at")[:MOST_ACTION_ITEMS]
    )
    waiting = _undelivered([state.instance_id for state in paused]) if paused else {}
    return [
        ActionItem(
            "paused",
            state.instance,
            "Delivery is paused.",
            since=state.paused_at,
            words=state.pause_reason,
            count=waiting.get(state.instance_id, (0, None))[0],
        )
        for state in paused
    ]


def _receiver_items(organization: Organization) -> list[ActionItem]:
    failing = DeliveryState.objects.filter(RECEIVER_FAILS, receiver__organization=organization)
    rows = failing.select_related("instance", "receiver").order_by("receiver__opened_at")[:MOST_ACTION_ITEMS]
    return [_receiver_item(state.instance, state.receiver) for state in rows if state.receiver is not None]


def _receiver_item(instance: Instance, receiver: Receiver) -> ActionItem:
    text = f"The receiver failed {counted(receiver.failures, 'time')} in a row. One notification at a time is tried."
    return ActionItem("receiver", instance, text, since=receiver.opened_at, words=str(receiver))


def _failing_items(organization: Organization, shown: Collection[int]) -> list[ActionItem]:
    """Return the instances that use up a notification's tries, the furthest alert of each, less those `shown`."""
    alerts = Alert.objects.filter(RUNNING_OUT, organization=organization)
    furthest: dict[int, ActionItem] = {}
    for alert in (
        alerts.exclude(instance__in=shown).select_related("instance").order_by("-kind", "pk")[: 2 * MOST_ACTION_ITEMS]
    ):
        if alert.instance is not None and alert.instance.pk not in furthest:
            text = f"{alert.get_kind_display()} for a notification that does not arrive."
            event = alert.notification_id
            furthest[alert.instance.pk] = ActionItem(
                "failing", alert.instance, text, since=alert.created_at, words=alert.text, event_id=event
            )
    return list(furthest.values())[:MOST_ACTION_ITEMS]


def _states(keys: Sequence[int]) -> list[dict[str, Any]]:
    columns = ("resource_poll__instance_id", "health", "last_good_at", "cursor")
    return list(PollState.objects.filter(resource_poll__instance__in=keys).values(*columns))


def _undelivered(keys: Sequence[int]) -> dict[int, tuple[int, datetime | None]]:
    rows = undelivered_of(instance__in=keys)
    counted = rows.values("instance_id").annotate(n=Count("pk"), first=Min("next_attempt_at")).order_by()
    return {row["instance_id"]: (row["n"], row["first"]) for row in counted}


def _events_of_a_day(keys: Sequence[int], now: datetime) -> Mapping[int, int]:
    recent = Event.objects.filter(instance__in=keys, polled_at__gte=now - DAY)
    return dict(recent.values_list("instance_id").annotate(n=Count("pk")).order_by())


def _row(
    instance: Instance,
    states: Sequence[Mapping[str, Any]],
    issue: DeliveryIssue | None,
    waiting: tuple[int, datetime | None] | None,
    events: Mapping[int, int],
) -> InstanceRow:
    cursors = [state["cursor"] for state in states if state["cursor"] and state["health"] != Health.PAUSED]
    good = [state["last_good_at"] for state in states if state["last_good_at"]]
    count, first = waiting or (0, None)
    return InstanceRow(
        instance=instance,
        state=state_of(instance, [state["health"] for state in states], issue),
        last_good_at=max(good, default=None),
        known_to=min(cursors, default=None),
        undelivered=count,
        next_retry_at=first,
        events=events.get(instance.pk, 0),
    )
