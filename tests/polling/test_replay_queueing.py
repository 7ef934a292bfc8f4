"""Large replays, which the workers queue: no request waits for them, and no crash loses or repeats a part."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instances.models import Instance
from polling.delivery.delivery_loop import deliver_due
from polling.delivery.replay import replays
from polling.delivery.replay.replays import queue_due_replays, start_replay
from polling.delivery.replay.selection import Selection, selection_of
from polling.models import Event, Notification, Replay
from polling.models import Receiver as BreakerRow
from polling.workers.due import delivery_due_at
from polling.workers.leases import LeaseLostError, claim
from tests.conftest import Tenant
from tests.support.notifications import make_instance, make_notifications
from tests.support.receivers import Got, Receiver

EVER = float("inf")
DONE: dict[str, Any] = {"state": Notification.State.DELIVERED, "next_attempt_at": None}


@pytest.fixture
def delivered(tenant: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """An instance with five delivered notifications, where three are too many for a request, and two make a batch."""
    monkeypatch.setattr(replays, "AT_ONCE", 2)
    monkeypatch.setattr(replays, "BATCH", 2)
    instance = make_instance(tenant.organization, receiver.url)
    make_notifications(instance, [[number] for number in range(1, 6)], **DONE)
    return instance


def ask(instance: Instance, **selection: Any) -> Replay:
    return start_replay(instance, Selection(**selection), timezone.now())


def killed(started: Replay) -> str:
    """A worker that queued one batch and was killed; give its token."""
    token, _ = claim(Replay.objects.all(), [started.pk], now=timezone.now(), length=replays.LEASE)
    keys = list(Notification.objects.order_by("pk").values_list("pk", flat=True)[:2])
    replays._queue_batch(started, token, keys)
    return token


def after(count: int) -> Callable[[], bool]:
    """Ends the work when it was asked so many times whether to."""
    answers = iter([False] * count)
    return lambda: next(answers, True)


def test_a_request_queues_few_and_leaves_many_to_the_workers(delivered: Instance) -> None:
    assert (ask(delivered, object_id="1").stage, Replay.objects.get().queued) == ("sending", 1)
    many = ask(delivered, resource="contacts")
    assert (many.stage, many.total, many.queued, many.left) == ("queueing", 5, 0, 5)
    due = delivery_due_at(timezone.now())
    assert due is not None
    assert due <= timezone.now()


def test_the_delivery_task_queues_and_sends_them(delivered: Instance, receiver: Receiver) -> None:
    started = ask(delivered, resource="contacts")
    deliver_due(deadline=time.monotonic() + 60)
    started.refresh_from_db()
    assert (started.stage, started.queued, started.delivered, started.left) == ("ended", 5, 5, 0)
    assert sorted(object_id for _, object_id in receiver.events()) == ["1", "2", "3", "4", "5"]
    assert delivery_due_at(timezone.now()) is None


def test_after_a_kill_another_worker_goes_on_where_it_ended(delivered: Instance, receiver: Receiver) -> None:
    started = ask(delivered, resource="contacts")
    killed(started)
    assert queue_due_replays(deadline=EVER) == 0
    Replay.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    deliver_due(deadline=EVER)
    started.refresh_from_db()
    assert (started.stage, started.queued, started.delivered) == ("ended", 5, 5)
    assert len(receiver.got) == 5


def test_a_worker_that_is_to_stop_leaves_the_rest_to_the_next(delivered: Instance) -> None:
    started = ask(delivered, resource="contacts")
    assert queue_due_replays(deadline=EVER, stopping=after(2)) == 0
    started.refresh_from_db()
    assert (started.stage, started.queued, started.lease_token) == ("queueing", 2, None)
    assert queue_due_replays(deadline=EVER) == 1
    assert Replay.objects.get().queued == 5


def test_a_worker_that_was_overtaken_queues_nothing(delivered: Instance) -> None:
    started = ask(delivered, resource="contacts")
    token = killed(started)
    Replay.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    queue_due_replays(deadline=EVER)
    Notification.objects.update(replay=None)
    with pytest.raises(LeaseLostError):
        replays._queue_batch(started, token, [Notification.objects.latest("pk").pk])
    assert not Notification.objects.filter(replay__isnull=False).exists()
    assert Replay.objects.get().queued == 5


def test_what_is_made_later_is_no_part_of_it(delivered: Instance) -> None:
    ask(delivered, resource="contacts")
    made = make_notifications(delivered, [[9]], **DONE)
    queue_due_replays(deadline=EVER)
    assert Replay.objects.get().queued == 5
    assert Notification.objects.get(pk=made[0].pk).replay_id is None


def test_very_notifications_are_chosen_by_their_ids(delivered: Instance) -> None:
    chosen = Notification.objects.order_by("-pk")[:3]
    (started,) = replays.replay_notifications(Notification.objects.filter(pk__in=[row.pk for row in chosen]), NOW)
    assert (started.stage, started.what) == ("queueing", "chosen notifications")
    queue_due_replays(deadline=EVER)
    queued = Notification.objects.filter(replay=started).order_by("-pk")
    assert list(queued.values_list("pk", flat=True)) == [row.pk for row in chosen]


class Arrivals:
    """What a receiver that fails at random took, in order, by record."""

    def __init__(self, receiver: Receiver, seed: int) -> None:
        self.chance = random.Random(seed)
        self.of: dict[int, list[int]] = defaultdict(list)
        receiver.answer = self.answer

    def answer(self, got: Got) -> tuple[int, dict[str, str]]:
        status = self.chance.choice((204, 204, 500))
        if status == 204:
            for event in got.json["message"]["raw"]["contacts"]:
                self.of[event["id"]].append(got.json["id"])
        return status, {}

    def deliver(self) -> None:
        """Deliver what is left of all replays, whatever waits stand in the way."""
        while any(one.stage != "ended" for one in Replay.objects.all()):
            past = timezone.now() - timedelta(seconds=1)
            BreakerRow.objects.filter(open_until__isnull=False).update(open_until=past)
            Notification.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=past)
            assert deliver_due(deadline=EVER)


@settings(
    max_examples=25, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    records=st.lists(st.sets(st.integers(1, 5), min_size=1, max_size=3), min_size=3, max_size=14),
    seed=st.integers(0, 2**32),
)
def test_no_records_events_are_sent_again_out_of_order(
    delivered: Instance, receiver: Receiver, records: list[set[int]], seed: int
) -> None:
    for model in (Event, Notification, Replay):
        model.objects.all().delete()
    made = make_notifications(delivered, [sorted(each) for each in records], **DONE)
    arrivals = Arrivals(receiver, seed)
    ask(delivered, resource="contacts")
    with override_settings(RETRY_SCHEDULE=[0.0] * 60):
        arrivals.deliver()
    for record in range(1, 6):
        assert arrivals.of[record] == [row.pk for row, each in zip(made, records, strict=True) if record in each]


def test_what_waits_for_two_earlier_ones_goes_after_both(delivered: Instance, receiver: Receiver) -> None:
    Notification.objects.all().delete()
    first, second, both = make_notifications(delivered, [[1], [2], [1, 2]], **DONE)
    refused = {first.pk}
    receiver.answer = lambda got: (500 if got.json["id"] in refused else 204, {})
    ask(delivered, resource="contacts")
    deliver_due(deadline=EVER)
    assert {got.json["id"] for got in receiver.got} == {first.pk, second.pk}
    refused.clear()
    Notification.objects.filter(pk=first.pk).update(next_attempt_at=timezone.now())
    deliver_due(deadline=EVER)
    assert [got.json["id"] for got in receiver.got[2:]] == [first.pk, both.pk]


def test_what_another_replay_sends_is_not_waited_for(delivered: Instance) -> None:
    first, second = make_notifications(delivered, [[9], [9]], **DONE)
    for notification in (first, second):
        ask(delivered, ids=(notification.pk,))
    assert Notification.objects.get(pk=second.pk).follows_id is None


NOW = timezone.now()
_TIMES = st.none() | st.datetimes(timezones=st.just(NOW.tzinfo))


@given(
    st.builds(
        Selection,
        failed=st.booleans(),
        since=_TIMES,
        until=_TIMES,
        event_id=st.none() | st.integers(1, 10**18),
        resource=st.text(max_size=5),
        object_id=st.text(max_size=5),
        ids=st.lists(st.integers(1, 10**18)).map(tuple),
        seen_since=_TIMES,
        seen_until=_TIMES,
        state=st.sampled_from(("", "given up")),
        tries=st.integers(0, 9),
    )
)
def test_a_selection_is_kept_whole(selection: Selection) -> None:
    assert selection_of(selection.as_json()) == selection
