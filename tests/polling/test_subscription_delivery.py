"""Several receivers of one instance: each with its own way, its own pause, its own breaker and its own tries."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instances.models import Instance
from instances.provisioning import delete_instance, set_enabled
from instances.secrets import Secret
from polling.delivery.breaker import url_hash
from polling.delivery.delivery_loop import deliver_due
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import (
    pause_by_hand,
    rearm_stranded,
    release,
    release_all_of,
)
from polling.delivery.queued import delivery_row, queued_deliveries, read_where, release_all
from polling.delivery.replay.replays import start_replay
from polling.delivery.replay.selection import Selection
from polling.delivery.signing import signature_headers
from polling.log.event_ids import go_on_after
from polling.models import Alert, DeliveryAttempt, DeliveryState, Event, Notification, Receiver, Replay, Subscription
from polling.subscriptions.changes import change_subscription
from tests.conftest import Tenant
from tests.support import receivers
from tests.support.deliveries import KEY, deliver, failing
from tests.support.notifications import make_instance, make_notifications
from tests.support.receivers import start_receiver
from tests.support.subscriptions import carry, make_subscription, pause_all_by_hand

State = Notification.State


@dataclass
class Pair:
    """An instance with ten events, each in a notification of its own for the first one and for a further one."""

    instance: Instance
    first: Subscription
    further: Subscription
    here: receivers.Receiver
    there: receivers.Receiver

    def of(self, subscription: Subscription) -> list[Notification]:
        """Return a subscription's notifications."""
        return list(Notification.objects.all().to([subscription.pk]).order_by("pk"))

    def states(self, subscription: Subscription) -> set[str]:
        """Return their states."""
        return {notification.state for notification in self.of(subscription)}


@pytest.fixture
def there() -> Iterator[receivers.Receiver]:
    with start_receiver() as receiver:
        yield receiver


@pytest.fixture
def pair(tenant: Tenant, receiver: receivers.Receiver, there: receivers.Receiver) -> Pair:
    instance = make_instance(tenant.organization, receiver.url, key=KEY)
    make_notifications(instance, [[record] for record in range(10)])
    go_on_after(1000)
    further = make_subscription(instance, there.url, "Billing", headers={"X-Own": "further"})
    carry(further, [[event] for event in Event.objects.order_by("pk")])
    return Pair(instance, first_subscription(instance), further, receiver, there)


def test_each_receiver_gets_its_own_notifications_in_its_own_way(pair: Pair) -> None:
    Notification.objects.filter(subscription=pair.further).update(content_type="application/cloudevents+json")
    deliver()
    assert sorted(got.json["id"] for got in pair.here.got) == list(range(1, 11))
    assert sorted(got.json[0] for got in pair.there.got) == list(range(1, 11))
    assert {got.headers["content-type"] for got in pair.here.got} == {"application/json"}
    assert {got.headers["content-type"] for got in pair.there.got} == {"application/cloudevents+json"}
    assert all("x-own" not in got.headers and "webhook-signature" in got.headers for got in pair.here.got)
    assert all(got.headers["x-own"] == "further" and "webhook-signature" not in got.headers for got in pair.there.got)
    states = DeliveryState.objects.order_by("pk")
    assert [state.pk for state in states] == [pair.first.pk, pair.further.pk]
    assert all(state.last_delivered_at is not None for state in states)
    assert set(DeliveryAttempt.objects.values_list("url", flat=True)) == {pair.here.url, pair.there.url}


def test_each_signs_with_its_own_key(pair: Pair) -> None:
    own = "whsec_" + "YW5vdGhlciBrZXkgb2YgMzIgYnl0ZXMsIHJhbmRvbS4="
    pair.further.signature_key = Secret.of(own)
    pair.further.save()
    deliver()
    got = pair.there.got[0]
    wanted = signature_headers((own,), got.webhook_id, int(got.headers["webhook-timestamp"]), got.body)
    assert got.headers["webhook-signature"] == wanted["webhook-signature"]
    assert got.headers["webhook-signature"] not in {each.headers["webhook-signature"] for each in pair.here.got}


def test_one_that_is_paused_holds_up_no_other(pair: Pair) -> None:
    assert pause_by_hand(pair.further, timezone.now())
    assert not pause_by_hand(pair.further, timezone.now())
    deliver()
    assert (len(pair.here.got), pair.there.got) == (10, [])
    assert pair.states(pair.further) == {State.PENDING}
    alert = Alert.objects.get()
    assert (alert.kind, alert.subscription, alert.resolved_at) == ("paused", pair.further, None)
    assert "Billing" in alert.text
    assert release(pair.further, timezone.now()) == 10
    alert.refresh_from_db()
    assert alert.resolved_at is not None
    deliver()
    assert len(pair.there.got) == 10
    assert len(pair.here.got) == 10


def test_commands_release_and_replay_for_one_alone(pair: Pair) -> None:
    assert pause_all_by_hand(pair.instance, timezone.now())
    further = ["--subscription", str(pair.further.pk)]
    assert said("release", pair.instance, *further) == [
        f"10 notifications of {pair.further} are to be sent.",
        "10 delivered, 0 attempts failed; 0 still to be delivered.",
    ]
    assert (pair.here.got, len(pair.there.got)) == ([], 10)
    assert said("replay", pair.instance, *further)[0].endswith(f"to subscription {pair.further.pk}: 10, sent again.")
    assert (pair.here.got, len(pair.there.got)) == ([], 20)
    why = said("replay", pair.instance, "--subscription", str(pair.first.pk))[-1]
    assert f"release {pair.instance.pk} --subscription {pair.first.pk}): Paused by hand" in why
    assert "are on, and a subscription that is on has a URL" in said_of_one_that_is_off(pair)


def said_of_one_that_is_off(pair: Pair) -> str:
    change_subscription(pair.further, {"enabled": False}, timezone.now())
    return said("replay", pair.instance, "--subscription", str(pair.further.pk))[-1]


@pytest.mark.parametrize("command", ["release", "replay"])
def test_commands_name_the_subscriptions_that_there_are(pair: Pair, command: str) -> None:
    known = f"{pair.first.pk} (Main), {pair.further.pk} (Billing)."
    text = f"--subscription: {pair.instance} has no subscription {10**15}, but {known}"
    with pytest.raises(CommandError, match=re.escape(text)):
        said(command, pair.instance, "--subscription", str(10**15))
    assert pair.here.got == pair.there.got == []


def said(command: str, instance: Instance, *options: str) -> list[str]:
    """Run a command to its end; return the lines that it printed."""
    out = io.StringIO()
    call_command(command, instance.pk, *options, stdout=out, verbosity=0)
    return out.getvalue().splitlines()


def test_a_change_looks_at_what_waits_only_where_it_decides_of_it(pair: Pair) -> None:
    """However much waits, a name is changed at once."""
    with CaptureQueriesContext(connection) as asked:
        change_subscription(pair.further, {"name": "Bills", "retention_days": 3}, timezone.now())
    assert not [query["sql"] for query in asked if "polling_notification" in query["sql"]]
    Notification.objects.update(next_attempt_at=None)
    change_subscription(pair.further, {"url": pair.here.url, "headers": {}}, timezone.now())
    assert {row.next_attempt_at is None for row in pair.of(pair.further)} == {False}
    assert {row.next_attempt_at is None for row in pair.of(pair.first)} == {True}


def test_each_has_an_alert_of_its_own(pair: Pair) -> None:
    assert pause_all_by_hand(pair.instance, timezone.now())
    assert set(Alert.objects.values_list("subscription", flat=True)) == {None, pair.further.pk}
    release(pair.first, timezone.now())
    assert set(Alert.objects.filter(resolved_at=None).values_list("subscription", flat=True)) == {pair.further.pk}
    assert release_all_of(pair.instance, timezone.now()) == 10
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_one_that_answers_410_is_paused_alone(pair: Pair) -> None:
    pair.there.answer = failing(410)
    deliver()
    assert pair.states(pair.first) == {State.DELIVERED}
    state = DeliveryState.objects.get(paused_at__isnull=False)
    assert state.subscription == pair.further
    assert State.EXHAUSTED in pair.states(pair.further)


def test_each_has_its_own_breaker(pair: Pair) -> None:
    pair.there.answer = failing(500)
    deliver_due(deadline=float("inf"))
    opened = Receiver.objects.get(open_until__isnull=False)
    assert opened.url == pair.there.url
    assert pair.states(pair.first) == {State.DELIVERED}
    pair.there.answer = failing(204)
    Receiver.objects.update(open_until=timezone.now() - timedelta(seconds=1))
    deliver()
    assert pair.states(pair.further) == {State.DELIVERED}


def test_a_retry_schedule_of_its_own(pair: Pair) -> None:
    Subscription.objects.filter(pk=pair.further.pk).update(retry_schedule=[0, 7000])
    pair.there.answer = failing(500)
    now = timezone.now()
    deliver_due(deadline=float("inf"))
    tried = [each for each in pair.of(pair.further) if each.step and each.next_attempt_at]
    assert tried
    assert all(now + timedelta(seconds=5000) < each.next_attempt_at for each in tried if each.next_attempt_at)
    for _ in range(12):  # the breaker lets one at a time try
        Receiver.objects.update(open_until=timezone.now() - timedelta(seconds=1))
        deliver()
    # The first whose two tries are used up while nothing gets through pauses its own subscription.
    assert DeliveryState.objects.get(paused_at__isnull=False).subscription == pair.further
    assert pair.states(pair.first) == {State.DELIVERED}


def test_one_that_is_off_gets_nothing(pair: Pair) -> None:
    Subscription.objects.filter(pk=pair.further.pk).update(enabled=False)
    deliver()
    assert pair.there.got == []
    assert pair.states(pair.first) == {State.DELIVERED}
    Subscription.objects.filter(pk=pair.further.pk).update(enabled=True)
    assert rearm_stranded(timezone.now()) == 1
    deliver()
    assert len(pair.there.got) == 10


def test_a_disabled_instance_rests_whole_and_goes_on_whole(pair: Pair) -> None:
    set_enabled(pair.instance, enabled=False)
    deliver()
    assert pair.here.got == pair.there.got == []
    set_enabled(pair.instance, enabled=True)
    deliver()
    assert (len(pair.here.got), len(pair.there.got)) == (10, 10)


def test_a_secret_that_no_key_opens_pauses_its_own_subscription(pair: Pair) -> None:
    Subscription.objects.filter(pk=pair.further.pk).update(signature_key=Secret("v1:broken"))
    deliver()
    assert len(pair.here.got) == 10
    assert DeliveryState.objects.get(paused_at__isnull=False).subscription == pair.further


def test_what_was_made_by_a_process_of_the_version_before_is_the_first_ones(pair: Pair) -> None:
    Subscription.objects.filter(pk=pair.first.pk).delete()  # it makes instances without this row
    deliver()
    assert len(pair.here.got) == 10
    assert Subscription.objects.filter(pk=pair.instance.pk, instance=pair.instance).exists()


def test_a_replay_waits_for_its_own_subscription_alone(pair: Pair) -> None:
    events = list(Event.objects.order_by("pk"))
    # The same record again, so that the second goes after the first, for each of them.
    Event.objects.filter(pk=events[1].pk).update(object_id=events[0].object_id, record_id=events[0].record_id)
    deliver()
    pair.here.got.clear()
    pair.there.got.clear()
    pair.there.answer = failing(500)
    replay = start_replay(pair.instance, Selection(object_id=events[0].object_id), timezone.now())
    assert replay.total == 4
    deliver()
    assert [got.json["id"] for got in pair.here.got] == [events[0].pk, events[1].pk]
    assert {json.dumps(got.json) for got in pair.there.got} == {f"[{events[0].pk}]"}
    pair.there.answer = failing(204)
    Receiver.objects.update(open_until=timezone.now() - timedelta(seconds=1), holds=True)
    deliver()
    deliver()
    assert pair.there.got[-1].json == [events[1].pk]
    assert Replay.objects.get().delivered == 4


def test_queued_deliveries_name_the_url_that_they_go_to(pair: Pair) -> None:
    pause_all_by_hand(pair.instance, timezone.now())
    instances = Instance.objects.all()
    rows = [delivery_row(row) for row in queued_deliveries(instances)]
    assert [row["config"]["url"] for row in rows] == [pair.here.url] * 10 + [pair.there.url] * 10
    assert all(row["paused"] and "by hand" in row["pauseReason"] for row in rows)
    wanted = read_where(f"channel='webhook' and status='queued' and config.url='{pair.there.url}'").callback_url
    assert {delivery_row(row)["url"] for row in queued_deliveries(instances, wanted)} == {pair.there.url}
    assert release_all(instances, wanted, timezone.now()) == 10
    assert DeliveryState.objects.get(paused_at__isnull=False).subscription == pair.first


def test_what_is_under_way_to_a_deleted_one_is_queued_for_nobody(pair: Pair) -> None:
    Subscription.objects.filter(pk=pair.further.pk).update(deleted_at=timezone.now())
    assert {row.to for row in queued_deliveries(Instance.objects.all())} == {pair.first.pk}


def test_a_deleted_instance_sends_nothing_more(pair: Pair) -> None:
    delete_instance(pair.instance)
    deliver()
    assert pair.here.got == pair.there.got == []
    assert not DeliveryState.objects.exists()


def test_what_a_process_of_the_version_before_held_of_an_instance_that_it_made_goes_on(
    pair: Pair, tenant: Tenant
) -> None:
    """It made no row of the first subscription; its breaker took the due times, and nothing new is recorded."""
    Subscription.objects.filter(pk=pair.first.pk).delete()
    receiver = Receiver.objects.create(
        organization=tenant.organization,
        url=pair.here.url,
        url_hash=url_hash(pair.here.url),
        failures=5,
        open_until=timezone.now(),
        holds=True,
    )
    DeliveryState.objects.create(subscription_id=pair.first.pk, receiver=receiver)
    Notification.objects.update(next_attempt_at=None)
    deliver_due(deadline=float("inf"))
    assert pair.here.got == []
    rearm_stranded(timezone.now())
    deliver()
    assert len(pair.here.got) == 10
