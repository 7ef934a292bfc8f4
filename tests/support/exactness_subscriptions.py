"""The exactness machine's further receivers: three that want different things, each held against a plain evaluation.

What each must have been sent is said here of the event log, which the machine holds against the source; none of the
service's own judgement is used for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from instances.models import Instance
from polling.delivery.fan_out.beginnings import begin, go_on
from polling.delivery.fan_out.step import FanOut
from polling.delivery.pausing import let_followers_go, pause_by_hand, release
from polling.detection.tracking import keep_tracking
from polling.models import Event, Notification, NotificationBody, Subscription, SubscriptionEvent
from polling.models.subscriptions import FURTHER_FROM

Wants = Callable[[Event, str], bool]
PICKS = st.integers(0, 30)
BREAKS = st.sampled_from(("killed", "away", "busy", "fault"))
WHICH = st.integers(0, 2)


def _everything(event: Event, text_field: str) -> bool:
    return True


def _chiefs(event: Event, text_field: str) -> bool:
    value = json.loads(event.record).get(text_field)
    return event.kind != "DELETED" and isinstance(value, str) and value.lower() == "chief"


def _changed_text(event: Event, text_field: str) -> bool:
    if event.changes is None or event.changes == "null":
        return True  # what it was before is not known
    return any(change["field"] == text_field for change in json.loads(event.changes))


@dataclass
class Receiving:
    """A receiver: what it wants, the events that it is to be judged by (from, to), and what came, by its record."""

    key: int
    wants: Wants
    spans: list[list[int | None]] = field(default_factory=list)
    came: dict[int, list[int]] = field(default_factory=dict)

    def concerns(self, event_id: int) -> bool:
        """Whether an event was recorded while the subscription was on, or is made good by its going on."""
        return any(first < event_id and (last is None or event_id <= last) for first, last in self.spans)  # type: ignore[operator]  # the first is always known


class SubscriptionRules(RuleBasedStateMachine):
    """What may happen with further receivers; the machine has the rest."""

    _instance: Instance
    _field: str
    break_database: Callable[[str, int], Any]

    # What the machine has.
    def _alter(self, pick: int, fields: dict[str, Any], late: int) -> list[int]: ...  # type: ignore[empty-body]
    def _make_good(self) -> None: ...
    def pass_time(self, seconds: float) -> None: ...

    def _subscribe(self) -> None:
        """Have three receivers beside the instance's own."""
        wanted: tuple[tuple[str, dict[str, Any] | None, Wants], ...] = (
            ("elements", None, _everything),
            ("cloudevents", {"kinds": ["CREATED", "UPDATED"], "where": f"{self._field} = 'Chief'"}, _chiefs),
            ("thin", {"changed": [self._field]}, _changed_text),
        )
        self._receiving = []
        with transaction.atomic():
            for number, (form, filter_, wants) in enumerate(wanted, 1):
                made = Subscription.objects.create(
                    pk=FURTHER_FROM + number,
                    instance=self._instance,
                    name=form,
                    callback_url=f"http://127.0.0.1:9/{number}",
                    filter="" if filter_ is None else json.dumps(filter_),
                    form=form,
                )
                begin(made)
                self._receiving.append(Receiving(made.pk, wants, [[made.began_id, None]]))
            keep_tracking(self._instance)

    def _of(self, which: int) -> tuple[Receiving, Subscription]:
        receiving = self._receiving[which]
        return receiving, Subscription.objects.select_related("instance__organization").get(pk=receiving.key)

    # -- the log is read -------------------------------------------------------------------------------------------

    def _read_log(self) -> None:
        Subscription.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        fan = FanOut()
        while fan.step(timezone.now()) or fan.more:
            pass

    @rule()
    def read_the_log(self) -> None:
        self._read_log()

    @rule(pick=PICKS, titles=st.lists(st.sampled_from(("Chief", "Owner", "Clerk")), min_size=2, max_size=3))
    def change_again_and_again(self, pick: int, titles: list[str]) -> None:
        """Each change is recorded and made a notification of, while those before may wait."""
        for title in titles:
            self.pass_time(1)
            self._alter(pick, {self._field: title}, 0)
            self._make_good()
            self._read_log()

    @rule(how=BREAKS, count=st.integers(0, 30))
    def read_the_log_on_a_bad_database(self, how: str, count: int) -> None:
        Subscription.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        try:
            with connection.execute_wrapper(self.break_database(how, count)):
                FanOut().step(timezone.now())
        except BaseException as error:
            if type(error).__name__ != "KilledError" and not isinstance(error, DatabaseError):
                raise  # else whoever comes next finds only what was committed

    # -- notifications arrive --------------------------------------------------------------------------------------

    @rule(pick=PICKS, most=st.integers(1, 5))
    def deliver_some(self, pick: int, most: int) -> None:
        """Of what may be sent now, whichever; its receiver says what arrives."""
        for turn in range(most):
            if keys := self._due():
                self._deliver(keys[(pick + turn) % len(keys)])

    @staticmethod
    def _due() -> list[int]:
        due = Notification.objects.filter(
            subscription__isnull=False, state=Notification.State.PENDING, next_attempt_at__isnull=False
        )
        return list(due.order_by("pk").values_list("pk", flat=True))

    def _deliver(self, key: int) -> None:
        with transaction.atomic():
            Notification.objects.filter(pk=key).update(state=Notification.State.DELIVERED, next_attempt_at=None)
            let_followers_go([key], timezone.now())
        to = Notification.objects.values_list("subscription_id", flat=True).get(pk=key)
        receiving = next(one for one in self._receiving if one.key == to)
        carried = SubscriptionEvent.objects.filter(notification=key).order_by("event_id")
        for event, record in carried.values_list("event_id", "event__record_id"):
            receiving.came.setdefault(record, []).append(event)

    # -- people ----------------------------------------------------------------------------------------------------

    @rule(which=WHICH, paused=st.booleans())
    def pause_or_release(self, which: int, *, paused: bool) -> None:
        _, subscription = self._of(which)
        (pause_by_hand if paused else release)(subscription, timezone.now())

    @rule(which=WHICH, goes_on=st.booleans())
    def switch_off_or_on(self, which: int, *, goes_on: bool) -> None:
        """Switched on again it begins from now, or goes on where it was."""
        receiving, subscription = self._of(which)
        with transaction.atomic():
            if subscription.enabled:
                receiving.spans[-1][1] = subscription.reached_id
                Subscription.objects.filter(pk=subscription.pk).update(enabled=False)
            else:
                subscription.enabled = True
                subscription.save(update_fields=["enabled"])
                (go_on if goes_on else begin)(subscription)
                receiving.spans.append([subscription.reached_id, None])
            keep_tracking(self._instance)

    # -- the promise -----------------------------------------------------------------------------------------------

    def _check_subscriptions(self) -> None:
        """Each has a notification of what it wants, once, and a reason for the rest; each record's in order."""
        self._read_log()
        events = {event.pk: event for event in Event.objects.all()}
        bodies = dict(NotificationBody.objects.values_list("hash", "body"))
        for receiving in self._receiving:
            rows = list(SubscriptionEvent.objects.filter(subscription=receiving.key))
            concerned = {key for key in events if receiving.concerns(key)}
            carried = {row.event_id for row in rows if row.notification_id is not None}
            assert len(rows) == len({row.event_id for row in rows}), "judged twice"
            assert {row.event_id for row in rows} == concerned
            assert carried == {key for key in concerned if receiving.wants(events[key], self._field)}
            assert all(bool(row.held_by) == (row.notification_id is None) for row in rows)
            self._check_bodies(receiving, rows, events, bodies)
        while due := self._due():
            self._deliver(due[-1])  # the newest first, wherever nothing says that it has to wait
        for receiving in self._receiving:
            for record, came in receiving.came.items():
                assert came == sorted(set(came)), f"{record}: out of order, or twice"

    def _check_bodies(
        self,
        receiving: Receiving,
        rows: list[SubscriptionEvent],
        events: Mapping[int, Event],
        bodies: Mapping[str, str],
    ) -> None:
        """What is sent says of each event that it carries what the log has."""
        carried: dict[int, list[int]] = {}
        for row in sorted(rows, key=lambda row: row.event_id):
            if row.notification_id is not None:
                carried.setdefault(row.notification_id, []).append(row.event_id)
        sent = Notification.objects.in_bulk(list(carried))
        for key, event_ids in carried.items():
            body = json.loads(bodies[sent[key].shared_body_id or ""])
            wanted = [(events[event].object_id, events[event].kind) for event in event_ids]
            assert _said(body) == wanted
            assert len(event_ids) <= 10


def _said(body: Any) -> list[tuple[str, str]]:
    """Return object id and kind of each event of a body, whichever form it has."""
    if isinstance(body, dict) and "message" in body:
        return [(one["objectId"], one["eventType"]) for one in body["message"]["events"]]
    if isinstance(body, dict) and "specversion" not in body:
        return [(one["objectId"], one["eventType"]) for one in body["events"]]
    each = body if isinstance(body, list) else [body]
    return [(one["subject"].rpartition("/")[2], one["type"].rpartition(".")[2].upper()) for one in each]
