"""The breaker: a receiver that keeps failing is probed, and what waits for it uses up no try."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from instances.models import Instance
from polling.delivery.adaptive_limits import AdaptiveLimits
from polling.delivery.breaker import LONGEST_WAIT, hold, host_of, probe_wait
from polling.delivery.delivery_loop import DeliveryLoop, deliver_due
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery, rearm_all, release_all_of
from polling.delivery.scheduler import HOLD_EVERY, HOLD_MOST, Scheduler
from polling.models import Alert, DeliveryState, Notification, Receiver
from polling.workers.due import delivery_due_at
from tests.conftest import Tenant
from tests.support import receivers
from tests.support.deliveries import failing
from tests.support.notifications import make_instance, make_notifications

State = Notification.State


def run() -> int:
    return deliver_due(deadline=float("inf"))


def row() -> Receiver:
    return Receiver.objects.get()


def ready_to_probe() -> None:
    Receiver.objects.update(open_until=timezone.now() - timedelta(seconds=1))


@pytest.fixture
def instance(tenant: Tenant, receiver: receivers.Receiver) -> Instance:
    """An instance with forty notifications due, whose receiver fails."""
    made = make_instance(tenant.organization, receiver.url)
    make_notifications(made, [[record] for record in range(40)])
    receiver.answer = failing(500)
    return made


@pytest.fixture
def opened(instance: Instance) -> Instance:
    """The same, after its breaker opened."""
    run()
    assert row().open_until is not None
    return instance


def test_after_failures_in_a_row_the_others_wait_without_using_up_a_try(
    instance: Instance, receiver: receivers.Receiver
) -> None:
    tried = run()
    assert 5 <= tried <= 8
    waiting = Notification.objects.filter(next_attempt_at=None)
    assert waiting.count() == 40 - tried
    assert set(waiting.values_list("state", "step")) == {(State.PENDING, 0)}
    assert run() == 0


def test_one_notification_at_a_time_probes_the_oldest_first(opened: Instance, receiver: receivers.Receiver) -> None:
    Notification.objects.update(next_attempt_at=None)
    receiver.got.clear()
    ready_to_probe()
    assert run() == 1
    assert receiver.got[0].json["id"] == Notification.objects.order_by("pk")[0].pk
    assert row().probes == 1
    assert row().open_until > timezone.now() + timedelta(seconds=6)  # type: ignore[operator]  # it is open


def test_two_workers_make_one_probe(opened: Instance) -> None:
    ready_to_probe()
    first, second = (DeliveryLoop(Notification.objects.all(), deadline=float("inf")) for _ in range(2))
    assert [len(loop.claim(32, [])) for loop in (first, second)] == [1, 0]


def test_a_probe_that_died_with_its_worker_is_made_again(opened: Instance, receiver: receivers.Receiver) -> None:
    ready_to_probe()
    assert len(DeliveryLoop(Notification.objects.all(), deadline=float("inf")).claim(32, [])) == 1
    ready_to_probe()
    Notification.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert run() == 1


def test_a_success_closes_it_and_everything_goes_at_once(opened: Instance, receiver: receivers.Receiver) -> None:
    held = Notification.objects.filter(next_attempt_at=None).count()
    receiver.answer = failing(204)
    ready_to_probe()
    assert run() == held
    assert (row().failures, row().open_until, row().holds) == (0, None, False)
    assert Notification.objects.filter(state=State.DELIVERED).count() == held


def test_the_operator_is_warned_once_until_it_is_over(opened: Instance, receiver: receivers.Receiver) -> None:
    ready_to_probe()
    run()
    alert = Alert.objects.get(kind=Alert.Kind.BREAKER)
    assert receiver.url in alert.text
    assert alert.resolved_at is None
    receiver.answer = failing(204)
    ready_to_probe()
    run()
    assert Alert.objects.get(kind=Alert.Kind.BREAKER).resolved_at is not None


def test_what_is_held_is_due_when_the_next_probe_is(opened: Instance) -> None:
    Notification.objects.update(next_attempt_at=None)
    assert delivery_due_at(timezone.now()) == row().open_until


def test_another_callback_url_is_sent_to_at_once(opened: Instance, receiver: receivers.Receiver) -> None:
    with receivers.start_receiver() as other:
        opened.callback_url = other.url
        opened.save()
        rearm_all(opened, timezone.now())
        run()
        assert len(other.got) == Notification.objects.filter(state=State.DELIVERED).count() >= 32


def test_another_instance_with_the_same_url_waits_too(
    opened: Instance, tenant: Tenant, receiver: receivers.Receiver
) -> None:
    make_notifications(make_instance(tenant.organization, receiver.url, "Another"), [[1]])
    receiver.got.clear()
    assert run() == 0


def test_what_comes_due_for_open_receivers_is_held_together_and_not_at_every_look(
    opened: Instance, tenant: Tenant
) -> None:
    with receivers.start_receiver() as second:
        second.answer = failing(500)
        other = make_instance(tenant.organization, second.url, "Other")
        make_notifications(other, [[record] for record in range(20)])
        run()
    scheduler = Scheduler(Notification.objects.all(), AdaptiveLimits(), probe_length=timedelta(seconds=45))
    now = timezone.now()
    made = [make_notifications(instance, [[1]], now)[0].pk for instance in (opened, other)]
    free_of_due_time = Notification.objects.filter(pk__in=made, next_attempt_at=None)
    with CaptureQueriesContext(connection) as queries:
        scheduler.choose(32, [], now)
    assert free_of_due_time.count() == 2
    assert len([query for query in queries if query["sql"].startswith("UPDATE")]) <= 2
    Notification.objects.filter(pk__in=made).update(next_attempt_at=now)
    assert not set(made) & scheduler.choose(32, [], now + HOLD_EVERY / 2).batches.keys()
    assert free_of_due_time.count() == 0
    scheduler.choose(32, [], now + HOLD_EVERY)
    assert free_of_due_time.count() == 2


def test_a_backlog_of_an_open_receiver_is_held_some_at_a_time_and_others_go_meanwhile(
    opened: Instance, tenant: Tenant
) -> None:
    scheduler = Scheduler(Notification.objects.all(), AdaptiveLimits(), probe_length=timedelta(seconds=45))
    now, looks = timezone.now(), 3
    most = looks * HOLD_MOST
    backlog = make_notifications(opened, [[record] for record in range(most)], now - timedelta(minutes=1))
    healthy = make_notifications(make_instance(tenant.organization, "http://127.0.0.1:9/", "Well"), [[1]], now)
    due = Notification.objects.filter(pk__in=[row.pk for row in backlog], next_attempt_at__isnull=False)
    for look in range(1, looks + 1):
        assert scheduler.choose(32, [], now).batches.keys() == {healthy[0].pk}
        assert due.count() == most - look * HOLD_MOST


def test_what_is_not_an_open_receivers_any_more_is_not_held(opened: Instance) -> None:
    (made,) = make_notifications(opened, [[1]])
    mine, now = row(), timezone.now()
    other = Receiver.objects.create(organization_id=mine.organization_id, url="x", url_hash="x", open_until=now)
    due = Notification.objects.filter(pk=made.pk, next_attempt_at__isnull=False)
    hold([made.pk], [other.pk], now)
    assert due.exists()
    Receiver.objects.filter(pk=mine.pk).update(open_until=None)
    hold([made.pk], [mine.pk], now)
    assert due.exists()
    Receiver.objects.filter(pk=mine.pk).update(open_until=now)
    hold([made.pk], [mine.pk], now)
    assert not due.exists()


def test_another_organizations_breaker_is_its_own(
    opened: Instance, other_tenant: Tenant, receiver: receivers.Receiver
) -> None:
    make_notifications(make_instance(other_tenant.organization, receiver.url), [[1]])
    assert run() == 1


def test_a_paused_instance_is_not_probed_and_its_release_goes_by_probe(opened: Instance) -> None:
    pause_delivery(first_subscription(opened), "A test.", timezone.now())
    ready_to_probe()
    assert run() == 0
    release_all_of(opened, timezone.now())
    assert run() == 1


def test_the_link_between_instance_and_breaker_outlives_the_worker(opened: Instance) -> None:
    assert DeliveryState.objects.get().receiver == row()


@given(st.integers(0, 10_000), st.floats(0, 1e6))
def test_probes_are_five_minutes_apart_at_most(probes: int, retry_after: float) -> None:
    assert timedelta(seconds=4) <= probe_wait(probes, retry_after) <= LONGEST_WAIT


@pytest.mark.parametrize(
    "url",
    ["https://Example.com/a", "https://example.com:443/b", "HTTPS://example.com./c", "https://user@example.com?d"],
)
def test_a_host_is_one_however_it_is_spelled(url: str) -> None:
    assert host_of(url) == "example.com:443"


def test_a_port_that_is_none_is_a_host_of_its_own() -> None:
    assert host_of("https://example.com:99999/") == "https://example.com:99999/"
