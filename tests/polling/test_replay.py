"""Whole notifications sent again: marked, counted, in order, and without touching what was sent before."""

from __future__ import annotations

import io
import itertools
import os
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from polling.delivery import delivery_loop, results
from polling.delivery.delivery_loop import DeliveryLoop
from polling.delivery.pausing import release_all_of
from polling.delivery.replay.chains import Chains
from polling.delivery.replay.replays import count_selected, start_replay
from polling.delivery.replay.selection import Selection
from polling.models import DeliveryAttempt, DeliveryState, Event, Notification, Replay
from tests.conftest import Tenant
from tests.support.deliveries import change, deliver, failing
from tests.support.notifications import make_instance, make_notifications
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver

State = Notification.State
REPLAYED = int(os.environ.get("REPLAYED", "300"))  # the full figure: 12,000


def replay(world: PolledInstance, **selection: Any) -> Replay:
    return start_replay(world.instance, Selection(**selection), timezone.now())


@pytest.fixture
def delivered(notifying: PolledInstance, receiver: Receiver) -> PolledInstance:
    """A world with a delivered event of contact 1."""
    change(notifying, 1)
    deliver()
    return notifying


def test_a_replay_has_the_same_id_and_bytes_and_is_marked(delivered: PolledInstance, receiver: Receiver) -> None:
    replay(delivered, event_id=Event.objects.get().pk)
    deliver(now_due=False)
    first, again = receiver.got
    assert (first.webhook_id, first.body) == (again.webhook_id, again.body)
    assert "elements-webhook-replay" not in first.headers
    assert again.headers["elements-webhook-replay"] == "true"
    assert list(DeliveryAttempt.objects.order_by("id").values_list("replay", flat=True)) == [False, True]


def test_one_asked_for_while_the_last_try_is_under_way_has_all_tries(
    notifying: PolledInstance, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RETRY_SCHEDULE = [0.0, 0.0]
    change(notifying, 1)
    receiver.answer = failing(503)
    write_results = results.write_results

    def asked_for_meanwhile(ended: Any, now: Any) -> None:
        if len(receiver.got) == 2:
            replay(notifying, event_id=Event.objects.get().pk)
        write_results(ended, now)

    monkeypatch.setattr(delivery_loop, "write_results", asked_for_meanwhile)
    deliver()
    assert len(receiver.got) == 3  # with the one under way that are two


def test_what_waits_for_its_next_try_is_hurried(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 1)
    now = timezone.now()
    Notification.objects.update(step=3, next_attempt_at=now + timedelta(hours=5))
    replay(notifying, event_id=Event.objects.get().pk)
    hurried = Notification.objects.get()
    assert hurried.step == 0
    assert hurried.next_attempt_at is not None
    assert hurried.next_attempt_at < now + timedelta(hours=1)


def test_progress_is_counted(delivered: PolledInstance) -> None:
    started = replay(delivered, since=timezone.now() - timedelta(hours=1))
    assert (started.total, started.left) == (1, 1)
    deliver(now_due=False)
    started.refresh_from_db()
    assert (started.delivered, started.failed, started.left) == (1, 0, 0)


def test_what_was_delivered_stays_delivered_while_its_replay_fails(
    delivered: PolledInstance, receiver: Receiver
) -> None:
    receiver.answer = failing(500)
    replay(delivered, event_id=Event.objects.get().pk)
    deliver(now_due=False)
    waiting = Notification.objects.get()
    assert (waiting.state, waiting.step) == (State.DELIVERED, 1)
    assert waiting.next_attempt_at is not None
    receiver.answer = failing(204)
    change(delivered, 1, title="Second")
    deliver(now_due=False)
    assert receiver.got[-1].json["message"]["raw"]["contacts"][0]["title"] == "Second"


def test_a_replay_given_up_pauses_nothing(delivered: PolledInstance, receiver: Receiver, settings: Settings) -> None:
    settings.RETRY_SCHEDULE = [0, 5]
    receiver.answer = failing(500)
    started = replay(delivered, event_id=Event.objects.get().pk)
    deliver()
    deliver()
    started.refresh_from_db()
    assert (started.failed, started.left) == (1, 0)
    assert Notification.objects.get().state == State.DELIVERED
    assert DeliveryState.objects.get().paused_at is None
    assert deliver() == 0


def test_a_notification_given_up_is_delivered_by_its_replay(delivered: PolledInstance, receiver: Receiver) -> None:
    Notification.objects.update(state=State.FAILED, delivered_at=None)
    replay(delivered, failed=True)
    deliver(now_due=False)
    assert Notification.objects.get().state == State.DELIVERED


def test_a_replay_cut_off_by_a_crash_is_sent_all_the_same(delivered: PolledInstance, receiver: Receiver) -> None:
    started = replay(delivered, event_id=Event.objects.get().pk)
    assert len(DeliveryLoop(Notification.objects.all(), deadline=float("inf")).claim(1, [])) == 1
    Notification.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    deliver(now_due=False)
    started.refresh_from_db()
    assert started.left == 0


def test_replays_wait_while_delivery_is_paused(delivered: PolledInstance, receiver: Receiver) -> None:
    receiver.answer = failing(410)
    change(delivered, 2)
    deliver()
    replay(delivered, since=timezone.now() - timedelta(hours=1))
    assert deliver() == 0
    receiver.answer = failing(204)
    receiver.got.clear()
    release_all_of(delivered.instance, timezone.now())
    deliver(now_due=False)
    assert sorted(receiver.events()) == [("UPDATED", "1"), ("UPDATED", "2")]


def test_what_is_asked_for_twice_is_sent_once(delivered: PolledInstance, receiver: Receiver) -> None:
    first, second = replay(delivered, since=timezone.now() - timedelta(hours=1)), replay(delivered, object_id="1")
    deliver(now_due=False)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.left, second.delivered, len(receiver.got)) == (0, 1, 2)


def test_a_record_is_replayed_in_order(tenant: Tenant, receiver: Receiver) -> None:
    instance = make_instance(tenant.organization, receiver.url)
    made = make_notifications(
        instance, [[1], [2], [1, 2], [3], [2, 3], [1]], state=State.DELIVERED, next_attempt_at=None
    )
    start_replay(instance, Selection(since=timezone.now() - timedelta(hours=1)), timezone.now())
    deliver(now_due=False)
    came = [got.webhook_id for got in receiver.got]
    assert sorted(came) == sorted(row.webhook_id for row in made)
    for record in ("1", "2", "3"):
        ids = [got.json["id"] for got in receiver.got if ("UPDATED", record) in got.events()]
        assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (Selection(), 5),
        (Selection(failed=True), 3),
        (Selection(resource="contacts"), 5),
        (Selection(resource="incidents"), 0),
        (Selection(kind="UPDATED", object_id="2"), 1),
        (Selection(kind="DELETED"), 0),
        (Selection(event_id=1), 1),
    ],
)
def test_a_selection_is_counted_first(tenant: Tenant, selection: Selection, count: int) -> None:
    instance = make_instance(tenant.organization, "http://127.0.0.1:9/")
    made = make_notifications(instance, [[number] for number in range(1, 7)])
    columns: list[dict[str, Any]] = [
        {"state": State.DELIVERED},
        {"state": State.FAILED},
        {"state": State.EXHAUSTED},
        {"state": State.DISCARDED},
        {"step": 1},
        {"step": 0},
    ]
    for row, values in zip(made, columns, strict=True):
        Notification.objects.filter(pk=row.pk).update(**values)
    assert count_selected(instance, selection) == count


def test_since_and_until_bound_a_window(tenant: Tenant) -> None:
    instance, now = make_instance(tenant.organization, "http://127.0.0.1:9/"), timezone.now()
    for days in range(4):
        make_notifications(instance, [[days]], now - timedelta(days=days))
    window = Selection(since=now - timedelta(days=2), until=now)
    assert count_selected(instance, window) == 2


def test_the_admins_action_sends_the_chosen_ones_again(
    delivered: PolledInstance, receiver: Receiver, admin_client: Client
) -> None:
    chosen = {"action": "replay_selected", "_selected_action": [Notification.objects.get().pk]}
    answer = admin_client.post(reverse("admin:polling_notification_changelist"), chosen, follow=True)
    assert "1 notification is sent again." in answer.content.decode()
    deliver(now_due=False)
    assert receiver.got[-1].headers["elements-webhook-replay"] == "true"


@pytest.mark.parametrize("model", ["replay", "receiver", "alert", "notification"])
def test_the_admin_shows(delivered: PolledInstance, admin_client: Client, model: str) -> None:
    replay(delivered, object_id="1")
    assert admin_client.get(reverse(f"admin:polling_{model}_changelist")).status_code == 200


def test_the_command_counts_sends_and_reports(delivered: PolledInstance, receiver: Receiver) -> None:
    out = io.StringIO()
    call_command("replay", delivered.instance.pk, "--since", "2000-01-01", stdout=out, verbosity=0)
    assert "notifications since 2000-01-01T00:00:00Z: 1, sent again." in out.getvalue()
    assert "1 of 1 delivered, 0 given up." in out.getvalue()
    assert len(receiver.got) == 2


def test_the_command_sends_nothing_when_it_only_counts(delivered: PolledInstance, receiver: Receiver) -> None:
    call_command("replay", delivered.instance.pk, "--failed", "--count", stdout=io.StringIO(), verbosity=0)
    assert len(receiver.got) == 1


def test_all_failed_since_a_time_arrive_once(tenant: Tenant, receiver: Receiver) -> None:
    instance, now = make_instance(tenant.organization, receiver.url), timezone.now()
    failed: dict[str, Any] = {"state": State.FAILED, "next_attempt_at": None, "step": 10}
    before = make_notifications(instance, [[0]], now - timedelta(days=2), **failed)
    made = make_notifications(instance, [[record] for record in range(1, REPLAYED + 1)], now, **failed)
    out = io.StringIO()
    call_command("replay", instance.pk, "--failed", "--since", f"{now - timedelta(hours=1)}", stdout=out, verbosity=0)
    assert f"{REPLAYED} of {REPLAYED} delivered, 0 given up." in out.getvalue()
    assert sorted(got.webhook_id for got in receiver.got) == sorted(row.webhook_id for row in made)
    assert Notification.objects.get(state=State.FAILED).webhook_id == before[0].webhook_id


def test_what_is_given_up_again_after_a_replay_is_given_up_anew(
    tenant: Tenant, receiver: Receiver, settings: Settings
) -> None:
    settings.RETRY_SCHEDULE = [0]
    instance, now = make_instance(tenant.organization, receiver.url), timezone.now()
    failed: dict[str, Any] = {"state": State.FAILED, "next_attempt_at": None, "given_up_at": now - timedelta(days=2)}
    make_notifications(instance, [[0]], now - timedelta(days=3), **failed)
    receiver.answer = lambda got: (500, {})
    call_command("replay", instance.pk, "--failed", stdout=io.StringIO(), verbosity=0)
    again = Notification.objects.get()
    assert (again.state, again.replay_id) == (State.FAILED, None)
    assert again.given_up_at is not None
    assert again.given_up_at >= now


def test_the_command_wants_a_selection(delivered: PolledInstance) -> None:
    with pytest.raises(CommandError, match="Say what is to be sent again"):
        call_command("replay", delivered.instance.pk, verbosity=0)


@given(st.lists(st.sets(st.integers(0, 8), min_size=1, max_size=4), max_size=30))
def test_whatever_shares_a_record_stands_in_one_chain_in_order(delivered: list[set[int]]) -> None:
    chains = Chains()
    for notification, records in enumerate(delivered):
        chains.add(notification, records)
    for record in range(9):
        with_it = [notification for notification, records in enumerate(delivered) if record in records]
        for earlier, later in itertools.pairwise(with_it):
            at = later
            while at != earlier:
                at = chains.follows[at]
    assert len(set(chains.follows.values())) == len(chains.follows)
