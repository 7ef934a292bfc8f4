"""A subscription that is deleted while something of it is under way: nothing waits for it, nothing is left of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from instances.models import Instance, Organization
from polling.delivery import delivery_loop
from polling.delivery import results as written
from polling.delivery.delivery_loop import deliver_these
from polling.delivery.replay.replays import start_replay
from polling.delivery.replay.selection import Selection
from polling.maintenance.purge import purge_deleted
from polling.models import Alert, DeliveryAttempt, DeliveryState, Notification, Subscription
from polling.subscriptions.changes import change_subscription, create_subscription, delete_subscription
from tests.support.notifications import make_instance
from tests.support.receivers import Receiver
from tests.support.rows import make_notification

URL = "http://127.0.0.1:9/"


def subscribe(instance: Instance, url: str = URL, name: str = "Further") -> Subscription:
    return create_subscription(instance, {"name": name, "url": url}, timezone.now())


def waiting(subscription: Subscription, number: int, **columns: Any) -> Notification:
    now = timezone.now()
    return make_notification(
        subscription.instance, number, now, subscription=subscription, next_attempt_at=now, **columns
    )


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "state"), [(204, "delivered"), (500, "pending"), (410, "exhausted")])
def test_an_attempt_under_way_ends_as_it_may_and_is_followed_by_none(
    organization: Organization, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, status: int, state: str
) -> None:
    subscription = subscribe(make_instance(organization, URL), receiver.url)
    waiting(subscription, 10**6)
    receiver.answer = lambda got: (status, {})
    write_results = written.write_results

    def deleted_meanwhile(results: Sequence[Any], now: datetime) -> None:
        if subscription.deleted_at is None:
            delete_subscription(subscription, now)
            subscription.refresh_from_db()
        write_results(results, now)

    monkeypatch.setattr(delivery_loop, "write_results", deleted_meanwhile)
    deliver_these([subscription.instance_id])
    assert Notification.objects.get().state == state
    Notification.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())
    deliver_these([subscription.instance_id])
    assert (len(receiver.got), DeliveryAttempt.objects.count()) == (1, 1)
    assert not Alert.objects.exists()  # of what nobody sees any more

    assert purge_deleted(timezone.now()) == 1
    assert not Notification.objects.exists()
    assert not DeliveryState.objects.filter(pk=subscription.pk).exists()
    assert list(Subscription.objects.values_list("pk", flat=True)) == [subscription.instance_id]


@pytest.mark.django_db
def test_a_replay_ends_though_what_it_sends_is_deleted_under_way(
    organization: Organization, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = subscribe(make_instance(organization, URL), receiver.url)
    waiting(subscription, 10**6, state="delivered")
    replay = start_replay(subscription.instance, Selection(subscription=subscription.pk), timezone.now())
    assert replay.left == 1
    receiver.answer = lambda got: (500, {})
    write_results = written.write_results

    def deleted_meanwhile(results: Sequence[Any], now: datetime) -> None:
        delete_subscription(subscription, now)
        write_results(results, now)

    monkeypatch.setattr(delivery_loop, "write_results", deleted_meanwhile)
    deliver_these([subscription.instance_id])
    assert purge_deleted(timezone.now()) == 1
    replay.refresh_from_db()
    assert (replay.left, replay.stage) == (0, "ended")


@pytest.mark.django_db
def test_another_one_goes_on_while_one_is_deleted(organization: Organization, receiver: Receiver) -> None:
    instance = make_instance(organization, URL)
    gone, stays = subscribe(instance), subscribe(instance, receiver.url, "Stays")
    waiting(gone, 10**6)
    waiting(stays, 10**6 + 1)
    delete_subscription(gone, timezone.now())
    deliver_these([instance.pk])
    assert dict(Notification.objects.values_list("pk", "state")) == {10**6: "discarded", 10**6 + 1: "delivered"}


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_who_deletes_waits_for_nobody_that_works_on_a_notification(organization: Organization) -> None:
    """A worker that has a notification locked may be about to lock a row of ours: nobody waits, so nobody is killed."""
    instance = make_instance(organization, URL)
    subscription, other = subscribe(instance), subscribe(instance, name="Other")
    held = waiting(subscription, 10**6)
    waiting(subscription, 10**6 + 1)
    locked, done = threading.Event(), threading.Event()

    def work() -> None:
        with transaction.atomic():
            Notification.objects.select_for_update().get(pk=held.pk)
            locked.set()
            assert done.wait(30)
            DeliveryState.objects.update_or_create(subscription_id=subscription.pk, defaults={"pause_reason": "x"})
            make_notification(instance, 10**6 + 2, timezone.now(), subscription=subscription)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert locked.wait(30)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        delete_subscription(subscription, timezone.now())
        change_subscription(other, {"filter": {"kinds": ["DELETED"]}}, timezone.now())
    finally:
        done.set()
        worker.join()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    states = dict(Notification.objects.values_list("pk", "state"))
    assert states == {10**6: "pending", 10**6 + 1: "discarded", 10**6 + 2: "pending"}
    assert purge_deleted(timezone.now()) == 1
    assert not Notification.objects.exists()


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_two_that_are_made_at_once_are_counted_and_named_one_after_the_other(
    organization: Organization, settings: Any
) -> None:
    settings.MOST_SUBSCRIPTIONS = 4
    instance = make_instance(organization, URL)
    begin, made = threading.Barrier(8), list[object]()

    def make(number: int) -> None:
        begin.wait()
        try:
            made.append(subscribe(instance, name=f"name {number % 5}"))
        except Exception as error:  # noqa: BLE001  (looked at below)
            made.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each for each in made if isinstance(each, str)) == ["ConflictError"] * 5
    names = Subscription.objects.values_list("name", flat=True)
    assert (len(names), len(set(names))) == (4, 4)
