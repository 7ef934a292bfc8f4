"""Turns: how many notifications a receiver gets by one claim, and what becomes of what a turn leaves."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instances.models import Instance
from polling.delivery.adaptive_limits import (
    BATCH_SECONDS,
    FIRST,
    LONGEST_BATCH,
    MOST,
    PER_HOST,
    PER_SUBSCRIPTION,
    AdaptiveLimits,
    Batch,
    ConcurrencyLimiter,
)
from polling.delivery.breaker import host_of
from polling.delivery.delivery_loop import DeliveryLoop
from polling.delivery.delivery_request import Outcome
from polling.models import DeliveryAttempt, Notification
from tests.conftest import Tenant
from tests.support.notifications import make_instance, make_notifications
from tests.support.receivers import Got, Receiver

State = Notification.State
HOST = "127.0.0.1:80"


def trusted(seconds: float, deliveries: int = 50) -> AdaptiveLimits:
    """Return the trust of a host that took so many, in so many seconds each."""
    limits = AdaptiveLimits()
    for _ in range(deliveries):
        limits.learn(HOST, delivered=True, seconds=seconds)
    return limits


def taken(limiter: ConcurrencyLimiter, instances: int = 1, config: int = 1000) -> list[Batch]:
    """Take as many places as there are for so many instances at the host; give the turns."""
    batches = (limiter.take(number % instances, HOST) for number in range(config))
    return list({batch for batch in batches if batch is not None})


def test_an_unknown_host_has_two_turns_of_one() -> None:
    assert [batch.length for batch in taken(ConcurrencyLimiter(32, [], AdaptiveLimits()), instances=4)] == [1] * FIRST


@pytest.mark.parametrize(("seconds", "length"), [(10.0, 1), (0.1, 1), (0.02, 5), (0.0001, LONGEST_BATCH)])
def test_a_turn_takes_about_a_tenth_of_a_second(seconds: float, length: int) -> None:
    batches = taken(ConcurrencyLimiter(32, [], trusted(seconds)), instances=4)
    assert [batch.length for batch in batches] == [length] * PER_HOST
    assert length == 1 or length * seconds <= BATCH_SECONDS


def test_a_failure_shortens_turns_to_one_and_halves_their_number() -> None:
    limits = trusted(0.001)
    limits.learn(HOST, delivered=False, seconds=0.001)
    assert [batch.length for batch in taken(ConcurrencyLimiter(32, [], limits), instances=4)] == [1] * (PER_HOST // 2)


def test_an_instance_has_its_share_of_a_hosts_turns() -> None:
    assert len(taken(ConcurrencyLimiter(32, [], trusted(0.001)))) == PER_SUBSCRIPTION


def test_turns_under_way_count() -> None:
    running = [Batch(0, HOST) for _ in range(PER_SUBSCRIPTION - 1)]
    limiter = ConcurrencyLimiter(32, running, trusted(1.0))
    assert len(taken(limiter)) == 1
    assert ConcurrencyLimiter(32, [*running, Batch(0, HOST)], trusted(1.0)).full_subscriptions() == {0}


def test_few_notifications_are_spread_over_threads() -> None:
    assert [batch.length for batch in taken(ConcurrencyLimiter(32, [], trusted(0.001)), config=6)] == [1] * 6


def test_there_are_no_more_turns_than_threads() -> None:
    assert len(taken(ConcurrencyLimiter(3, [], trusted(0.001)), instances=4)) == 3


def test_a_turn_is_over_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polling.delivery.adaptive_limits.BATCH_SECONDS", -1)
    batch = Batch(1, HOST)
    batch.note(delivered=True)
    assert not batch.over
    batch.note(delivered=True)
    assert batch.over


@pytest.fixture
def instance(tenant: Tenant, receiver: Receiver) -> Instance:
    """An instance with two hundred notifications due."""
    made = make_instance(tenant.organization, receiver.url)
    make_notifications(made, [[record] for record in range(200)])
    return made


@pytest.fixture
def loop(instance: Instance) -> DeliveryLoop:
    """A loop that knows the receiver to be quick."""
    loop = DeliveryLoop(Notification.objects.all(), deadline=float("inf"))
    for _ in range(50):
        loop.limits.learn(host_of(instance.callback_url), delivered=True, seconds=0.001)
    return loop


def test_one_claim_takes_many_by_few_statements(loop: DeliveryLoop) -> None:
    with CaptureQueriesContext(connection) as one:
        assert len(loop.claim(1, [])) == LONGEST_BATCH
    with CaptureQueriesContext(connection) as many:
        assert len(loop.claim(32, [])) == 200 - LONGEST_BATCH
    assert len(many) <= len(one) < 20


def test_no_more_is_claimed_at_once_than_memory_has_room_for(loop: DeliveryLoop, tenant: Tenant) -> None:
    for number in range(2):
        other = make_instance(tenant.organization, Instance.objects.earliest("pk").callback_url, f"No {number}")
        make_notifications(other, [[record] for record in range(200)])
    first = loop.claim(1, [])
    assert len(first) + len(loop.claim(31, first)) == MOST


def test_results_of_many_are_written_by_few_statements(loop: DeliveryLoop) -> None:
    delivery_requests = loop.claim(32, [])
    delivered: Future[Outcome] = Future()
    delivered.set_result(Outcome(status=204))
    with CaptureQueriesContext(connection) as queries:
        loop.settle([(delivery_request, delivered) for delivery_request in delivery_requests])
    assert Notification.objects.filter(state=State.DELIVERED).count() == len(delivery_requests) == 200
    assert len([query for query in queries if not query["sql"].startswith('UPDATE "polling_deliveryattempt"')]) < 15


def test_what_a_failure_leaves_of_its_turn_was_never_tried(loop: DeliveryLoop, receiver: Receiver) -> None:
    receiver.answer = lambda got: (204 if len(receiver.got) <= 60 else 500, {})
    loop.run()
    assert DeliveryAttempt.objects.count() == len(receiver.got) <= 60 + 2 * PER_SUBSCRIPTION
    assert not DeliveryAttempt.objects.filter(finished_at=None).exists()
    undelivered = Notification.objects.exclude(state=State.DELIVERED)
    assert sum(undelivered.values_list("step", flat=True)) == len(receiver.got) - 60
    assert not undelivered.filter(lease_until__isnull=False).exists()


def test_each_arrives_once_where_a_receiver_grows_slow(loop: DeliveryLoop, receiver: Receiver) -> None:
    def answer(got: Got) -> tuple[int, dict[str, str]]:
        time.sleep(0.15 if 60 < len(receiver.got) < 80 else 0)
        return 204, {}

    receiver.answer = answer
    loop.run()
    assert len({got.webhook_id for got in receiver.got}) == len(receiver.got) == 200
    assert DeliveryAttempt.objects.filter(status=204).count() == DeliveryAttempt.objects.count() == 200


def test_a_turn_goes_no_further_once_the_loop_is_asked_to_stop(
    instance: Instance, loop: DeliveryLoop, receiver: Receiver
) -> None:
    stop = threading.Event()
    loop.stopping = stop.is_set

    def answer(got: Got) -> tuple[int, dict[str, str]]:
        if len(receiver.got) > 60:
            stop.set()
            while not loop.halted:
                time.sleep(0.001)
        return 204, {}

    receiver.answer = answer
    loop.run()
    assert 60 < len(receiver.got) <= 60 + PER_SUBSCRIPTION
    assert DeliveryAttempt.objects.filter(status=204).count() == DeliveryAttempt.objects.count() == len(receiver.got)
    assert not Notification.objects.filter(lease_until__isnull=False).exists()
