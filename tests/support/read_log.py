"""Subscriptions and a log to read, without polls, deliveries or receivers; and what was made of it for each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone

from instances.models import Instance, Organization, ResourcePoll
from polling.delivery.fan_out.beginnings import begin
from polling.delivery.fan_out.step import FanOut
from polling.delivery.pausing import let_followers_go
from polling.detection.event_log import PollEvents, record_events
from polling.detection.snapshots import NewSnapshot, remember
from polling.models import Event, NewEvent, Notification, NotificationBody, PollRun, Subscription, SubscriptionEvent
from polling.models.subscriptions import FURTHER_FROM
from tests.support.notifications import make_instance

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "http://127.0.0.1:9/"


def subscribe(instance: Instance, *, since: datetime | None = None, **columns: Any) -> Subscription:
    """Make a further subscription of an instance, which reads the log from now on, or from a time on."""
    last = Subscription.objects.filter(pk__gt=FURTHER_FROM).order_by("-pk").values_list("pk", flat=True).first()
    key = (last or FURTHER_FROM) + 1
    given = {"name": f"subscription {key - FURTHER_FROM}", "callback_url": f"{URL}{key}", **columns}
    if isinstance(given.get("filter"), dict):
        given["filter"] = orjson.dumps(given["filter"]).decode()
    with transaction.atomic():
        made = Subscription.objects.create(pk=key, instance=instance, **given)
        begin(made, since=since)
    return made


class Log:
    """An instance whose polls, named by their resources, record what a test wants."""

    def __init__(self, organization: Organization, *, names: Iterable[str] = ("contacts",), **columns: Any) -> None:
        self.instance = make_instance(organization, URL)
        if columns:
            Instance.objects.filter(pk=self.instance.pk).update(**columns)
            self.instance.refresh_from_db()
        self.polls = {
            name: ResourcePoll.objects.create(instance=self.instance, name=name, since=NOON) for name in names
        }

    @property
    def first(self) -> Subscription:
        """The instance's first subscription, as it is stored."""
        return Subscription.objects.select_related("instance").get(pk=self.instance.pk)

    def record(
        self,
        *records: int | tuple[int, dict[str, Any]],
        name: str = "contacts",
        at: datetime = NOON,
        kind: str = "UPDATED",
        **columns: Any,
    ) -> list[int]:
        """Record an event of each of these records, as a page of a poll does; return the ids of the events."""
        poll = ResourcePoll.objects.select_related("instance").get(pk=self.polls[name].pk)
        given = [(record, {}) if isinstance(record, int) else record for record in records]
        texts = [(key, orjson.dumps({"id": key, **fields}).decode()) for key, fields in given]
        events = [
            NewEvent(name, str(key), key, kind, at - timedelta(minutes=1), at, text, **columns) for key, text in texts
        ]
        with transaction.atomic():
            run = PollRun.objects.create(resource_poll=poll, started_at=at, status=PollRun.Status.COMPLETE)
            remember(poll.pk, [NewSnapshot(key, None, bytes(16), None) for key, _ in given])
            record_events([PollEvents(poll, run, events)], now=timezone.now())
        return [event.id for event in events]


def read_log() -> int:
    """Read the log for all who lag; return how many events were judged."""
    fan, judged, until = FanOut(), 0, time.monotonic() + 60
    while True:
        judged += fan.step(timezone.now())
        if not fan.more:
            return judged
        assert time.monotonic() < until, "somebody lags for ever"


@dataclass(frozen=True)
class Made:
    """A notification that was made of the log: what it carries, in order, and which one it follows."""

    id: int
    events: tuple[int, ...]
    follows: int | None
    state: str
    due: bool


def made_for(subscription: Subscription) -> list[Made]:
    """Return the notifications that were made of the log for a subscription, in the order of their ids."""
    rows = SubscriptionEvent.objects.filter(subscription=subscription, notification__isnull=False)
    carried: dict[int, list[int]] = {}
    for notification, event in rows.order_by("notification_id", "event_id").values_list("notification_id", "event_id"):
        carried.setdefault(notification, []).append(event)
    found = Notification.objects.in_bulk(list(carried))
    assert len(found) == len(carried)
    return [
        Made(key, tuple(events), found[key].follows_id, found[key].state, found[key].next_attempt_at is not None)
        for key, events in carried.items()
    ]


def carried_by_all(subscription: Subscription) -> list[int]:
    """Return the events that notifications of a subscription carry, made of the log or with them, in order."""
    ids = [event for made in made_for(subscription) for event in made.events]
    if subscription.is_first:
        ids += Event.objects.filter(instance=subscription.instance, notification__isnull=False).values_list(
            "pk", flat=True
        )
    return sorted(ids)


def held_for(subscription: Subscription) -> Mapping[int, str]:
    """Return the events that a subscription's filter held back, with the condition."""
    rows = SubscriptionEvent.objects.filter(subscription=subscription, notification=None)
    return dict(rows.order_by("event_id").values_list("event_id", "held_by"))


def bodies_of(subscription: Subscription) -> list[Any]:
    """Return the bodies of what was made of the log for a subscription, in order."""
    keys = [made.id for made in made_for(subscription)]
    shared = Notification.objects.filter(pk__in=keys).order_by("pk").values_list("shared_body_id", flat=True)
    bodies = dict(NotificationBody.objects.values_list("hash", "body"))
    return [orjson.loads(bodies[key or ""]) for key in shared]


def end(*notifications: int, state: str = Notification.State.DELIVERED) -> None:
    """Have these notifications be delivered, or given up, as a delivery does: what follows them is due."""
    now = timezone.now()
    with transaction.atomic():
        Notification.objects.filter(pk__in=notifications).update(state=state, next_attempt_at=None)
        let_followers_go(notifications, now)
