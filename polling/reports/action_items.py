"""What only a person can mend, on top of the overview: by cause, with the first instances of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.lookups import In

from cwconnect.core.one_statement import Question, Row, time_of
from cwconnect.core.text import counted
from cwconnect.outbound.display import bare_url
from polling.delivery.carried import first_carried
from polling.models import (
    Alert,
    CallbackRegistration,
    Event,
    Health,
    MissingRecord,
    PollState,
)
from polling.models.deliveries import TO
from polling.reports.action_causes import (
    CALLBACKS_SILENT,
    DELIVERY_FAILING,
    DELIVERY_PAUSED,
    HELD,
    NEEDING_A_PERSON,
    REFUSED,
    REJECTED,
    all_causes_of,
    causes_of,
)
from polling.reports.delivery_issues import (
    PAUSED,
    RECEIVER_FAILS,
    RUNNING_OUT,
    SILENT,
    further_name,
    states_of_instances,
    urgency,
)
from polling.reports.waiting import undelivered_of

MOST_OF_A_CAUSE = 3
MOST_COUNTED = 10_000  # what waits of all that is paused: beyond it nobody needs the number
_MOST_ROWS = 400  # of the polls of those shown: an instance may have many
_SUBSCRIPTION = ("subscription_id", "subscription__name")
_CARRIED = ("notification__object_type", "first_title", "first_object_id")


@dataclass(frozen=True)
class ActionItem:
    """What one instance needs. `action` names the buttons that mend it (see parts/action_item.html).

    `also` are the instance's other causes. Of what is paused, `count` is how many notifications wait. `subscription_id`
    is that of a further one that it is about; 0 where it is about the instance, its first one, or several.
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
    subscription_id: int = 0
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class ActionGroup:
    """A cause with the number of its instances, of which `items` are the first. `waiting`: notifications, if paused."""

    cause: str
    instances: int
    items: tuple[ActionItem, ...]
    waiting: int = 0

    @property
    def is_several(self) -> bool:
        """Whether more than one instance is in it."""
        return self.instances > 1

    @property
    def is_many(self) -> bool:
        """Whether there are more notifications than are counted."""
        return self.waiting > MOST_COUNTED


def shown_of(causes: Mapping[str, Sequence[int]]) -> list[int]:
    """Return the instances that are shown beneath their causes."""
    return [key for keys in causes.values() for key in keys[:MOST_OF_A_CAUSE]]


def item_questions(needing: Collection[int], paused: Collection[int]) -> dict[str, Question]:
    """Return the queries of what is the matter with some instances, and of what waits for all that are paused."""
    states = PollState.objects.filter(NEEDING_A_PERSON, resource_poll__instance__in=needing)
    stopped = states_of_instances().filter(PAUSED, subscription__instance__in=needing)
    failing = states_of_instances().filter(RECEIVER_FAILS, subscription__instance__in=needing)
    alerts = Alert.objects.filter(RUNNING_OUT, instance__in=needing).annotate(first=first_carried("notification"))
    alerts = alerts.annotate(**_first_event("title", "object_id"))
    silent = CallbackRegistration.objects.filter(SILENT, instance__in=needing)
    waiting, all_waiting = (_waiting_of(instances) for instances in (needing, paused))
    named = ("instance_id", "instance__name", *_SUBSCRIPTION)
    delivery = ("instance_id", "subscription__instance__name", *_SUBSCRIPTION)
    of_poll = ("resource_poll__name", "resource_poll__instance_id", "resource_poll__instance__name")
    return {
        "item_polls": (
            states.annotate(held=Case(When(health=Health.HELD, then=Subquery(_held())))).order_by("pk")[:_MOST_ROWS],
            ("pk", "health", "last_error", "last_good_at", "held", *of_poll),
        ),
        "item_paused": (stopped, (*delivery, "paused_at", "pause_reason")),
        "item_receivers": (
            failing,
            (*delivery, "paused_at", "receiver__failures", "receiver__opened_at", "receiver__url"),
        ),
        "item_waiting": (waiting.values("instance_id").annotate(n=Count("pk")).order_by(), ("instance_id", "n")),
        "item_alerts": (alerts, ("pk", "kind", *named, "text", "created_at", "first", *_CARRIED)),
        "item_silent": (silent, ("instance_id", "instance__name", "type", "silent_since")),
        "all_waiting": (all_waiting.order_by().values(one=Value(1)).annotate(n=Count("pk")), ("n",)),
    }


def _waiting_of(instances: Collection[int]) -> QuerySet[Any, Any]:
    """Return what waits for those subscriptions of some instances that are paused."""
    stopped = states_of_instances().filter(PAUSED, subscription__instance__in=instances)
    return undelivered_of(instance__in=instances).filter(In(TO, stopped.values("pk")))


def _first_event(*columns: str) -> dict[str, Subquery]:
    """Return columns of the event that an alert's notification carries first (`first`). By the primary key."""
    event = Event.objects.filter(pk=OuterRef("first"))
    return {f"first_{column}": Subquery(event.values(column)) for column in columns}


def _held() -> QuerySet[Any, Any]:
    held = MissingRecord.objects.filter(resource_poll_id=OuterRef("pk"), status=MissingRecord.Status.HELD)
    return held.values("resource_poll_id").annotate(n=Count("record_id")).values("n").order_by()


def action_groups(first: Mapping[str, Sequence[Row]], more: Mapping[str, Sequence[Row]]) -> list[ActionGroup]:
    """Return what needs a person, of `cause_questions` and of `item_questions`, in the order in which it is shown."""
    every, waiting = all_causes_of(first), {row["instance_id"]: row["n"] for row in more["item_waiting"]}
    groups = []
    for cause, keys in causes_of(first).items():
        items = [_MAKE[cause](key, more) for key in keys[:MOST_OF_A_CAUSE]]
        known = tuple(_complete(item, cause, every, waiting) for item in items if item is not None)
        all_waiting = sum(row["n"] for row in more["all_waiting"]) if cause == DELIVERY_PAUSED else 0
        groups.append(ActionGroup(cause, len(keys), known, all_waiting))
    return groups


def _complete(
    item: ActionItem, cause: str, every: Mapping[str, Sequence[int]], waiting: Mapping[int, int]
) -> ActionItem:
    also = tuple(other for other, keys in every.items() if other != cause and item.instance_id in keys)
    count = waiting.get(item.instance_id, 0) if cause == DELIVERY_PAUSED else item.count
    return replace(item, also=also, count=count)


def _refused(key: int, found: Mapping[str, Sequence[Row]]) -> ActionItem | None:
    return _of_poll(key, found, Health.UNAUTHORIZED, "ConnectWise refuses the keys.")


def _rejected(key: int, found: Mapping[str, Sequence[Row]]) -> ActionItem | None:
    return _of_poll(key, found, Health.REJECTED, "ConnectWise rejects the poll of {}.")


def _of_poll(key: int, found: Mapping[str, Sequence[Row]], health: Health, text: str) -> ActionItem | None:
    rows = _polls(key, found, health)
    if not rows:
        return None  # it recovered between the two statements
    row, names = rows[0], rows[0]["resource_poll__name"]
    if len(rows) > 1:
        names += f" and {counted(len(rows) - 1, 'other resource')}"
    return ActionItem(
        health.value,
        key,
        row["resource_poll__instance__name"],
        text.format(names),
        since=time_of(row["last_good_at"]),
        words=row["last_error"],
        resource=row["resource_poll__name"],
        poll_id=row["pk"],
    )


def _holds(key: int, found: Mapping[str, Sequence[Row]]) -> ActionItem | None:
    rows = _polls(key, found, Health.HELD)
    if not rows:
        return None
    row, count = rows[0], rows[0]["held"] or 0
    name, instance = row["resource_poll__name"], row["resource_poll__instance__name"]
    gone = f"{counted(count, 'record')} of {name} {'seems' if count == 1 else 'seem'} to be deleted at once."
    text = f"{gone} {'Its delete is' if count == 1 else 'Their deletes are'} held back until you decide."
    if len(rows) > 1:
        text += f" So are deletes of {counted(len(rows) - 1, 'other resource')}."
    return ActionItem(HELD, key, instance, text, count=count, resource=name, poll_id=row["pk"])


def _polls(key: int, found: Mapping[str, Sequence[Row]], health: Health) -> list[Row]:
    rows = [row for row in _rows(key, found["item_polls"], "resource_poll__instance_id") if row["health"] == health]
    return sorted(rows, key=lambda row: int(row["pk"]))


def _rows(key: int, rows: Sequence[Row], column: str = "instance_id") -> list[Row]:
    return [row for row in rows if row[column] == key]


def _paused(key: int, found: Mapping[str, Sequence[Row]]) -> ActionItem | None:
    rows = sorted(_rows(key, found["item_paused"]), key=urgency)
    if not rows:
        return None
    row, name = rows[0], further_name(rows[0])
    since, why = time_of(row["paused_at"]), f"{name}: {row['pause_reason']}" if name else row["pause_reason"]
    text = f"Delivery to {name} is paused." if name else "Delivery is paused."
    if len(rows) > 1:
        text, name = f"Delivery to {counted(len(rows), 'subscription')} is paused.", ""
    of_one = row["subscription_id"] if name else 0
    return ActionItem("paused", key, row["subscription__instance__name"], text, since, why, subscription_id=of_one)


def _failing(key: int, found: Mapping[str, Sequence[Row]]) -> ActionItem | None:
    """Return whose receiver fails, else the furthest alert of tries that run out: their kinds' order is that."""
    for row in sorted(_rows(key, found["item_receivers"]), key=urgency):
        failures, url = counted(row["receiver__failures"], "time"), bare_url(row["receiver__url"])
        of_which = f" of {further_name(row)}" if further_name(row) else ""
        text = f"The receiver{of_which} failed {failures} in a row. One notification at a time is tried."
        name, since = row["subscription__instance__name"], time_of(row["receiver__opened_at"])
        return ActionItem("receiver", key, name, text, since, url, subscription_id=_further(row))
    alerts = sorted(_rows(key, found["item_alerts"]), key=lambda row: (str(row["kind"]), -int(row["pk"])))
    return _alert(key, alerts[-1]) if alerts else None


def _alert(key: int, row: Row) -> ActionItem:
    key_of_record = f"{row['notification__object_type']}/{row['first_object_id']}"
    record = f"{row['first_title']} · {key_of_record}" if row["first_title"] else key_of_record
    of_what = f" of {record}" if row["first_object_id"] else ""
    where = f" at {further_name(row)}" if further_name(row) else ""
    text = f"{Alert.Kind(row['kind']).label} for a notification{of_what} that does not arrive{where}."
    item = ActionItem("failing", key, row["instance__name"], text, time_of(row["created_at"]), row["text"])
    return replace(item, event_id=row["first"], subscription_id=_further(row))


def _further(row: Row) -> int:
    return int(row["subscription_id"]) if further_name(row) else 0


def _silent(key: int, found: Mapping[str, Sequence[Row]]) -> ActionItem | None:
    rows = sorted(_rows(key, found["item_silent"]), key=lambda row: str(row["silent_since"]))
    if not rows:
        return None
    types = ", ".join(sorted(row["type"] for row in rows))
    text = f"ConnectWise's callbacks of {types} have fallen silent. Polls find the changes, at their interval."
    return ActionItem("silent", key, rows[0]["instance__name"], text, time_of(rows[0]["silent_since"]))


_MAKE = {
    REFUSED: _refused,
    REJECTED: _rejected,
    HELD: _holds,
    DELIVERY_PAUSED: _paused,
    DELIVERY_FAILING: _failing,
    CALLBACKS_SILENT: _silent,
}
