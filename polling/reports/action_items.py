"""What only a person can mend, on top of the overview."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Case, Count, OuterRef, QuerySet, Subquery, When
from django.db.models.expressions import RawSQL

from cwconnect.core.one_statement import Question, Row, time_of
from cwconnect.core.text import counted
from cwconnect.outbound.display import bare_url
from polling.models import Alert, CallbackRegistration, DeliveryState, Health, MissingRecord, PollState
from polling.reports.delivery_issues import PAUSED, RECEIVER_FAILS, RUNNING_OUT, SILENT

MOST_ACTION_ITEMS = 25
# Written out: SQLite takes a partial index for constants only, never for bound values.
_NEEDING_A_PERSON = RawSQL(
    "polling_pollstate.health IN ('unauthorized', 'rejected', 'held')", [], output_field=BooleanField()
)


@dataclass(frozen=True)
class ActionItem:
    """Something that only a person can mend. `action` names the button that does so (see parts/action_item.html).

    Of what is paused, `count` is how many notifications wait: `overview_of` puts it in.
    """

    action: str
    instance_id: int
    instance_name: str
    text: str
    since: datetime | None = None
    words: str = ""
    count: int = 0
    resource: str = ""
    poll_id: int = 0
    event_id: int | None = None


def item_questions(organization: int) -> dict[str, Question]:
    """Return the queries that `action_items` reads: the first few of each kind."""
    states = PollState.objects.filter(_NEEDING_A_PERSON, resource_poll__instance__organization=organization)
    paused = DeliveryState.objects.filter(PAUSED, instance__organization=organization).order_by("paused_at")
    failing = DeliveryState.objects.filter(RECEIVER_FAILS, receiver__organization=organization)
    alerts = Alert.objects.filter(RUNNING_OUT, organization=organization).order_by("-kind", "pk")
    silent = CallbackRegistration.objects.filter(SILENT, instance__organization=organization).order_by("silent_since")
    named = ("instance_id", "instance__name")
    of_receiver = ("receiver__failures", "receiver__opened_at", "receiver__url")
    return {
        "polls": (
            states.annotate(held=Case(When(health=Health.HELD, then=Subquery(_held())))).order_by("pk")[
                : 4 * MOST_ACTION_ITEMS
            ],
            (
                *("pk", "health", "last_error", "last_good_at", "held", "resource_poll__name"),
                *("resource_poll__instance_id", "resource_poll__instance__name"),
            ),
        ),
        "paused": (paused[:MOST_ACTION_ITEMS], (*named, "paused_at", "pause_reason")),
        "receivers": (failing.order_by("receiver__opened_at")[:MOST_ACTION_ITEMS], (*named, *of_receiver)),
        # Two at most of each that is paused or fails, which are shown as that, and of as many others.
        "alerts": (alerts[: 6 * MOST_ACTION_ITEMS], ("pk", "kind", *named, "text", "created_at", "notification_id")),
        "silent": (silent[: 4 * MOST_ACTION_ITEMS], ("pk", *named, "type", "silent_since")),
    }


def _held() -> QuerySet[Any, Any]:
    held = MissingRecord.objects.filter(resource_poll_id=OuterRef("pk"), status=MissingRecord.Status.HELD)
    return held.values("resource_poll_id").annotate(n=Count("record_id")).values("n").order_by()


def action_items(found: Mapping[str, Sequence[Row]]) -> list[ActionItem]:
    """Return what needs a person, in the order in which it is shown."""
    paused = [_paused(row) for row in sorted(found["paused"], key=lambda row: str(row["paused_at"]))]
    receivers = [_receiver(row) for row in sorted(found["receivers"], key=lambda row: str(row["receiver__opened_at"]))]
    shown = {item.instance_id for item in (*paused, *receivers)}
    failing = _failing(found["alerts"], shown)
    return [*_poll_items(found["polls"]), *paused, *receivers, *failing, *_silent(found["silent"])]


def _poll_items(rows: Sequence[Row]) -> list[ActionItem]:
    items: list[ActionItem] = []
    refused: set[int] = set()
    for row in sorted(rows, key=lambda row: int(row["pk"])):
        instance = row["resource_poll__instance_id"]
        if row["health"] == Health.UNAUTHORIZED:
            if instance in refused:
                continue  # the keys are the instance's: one line for all of its resources
            refused.add(instance)
        items.append(_poll_item(row, instance, row["resource_poll__instance__name"], row["resource_poll__name"]))
    return items[:MOST_ACTION_ITEMS]


def _poll_item(row: Row, instance: int, instance_name: str, name: str) -> ActionItem:
    if row["health"] == Health.HELD:
        held = row["held"] or 0
        gone = f"{counted(held, 'record')} of {name} {'seems' if held == 1 else 'seem'} to be deleted at once."
        text = f"{gone} {'Its delete is' if held == 1 else 'Their deletes are'} held back until you decide."
        return ActionItem("held", instance, instance_name, text, count=held, resource=name, poll_id=row["pk"])
    refused = row["health"] == Health.UNAUTHORIZED
    return ActionItem(
        "unauthorized" if refused else "rejected",
        instance,
        instance_name,
        "ConnectWise refuses the keys." if refused else f"ConnectWise rejects the poll of {name}.",
        since=time_of(row["last_good_at"]),
        words=row["last_error"],
        resource=name,
        poll_id=row["pk"],
    )


def _paused(row: Row) -> ActionItem:
    since, why = time_of(row["paused_at"]), row["pause_reason"]
    return ActionItem("paused", row["instance_id"], row["instance__name"], "Delivery is paused.", since, why)


def _receiver(row: Row) -> ActionItem:
    failures = counted(row["receiver__failures"], "time")
    text = f"The receiver failed {failures} in a row. One notification at a time is tried."
    since, url = time_of(row["receiver__opened_at"]), bare_url(row["receiver__url"])
    return ActionItem("receiver", row["instance_id"], row["instance__name"], text, since, url)


def _failing(rows: Sequence[Row], shown: Collection[int]) -> list[ActionItem]:
    """Return the instances that use up a notification's tries, the furthest alert of each, but for those shown."""
    furthest: dict[int, ActionItem] = {}
    oldest_first = sorted(rows, key=lambda row: int(row["pk"]))
    for row in sorted(oldest_first, key=lambda row: str(row["kind"]), reverse=True):
        if row["instance_id"] not in {*shown, *furthest}:
            furthest[row["instance_id"]] = _alert(row)
    return list(furthest.values())[:MOST_ACTION_ITEMS]


def _alert(row: Row) -> ActionItem:
    return ActionItem(
        "failing",
        row["instance_id"],
        row["instance__name"],
        f"{Alert.Kind(row['kind']).label} for a notification that does not arrive.",
        since=time_of(row["created_at"]),
        words=row["text"],
        event_id=row["notification_id"],
    )


def _silent(rows: Sequence[Row]) -> list[ActionItem]:
    """Return the instances of whose callbacks some fell silent, each with all of those types; the longest first."""
    by_instance: dict[int, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (str(row["silent_since"]), int(row["pk"]))):
        by_instance.setdefault(row["instance_id"], []).append(row)
    items = []
    for instance, its in by_instance.items():
        types = ", ".join(sorted(row["type"] for row in its))
        text = f"ConnectWise's callbacks of {types} have fallen silent. Polls find the changes, at their interval."
        items.append(ActionItem("silent", instance, its[0]["instance__name"], text, time_of(its[0]["silent_since"])))
    return items[:MOST_ACTION_ITEMS]
