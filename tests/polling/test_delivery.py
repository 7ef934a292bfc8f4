"""Notifications on their way: shape, signatures, retries, order, pauses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from standardwebhooks import Webhook

from instances.connections import outbound_client
from instances.provisioning import set_enabled
from polling.delivery.delivery_loop import DeliveryLoop
from polling.delivery.delivery_request import DeliveryRequest, Outcome, send
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery, release_all_of
from polling.models import DeliveryAttempt, DeliveryState, Notification
from polling.workers.wakeups import Kind
from tests.support.deliveries import KEY, change, deliver, failing
from tests.support.notifications import make_instance, make_notifications
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Got, Receiver, start_receiver

State = Notification.State


def test_a_change_arrives_in_the_shape_of_the_contract(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 17)
    deliver()
    body = receiver.got[0].json
    message, record = body["message"], body["message"]["raw"]["contacts"][0]
    instance = notifying.instance
    event = {
        "objectType": "contacts",
        "objectId": "17",
        "date": record["_info"]["lastUpdated"],
        "pollDate": message["events"][0]["pollDate"],
        "eventType": "UPDATED",
        "elementKey": "connectwisecrmrest",
        "hubKey": "crm",
    }
    assert record["id"] == 17
    assert record["title"] == "Chief"
    assert body == {
        "id": Notification.objects.get().pk,
        "severity": "low",
        "topic": f"instance-{instance.pk}-connectwisecrmrest-events",
        "createdDate": body["createdDate"],
        "message": {
            "elementKey": "connectwisecrmrest",
            "accountId": instance.organization_id,
            "companyId": instance.organization_id,
            "userId": instance.created_by_id,
            "instanceId": instance.pk,
            "instance_id": instance.pk,
            "instanceName": "API_Polling",
            "instanceTags": ["Test"],
            "eventId": str(Notification.objects.get().pk),
            "events": [event],
            "raw": {
                "instance_id": instance.pk,
                "eventId": str(Notification.objects.get().pk),
                "objectType": "contacts",
                "contacts": [record],
                "events": [event],
            },
        },
    }


def test_both_signatures_verify(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 17)
    deliver()
    got = receiver.got[0]
    Webhook(KEY).verify(got.body.decode(), got.headers)
    expected = base64.b64encode(hmac.new(KEY.encode(), got.body, hashlib.sha256).digest()).decode()
    assert got.headers["elements-webhook-signature"] == f"sha256={expected}"
    assert got.headers["elements-webhook-id"] == got.webhook_id
    assert got.headers["content-type"] == "application/json"


def test_a_notification_carries_ten_events_at_most(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, *range(1, 26))
    deliver()
    assert sorted(len(got.events()) for got in receiver.got) == [5, 10, 10]
    assert sorted(int(object_id) for _, object_id in receiver.events()) == list(range(1, 26))


def test_a_large_record_travels_alone(notifying: PolledInstance, receiver: Receiver) -> None:
    for record_id in (1, 2, 3):
        notifying.store.change("contacts", record_id, {"title": "x" * 200_000})
    notifying.poll()
    deliver()
    assert [len(got.events()) for got in receiver.got] == [1, 1, 1]


@pytest.mark.parametrize(("value", "kept"), [("yes", False), ("TRUE", False), ("no", True), ("", False)])
def test_nulls_are_filtered_as_the_instance_wants(
    world: PolledInstance, receiver: Receiver, value: str, kept: bool
) -> None:
    world.watch(callback_url=receiver.url, filter__response__nulls=value)
    world.store.change("contacts", 3, {"title": None})
    world.poll()
    deliver()
    assert ("title" in receiver.got[0].json["message"]["raw"]["contacts"][0]) is kept


def test_a_retry_has_the_same_id_and_bytes_and_a_fresh_signature(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 17)
    receiver.answer = failing(500)
    deliver()
    receiver.answer = failing(204)
    deliver()
    first, second = receiver.got
    assert (first.webhook_id, first.body) == (second.webhook_id, second.body)
    Webhook(KEY).verify(second.body.decode(), second.headers)
    assert Notification.objects.get().state == State.DELIVERED
    assert list(DeliveryAttempt.objects.order_by("id").values_list("status", flat=True)) == [500, 204]


def test_every_attempt_verifies_at_its_own_time(notifying: PolledInstance, receiver: Receiver) -> None:
    statuses = [500, 429, 302, 204]
    receiver.answer = lambda got: (statuses[len(receiver.got) - 1], {})
    change(notifying, 17)
    now = timezone.now()
    for hours in range(len(statuses)):
        with time_machine.travel(now + timedelta(hours=hours), tick=True):
            deliver()
            got = receiver.got[-1]
            Webhook(KEY).verify(got.body.decode(), got.headers)
            assert abs(int(got.headers["webhook-timestamp"]) - timezone.now().timestamp()) < 5
    keep = {(got.webhook_id, got.body, got.headers["elements-webhook-signature"]) for got in receiver.got}
    assert len(receiver.got) == len(statuses)
    assert len(keep) == 1
    assert len({got.headers["webhook-signature"] for got in receiver.got}) == len(statuses)


def test_a_retry_due_in_five_seconds_is_claimed_when_its_time_has_come(
    notifying: PolledInstance, receiver: Receiver
) -> None:
    change(notifying, 17)
    receiver.answer = failing(500)
    deliver()
    waiting = Notification.objects.get()
    assert waiting.next_attempt_at is not None
    assert timedelta(seconds=3.5) < waiting.next_attempt_at - timezone.now() <= timedelta(seconds=6)
    with time_machine.travel(waiting.next_attempt_at - timedelta(seconds=0.5), tick=False):
        assert deliver(now_due=False) == 0
    with time_machine.travel(waiting.next_attempt_at, tick=False):
        assert deliver(now_due=False) == 1


def test_what_falls_due_is_sent_while_another_receiver_hangs(world: PolledInstance, receiver: Receiver) -> None:
    stop_instance = threading.Event()
    with start_receiver() as hanging:
        hanging.answer = lambda got: (204 if stop_instance.wait(10) else 500, {})
        world.watch(callback_url=receiver.url)
        stuck = make_instance(world.tenant.organization, hanging.url, "Stuck")
        now = timezone.now()
        make_notifications(stuck, [[record] for record in range(5)])
        (late,) = make_notifications(world.instance, [[1]], due=lambda position: now + timedelta(seconds=1))

        def answer(got: Got) -> tuple[int, dict[str, str]]:
            stop_instance.set()
            return 204, {}

        receiver.answer = answer
        deliver(now_due=False)
    assert receiver.got[0].webhook_id == late.webhook_id
    assert set(Notification.objects.values_list("state", flat=True)) == {State.DELIVERED}


def test_a_page_with_changes_calls_for_their_delivery(
    notifying: PolledInstance, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    called = [call.args for call in _calls(notifying, django_capture_on_commit_callbacks)]
    assert called == [(Kind.DELIVER,)]
    assert _calls(notifying, django_capture_on_commit_callbacks, title="Second") == []  # it waits for the first
    pause_delivery(first_subscription(notifying.instance), "a test", timezone.now())
    with django_capture_on_commit_callbacks() as callbacks:
        release_all_of(notifying.instance, timezone.now())
    assert [call.args for call in callbacks if isinstance(call, partial)] == [(Kind.DELIVER,)]


def _calls(world: PolledInstance, capture: DjangoCaptureOnCommitCallbacks, title: str = "First") -> list[partial[None]]:
    with capture() as callbacks:
        change(world, 17, title=title)
    return [call for call in callbacks if isinstance(call, partial)]


def test_a_loop_that_lingers_sends_what_comes_meanwhile(notifying: PolledInstance, receiver: Receiver) -> None:
    loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
    loop.linger = 30
    loop.stopping = lambda: bool(receiver.got)
    looks = []

    def claim(capacity: int, running: Collection[DeliveryRequest]) -> list[DeliveryRequest]:
        looks.append(capacity)
        if len(looks) == 3:
            change(notifying, 17)
        return DeliveryLoop.claim(loop, capacity, running)

    loop.claim = claim  # type: ignore[method-assign]  # what another process would do between two looks
    loop.run()
    assert receiver.events() == [("UPDATED", "17")]


def test_a_failure_is_tried_again_by_the_schedule(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 17)
    receiver.answer = failing(500)
    deliver()
    waiting = Notification.objects.get()
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at - timezone.now() < timedelta(seconds=6.1)
    assert (waiting.step, waiting.last_error) == (1, "The receiver answered 500.")
    assert deliver(now_due=False) == 0


def test_retry_after_is_honoured(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 17)
    receiver.answer = failing(503, {"Retry-After": "120"})
    deliver()
    waiting = Notification.objects.get()
    assert waiting.next_attempt_at is not None
    assert timedelta(seconds=110) < waiting.next_attempt_at - timezone.now() <= timedelta(seconds=120)


def test_a_redirect_is_a_failure_and_is_not_followed(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 17)
    receiver.answer = failing(302, {"Location": receiver.url})
    deliver()
    assert len(receiver.got) == 1
    assert Notification.objects.get().state == State.PENDING


def test_later_events_of_a_record_wait_for_earlier_ones_and_others_do_not(
    notifying: PolledInstance, receiver: Receiver
) -> None:
    change(notifying, 1, 2)
    receiver.answer = failing(500)
    deliver()
    receiver.answer = failing(204)
    receiver.got.clear()
    change(notifying, 2, title="Second")
    change(notifying, 3)
    change(notifying, 2, title="Third")
    deliver(now_due=False)
    assert receiver.events() == [("UPDATED", "3")]
    receiver.got.clear()
    deliver()
    assert receiver.events() == [("UPDATED", "1"), ("UPDATED", "2"), ("UPDATED", "2"), ("UPDATED", "2")]
    titles = [got.json["message"]["raw"]["contacts"][-1]["title"] for got in receiver.got]
    assert titles == ["Chief", "Second", "Third"]


def test_410_pauses_the_instances_delivery_and_a_release_sends_what_waited(
    notifying: PolledInstance, receiver: Receiver
) -> None:
    change(notifying, 1)
    receiver.answer = failing(410)
    deliver()
    change(notifying, 2)
    assert deliver() == 0
    assert "410" in DeliveryState.objects.get().pause_reason
    receiver.got.clear()
    receiver.answer = failing(204)
    assert release_all_of(notifying.instance, timezone.now()) == 2
    deliver()
    assert sorted(receiver.events()) == [("UPDATED", "1"), ("UPDATED", "2")]


def test_an_exhausted_schedule_pauses_when_nothing_got_through(
    notifying: PolledInstance, receiver: Receiver, settings: Settings
) -> None:
    settings.RETRY_SCHEDULE = [0, 5]
    change(notifying, 1)
    receiver.answer = failing(500)
    deliver()
    deliver()
    assert Notification.objects.get().state == State.EXHAUSTED
    assert DeliveryState.objects.get().paused_at is not None


def test_a_notification_always_refused_is_given_up_and_its_followers_go(
    notifying: PolledInstance, receiver: Receiver, settings: Settings
) -> None:
    settings.RETRY_SCHEDULE = [0, 5]
    change(notifying, 1)
    change(notifying, 1, title="Second")
    change(notifying, 2)
    receiver.answer = lambda got: (500 if b'"Chief"' in got.body and b'"objectId":"1"' in got.body else 204, {})
    deliver()
    deliver()
    states = Notification.objects.order_by("id").values_list("state", flat=True)
    assert list(states) == [State.FAILED, State.DELIVERED, State.DELIVERED]
    given_up = Notification.objects.order_by("id").values_list("given_up_at", flat=True)
    assert [at is not None for at in given_up] == [True, False, False]


def test_an_attempt_cut_off_uses_up_no_step(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 1)
    cut_off = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
    assert len(cut_off.claim(1, [])) == 1
    Notification.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    deliver()
    assert Notification.objects.get().step == 1
    first, second = DeliveryAttempt.objects.order_by("id")
    assert (first.finished_at, second.status) == (None, 204)


def test_a_worker_overtaken_writes_no_result(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 1)
    frozen = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
    (delivery_request,) = frozen.claim(1, [])
    Notification.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    deliver()
    late: Future[Outcome] = Future()
    late.set_result(Outcome(status=500, error_kind="status"))
    frozen.settle([(delivery_request, late)])
    assert Notification.objects.get().state == State.DELIVERED
    assert DeliveryAttempt.objects.get(pk=delivery_request.attempt_id).finished_at is None


def test_no_post_begins_after_the_lease(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 1)
    loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
    (delivery_request,) = loop.claim(1, [])
    assert not send(replace(delivery_request, lease_end=0), outbound_client()).sent
    assert receiver.got == []


def test_credentials_of_the_receiver_are_sent_and_not_kept(world: PolledInstance, receiver: Receiver) -> None:
    world.watch(
        callback_url=receiver.url,
        event__notification__basic__username="bob",
        event__notification__basic__password="s3cret-pass",
        event__notification__callback__headers='{"X-Api-Key": "s3cret-key"}',
    )
    change(world, 1)
    deliver()
    got = receiver.got[0]
    assert got.headers["authorization"] == "Basic " + base64.b64encode(b"bob:s3cret-pass").decode()
    assert got.headers["x-api-key"] == "s3cret-key"
    kept = str(DeliveryAttempt.objects.get().request_headers)
    assert "s3cret" not in kept
    assert "X-Api-Key" in kept


def test_while_the_instance_is_disabled_nothing_is_sent_and_nothing_is_lost(
    notifying: PolledInstance, receiver: Receiver
) -> None:
    change(notifying, 1)
    set_enabled(notifying.instance, enabled=False)
    assert deliver() == 0
    set_enabled(notifying.instance, enabled=True)
    deliver()
    assert receiver.events() == [("UPDATED", "1")]


def test_a_private_receiver_is_refused_where_its_network_is_not_open(
    notifying: PolledInstance, receiver: Receiver, settings: Settings
) -> None:
    change(notifying, 1)
    settings.PRIVATE_NETWORKS = []
    deliver()
    assert receiver.got == []
    assert Notification.objects.get().state == State.PENDING
    assert DeliveryAttempt.objects.get().error_kind == "address"
