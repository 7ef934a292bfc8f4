"""Which notifications are meant: what a replay sends again, and what the page *Deliveries* shows. Conditions alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

import orjson
from django.db.models import Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.db.models.lookups import In

from cwconnect.core.time import parse_time, utc_text
from instances.models import Instance
from polling.delivery.carried import carries
from polling.models import DeliveryAttempt, DeliveryState, Notification
from polling.models.deliveries import TO
from polling.models.subscriptions import FURTHER_FROM

State = Notification.State
Rows = TypeVar("Rows", bound=QuerySet[Notification])
DELIVERED, WAITING, GIVEN_UP = "delivered", "waiting", "given up"
# What people call the states of a notification (docs/glossary.md).
STATES: Mapping[str, tuple[State, ...]] = {
    DELIVERED: (State.DELIVERED,),
    WAITING: (State.PENDING,),
    GIVEN_UP: (State.EXHAUSTED, State.FAILED, State.DISCARDED),
}
UNDELIVERED = "undelivered"  # as links of earlier versions have it
STORED_STATES: Mapping[str, tuple[State, ...]] = {**STATES, UNDELIVERED: Notification.UNDELIVERED}
# What an attempt may have been answered, besides one status; each class by its hundred.
NO_ANSWER, ANY_FAILURE = "none", "failed"
_ANSWERED = {NO_ANSWER: "by nobody", ANY_FAILURE: "by a failure"}
CLASSES = ("2xx", "3xx", "4xx", "5xx")
_FAILED = Q(state__in=(State.FAILED, State.EXHAUSTED)) | Q(state=State.PENDING, step__gt=0)


@dataclass(frozen=True)
class Selection:
    """Which notifications of an instance: all that are given must hold. Times are of the notification's making.

    `failed`: given up, exhausted, or failing at present; `state`: one of `STORED_STATES`. `kind` is an event's:
    CREATED, UPDATED, DELETED; `text` stands anywhere in its record; `seen_since` and `seen_until` are when its poll
    saw it. `status` (500, 4xx, none, failed) and `longer` (milliseconds) are of one and the same attempt, `tries` is
    how many attempts there are at least. `ids` names the very notifications, `first_id` and `last_id` between which
    they lie. `subscription` is the id of the one that they go to, `receiver` that of where that sends them now.
    """

    failed: bool = False
    since: datetime | None = None
    until: datetime | None = None
    event_id: int | None = None
    resource: str = ""
    kind: str = ""
    object_id: str = ""
    ids: tuple[int, ...] = ()
    state: str = ""
    status: str = ""
    longer: int = 0
    tries: int = 0
    text: str = ""
    seen_since: datetime | None = None
    seen_until: datetime | None = None
    first_id: int = 0
    last_id: int = 0
    subscription: int = 0
    receiver: int = 0

    @property
    def is_everything(self) -> bool:
        """Whether nothing narrows it down."""
        return not any(getattr(self, column.name) for column in fields(self))

    def as_json(self) -> dict[str, Any]:
        """Return what narrows it down, for a row of the database; `selection_of` reads it."""
        given: dict[str, Any] = orjson.loads(orjson.dumps(asdict(self)))
        return {name: value for name, value in given.items() if value}

    def __str__(self) -> str:
        parts = ["chosen " * bool(self.ids) + f"{self.state} " * bool(self.state)]
        parts = [parts[0] + ("failed notifications" if self.failed else "notifications")]
        parts += [f"to subscription {self.subscription}"] if self.subscription else []
        parts += [f"to receiver {self.receiver}"] if self.receiver else []
        parts += [f"of event {self.event_id}"] if self.event_id else []
        parts += [f"of {self.resource}"] if self.resource else []
        parts += [f"with {self.kind}"] if self.kind else []
        parts += [f"of object {self.object_id}"] if self.object_id else []
        parts += [f"of records that hold {self.text}"] if self.text else []
        parts += [f"answered {_ANSWERED.get(self.status, self.status)}"] if self.status else []
        parts += [f"that took longer than {self.longer} ms"] if self.longer else []
        parts += [f"after {self.tries} tries or more"] if self.tries else []
        parts += [f"since {utc_text(since)}"] if (since := self.since or self.seen_since) else []
        parts += [f"until {utc_text(until)}"] if (until := self.until or self.seen_until) else []
        return " ".join(parts)


def selection_of(stored: Mapping[str, Any]) -> Selection:
    """Return the selection that `Selection.as_json` wrote."""
    named = ("since", "until", "seen_since", "seen_until")
    times = {name: parse_time(stored[name], name) for name in named if name in stored}
    return Selection(**{**stored, **times, "ids": tuple(stored.get("ids", ()))})


def select(instance: Instance, selection: Selection) -> QuerySet[Notification]:
    """Return the notifications of the selection; discarded ones are not sent again."""
    ours = Notification.objects.filter(instance=instance).of_living()
    return narrowed(ours, selection).exclude(state=State.DISCARDED)


def narrowed(rows: QuerySet[Notification], selection: Selection) -> QuerySet[Notification]:
    """Return those of these notifications that the selection means."""
    if selection.failed:
        rows = rows.filter(_FAILED)
    if selection.subscription:
        rows = sent_to(rows, selection.subscription)
    if selection.receiver:
        rows = rows.filter(In(TO, DeliveryState.objects.filter(receiver=selection.receiver).values("pk")))
    rows = rows.filter(**_own_conditions(selection))
    if wanted := _of_event(selection):
        rows = rows.filter(carries(**wanted))
    if selection.status or selection.longer:
        one = DeliveryAttempt.objects.filter(notification=OuterRef("pk"))
        slow = Q(seconds__gt=selection.longer / 1000) if selection.longer else Q()
        rows = rows.filter(Exists(one.filter(answered(selection.status), slow)))
    if selection.tries:
        rows = rows.annotate(tries=_TRIES).filter(tries__gte=selection.tries)
    return rows


def sent_to(rows: Rows, subscription_id: int) -> Rows:
    """Return those of these notifications that are one subscription's, by an index that has its newest at the head."""
    if subscription_id > FURTHER_FROM:
        return rows.filter(subscription=subscription_id)
    return rows.filter(instance=subscription_id, subscription=None)


def _own_conditions(selection: Selection) -> dict[str, Any]:
    given = {
        "pk__in": selection.ids,
        "state__in": STORED_STATES.get(selection.state),
        "created_at__gte": selection.since,
        "created_at__lt": selection.until,
        "object_type": selection.resource,
        "pk__gte": selection.first_id,
        "pk__lte": selection.last_id,
    }
    return {name: value for name, value in given.items() if value}


def _of_event(selection: Selection) -> dict[str, Any]:
    given = {
        "pk": selection.event_id,
        "kind": selection.kind,
        "object_id": selection.object_id,
        "record__icontains": selection.text,
        "polled_at__gte": selection.seen_since,
        "polled_at__lt": selection.seen_until,
    }
    return {name: value for name, value in given.items() if value}


def answered(status: str) -> Q:
    """Return the condition of attempts that were answered so: `500`, `4xx`, `none`, `failed`; of all by an empty one.

    Whatever `is_status` accepts.
    """
    if status == NO_ANSWER:
        return Q(status=None, finished_at__isnull=False)
    if status == ANY_FAILURE:
        return ~Q(error_kind="")
    if status in CLASSES:
        hundred = int(status[0]) * 100
        return Q(status__gte=hundred, status__lt=hundred + 100)
    return Q(status=int(status)) if status else Q()


def is_status(text: str) -> bool:
    """Return whether a text says what an attempt may be answered."""
    a_code = len(text) == 3 and text.isascii() and text.isdecimal()
    return a_code or text in (*CLASSES, NO_ANSWER, ANY_FAILURE)


_MADE = DeliveryAttempt.objects.filter(notification=OuterRef("pk")).order_by().values("notification")
_TRIES = Coalesce(Subquery(_MADE.annotate(n=Count("pk")).values("n")), 0, output_field=IntegerField())


def state_in_words(stored: str) -> str:
    """Return what people call a notification's stored state."""
    return next(word for word, states in STATES.items() if stored in states)
