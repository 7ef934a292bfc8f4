"""Retention beside several subscriptions: what none of them needs any more goes, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain, repeat
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from cwconnect.site.periodic_jobs import run_due_jobs
from instances.models import Instance, Organization
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.replay.replays import start_replay
from polling.delivery.replay.selection import Selection
from polling.maintenance import retention, unhurried
from polling.maintenance.retention import prune, prune_delivered, prune_the_rest
from polling.models import (
    Alert,
    DeliveryAttempt,
    DeliveryState,
    Event,
    Notification,
    NotificationBody,
    RecordWord,
    Replay,
    StoredWalk,
    Subscription,
    SubscriptionEvent,
)
from tests.support.deliveries import deliver
from tests.support.notifications import make_instance
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver
from tests.support.retained import carry, further, hold, record

LATER = timedelta(days=31)
State = Notification.State


@pytest.fixture
def instance(watched: PolledInstance) -> Instance:
    """A watched instance, of which nothing is recorded yet."""
    return watched.instance


def test_what_nobody_was_notified_of_goes_by_its_age(instance: Instance) -> None:
    record(instance, 1, notified=False)
    poll, owner = instance.resource_polls.get(), Organization.objects.get()
    RecordWord.objects.create(resource_poll=poll, record_id=1, word="ruth", organization=owner)
    record(instance, 2, notified=False, at=timezone.now() + timedelta(days=10))
    prune(timezone.now() + timedelta(days=29))
    assert Event.objects.count() == 2
    assert prune(timezone.now() + LATER).events == 1
    assert Event.objects.get().record_id == 2
    assert not RecordWord.objects.exists()


def test_it_goes_as_well_once_there_is_a_callback_url(world: PolledInstance) -> None:
    world.watch(callback_url="")
    world.poll()
    world.change(1, "Chief")
    world.poll()
    Instance.objects.update(callback_url="http://127.0.0.1:9/")
    prune_delivered(timezone.now() + LATER)
    assert not Event.objects.exists()


@pytest.mark.parametrize("state", [State.PENDING, State.EXHAUSTED, State.FAILED])
def test_an_event_stays_as_long_as_a_notification_of_another_subscription_has_to_be_sent(
    instance: Instance, state: str
) -> None:
    event = record(instance, 1)
    carry(further(instance, reached=event.pk), [event], state=state)
    prune(timezone.now() + LATER)
    assert Event.objects.get().notification is not None
    Notification.objects.update(state=State.DELIVERED)
    prune(timezone.now() + LATER)
    assert not Event.objects.exists()
    assert not Notification.objects.exists()
    assert not SubscriptionEvent.objects.exists()


@pytest.mark.parametrize("notified", [True, False])
def test_an_event_stays_as_long_as_one_that_carries_it_is_sent_again(instance: Instance, notified: bool) -> None:
    event = record(instance, 1, notified=notified)
    sent = carry(further(instance, reached=event.pk), [event], state=State.DELIVERED)
    sent.replay = Replay.objects.create(instance=instance, asked_at=timezone.now(), what="all")
    sent.save()
    prune(timezone.now() + LATER)
    assert Event.objects.count() == 1
    Notification.objects.update(replay=None)
    prune(timezone.now() + LATER)
    assert not Event.objects.exists()


@pytest.mark.parametrize("notified", [True, False])
def test_an_event_stays_until_a_subscription_that_reads_the_log_has_come_to_it(
    instance: Instance, notified: bool
) -> None:
    event = record(instance, 1, notified=notified)
    behind = further(instance, reached=event.pk - 1)
    prune(timezone.now() + LATER)
    assert Event.objects.count() == 1
    Subscription.objects.filter(pk=behind.pk).update(reached_id=event.pk)
    prune(timezone.now() + LATER)
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "change", [{"enabled": False}, {"deleted_at": timezone.now()}, {"reads_log": False}, {"callback_url": ""}]
)
def test_one_that_does_not_read_holds_nothing(instance: Instance, change: dict[str, object]) -> None:
    record(instance, 1, notified=False)
    Subscription.objects.filter(pk=further(instance, reached=0).pk).update(**change)
    prune(timezone.now() + LATER)
    assert not Event.objects.exists()


def test_a_first_one_that_reads_the_log_holds_events_as_long_as_it_has_a_url(instance: Instance) -> None:
    record(instance, 1, notified=False)
    first_subscription(instance)
    Subscription.objects.filter(pk=instance.pk).update(reads_log=True)
    prune(timezone.now() + LATER)
    assert Event.objects.count() == 1
    Instance.objects.update(callback_url="")
    prune(timezone.now() + LATER)
    assert not Event.objects.exists()


def test_one_of_another_instance_holds_nothing(instance: Instance, watched: PolledInstance) -> None:
    record(instance, 1, notified=False)
    further(make_instance(watched.tenant.organization, "http://127.0.0.1:9/", "Other"), reached=0)
    prune(timezone.now() + LATER)
    assert not Event.objects.exists()


def test_of_a_notification_all_events_stay_or_none(instance: Instance) -> None:
    first, second = record(instance, 1), record(instance, 2, notified=False)
    Event.objects.filter(pk=second.pk).update(notification=first.notification)
    carry(further(instance, reached=second.pk), [second], state=State.PENDING)
    prune(timezone.now() + LATER)
    assert Event.objects.filter(notification=first.notification_id).count() == 2


def test_what_was_held_goes_with_its_event(instance: Instance) -> None:
    event, young = record(instance, 1), record(instance, 2, at=timezone.now() + timedelta(days=10))
    reading = further(instance, reached=young.pk)
    hold(reading, [event, young])
    prune(timezone.now() + LATER)
    assert SubscriptionEvent.objects.get().event_id == young.pk


def test_a_delivered_notification_goes_though_another_keeps_its_events(instance: Instance) -> None:
    event = record(instance, 1, notified=False)
    done = carry(further(instance, reached=event.pk), [event], state=State.DELIVERED)
    waits = carry(further(instance, reached=event.pk), [event], state=State.PENDING)
    DeliveryAttempt.objects.create(notification=done, url="http://127.0.0.1:9/", started_at=timezone.now())
    prune(timezone.now() + LATER)
    assert Notification.objects.get() == waits
    assert SubscriptionEvent.objects.get().notification_id == waits.pk
    assert not DeliveryAttempt.objects.exists()
    assert Event.objects.count() == 1


def test_what_is_asked_for_again_just_then_stays(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = record(instance, 1).notification
    record(instance, 2)
    assert kept
    prune_them = retention._prune_notifications

    def asked_for_meanwhile(keys: list[int], *arguments: Any) -> int:
        if not Replay.objects.exists():
            start_replay(instance, Selection(event_id=kept.events.get().pk), timezone.now())
        return prune_them(keys, *arguments)

    monkeypatch.setattr(retention, "_prune_notifications", asked_for_meanwhile)
    prune(timezone.now() + LATER)
    assert set(Notification.objects.all()) == {kept}
    assert Replay.objects.get().left == 1


class TestDays:
    """A subscription's own days."""

    def test_of_a_subscription_are_those_of_its_notifications(self, instance: Instance) -> None:
        event = record(instance, 1)
        carry(further(instance, reached=event.pk, days=7), [event], state=State.DELIVERED)
        kept = carry(further(instance, reached=event.pk), [event], state=State.DELIVERED)
        prune(timezone.now() + timedelta(days=8))
        assert set(Notification.objects.all()) == {event.notification, kept}
        assert Event.objects.count() == 1

    def test_a_notification_goes_whatever_else_was_made_at_its_moment_or_taken_later(self, instance: Instance) -> None:
        first = record(instance, 1)
        theirs = further(instance, reached=first.pk, days=7)
        many = [
            carry(theirs, [record(instance, key, at=first.polled_at)], state=State.DELIVERED) for key in range(2, 9)
        ]
        # The last id is of the least time, as where its transaction began first.
        sooner = carry(theirs, [first], state=State.DELIVERED)
        Notification.objects.filter(pk=sooner.pk).update(created_at=first.polled_at - timedelta(seconds=1))
        prune(timezone.now() + timedelta(days=8))
        assert not Notification.objects.filter(pk__in=[sooner.pk, *(each.pk for each in many)])

    def test_what_stays_keeps_nothing_behind_it_from_going(
        self, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each minute there is time for one batch."""
        monkeypatch.setattr(unhurried, "BATCH", 2)
        event = record(instance, 1)
        ours = further(instance, reached=event.pk, days=7)
        for number in range(2, 6):
            held = record(instance, number, notified=False)
            Event.objects.filter(pk=held.pk).update(notification=carry(ours, [held], state=State.DELIVERED))
        goes = carry(ours, [event], state=State.DELIVERED)
        monkeypatch.setattr(retention, "staying", lambda events, ages: {each.key for each in events} - {event.pk})
        for minute in range(10):
            monkeypatch.setattr(unhurried, "stopping", chain([False] * 2, repeat(True)).__next__)
            prune_delivered(timezone.now() + timedelta(days=8, minutes=minute))
        assert not Notification.objects.filter(pk=goes.pk).exists()

    def test_the_longest_decide_for_events_and_what_was_made_with_them(self, instance: Instance) -> None:
        event = record(instance, 1)
        long = further(instance, reached=event.pk, days=90)
        usual = carry(further(instance, reached=event.pk), [event], state=State.DELIVERED)
        kept = carry(long, [event], state=State.DELIVERED)
        now = timezone.now()
        prune(now + timedelta(days=60))
        assert set(Notification.objects.all()) == {event.notification, kept}
        assert usual.pk not in Notification.objects.values_list("pk", flat=True)
        prune(now + timedelta(days=91))
        assert not Notification.objects.exists()
        assert not Event.objects.exists()

    def test_all_shorter_have_events_go_sooner(self, instance: Instance) -> None:
        record(instance, 1)
        record(instance, 2, notified=False)
        Subscription.objects.filter(pk=first_subscription(instance).pk).update(retention_days=3)
        prune(timezone.now() + timedelta(days=4))
        assert not Event.objects.exists()
        assert not Notification.objects.exists()

    def test_longer_ones_of_the_first_are_kept_where_nobody_was_notified(self, instance: Instance) -> None:
        record(instance, 1, notified=False)
        Subscription.objects.filter(pk=first_subscription(instance).pk).update(retention_days=90)
        prune(timezone.now() + LATER)
        assert Event.objects.count() == 1
        prune(timezone.now() + timedelta(days=91))
        assert not Event.objects.exists()

    def test_of_one_that_was_deleted_count_no_more(self, instance: Instance) -> None:
        event = record(instance, 1)
        gone = further(instance, reached=event.pk, days=90)
        Subscription.objects.filter(pk=gone.pk).update(deleted_at=timezone.now())
        prune(timezone.now() + LATER)
        assert not Event.objects.exists()

    def test_of_the_first_while_it_reads_the_log_spare_what_was_made_with_events_before(
        self, instance: Instance
    ) -> None:
        event = record(instance, 1)
        first_subscription(instance)
        Subscription.objects.filter(pk=instance.pk).update(reads_log=True, reached_id=event.pk, retention_days=7)
        further(instance, reached=event.pk)
        prune(timezone.now() + timedelta(days=8))
        assert Event.objects.get().notification is not None
        prune(timezone.now() + LATER)
        assert not Event.objects.exists()

    def test_concern_its_instance_alone(self, instance: Instance, watched: PolledInstance) -> None:
        other = PolledInstance(watched.tenant, watched.sandbox)
        other.watch()
        record(other.instance, 1)
        record(instance, 1)
        further(other.instance, reached=10**9, days=90)
        prune(timezone.now() + LATER)
        assert Event.objects.get().instance == other.instance


class TestBodies:
    """Bodies that notifications share."""

    def test_goes_with_the_last_that_has_it(self, instance: Instance) -> None:
        event = record(instance, 1, notified=False)
        body = NotificationBody.objects.create(hash="a" * 64, body="{}", used_at=timezone.now())
        carry(further(instance, reached=event.pk), [event], state=State.DELIVERED, shared_body=body)
        waits = carry(further(instance, reached=event.pk), [event], state=State.PENDING, shared_body=body)
        prune(timezone.now() + LATER)
        assert NotificationBody.objects.exists()
        Notification.objects.filter(pk=waits.pk).update(state=State.DELIVERED)
        prune_delivered(timezone.now() + LATER + timedelta(hours=2))
        assert not NotificationBody.objects.exists()

    def test_that_nobody_has_goes_after_a_day(self, db: None) -> None:
        now = timezone.now()
        NotificationBody.objects.create(hash="a" * 64, body="{}", used_at=now - timedelta(hours=25))
        NotificationBody.objects.create(hash="b" * 64, body="{}", used_at=now - timedelta(hours=23))
        prune_the_rest(now)
        assert NotificationBody.objects.get().hash == "b" * 64
        prune_the_rest(now + timedelta(hours=2))
        assert not NotificationBody.objects.exists()

    def test_of_one_time_are_looked_at_all_at_once(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("polling.maintenance.retention.EVENTS", 2)
        at = timezone.now() - timedelta(days=2)
        NotificationBody.objects.bulk_create(
            NotificationBody(hash=str(number) * 64, body="{}", used_at=at) for number in range(7)
        )
        prune_the_rest(timezone.now())
        assert not NotificationBody.objects.exists()


class TestWalk:
    """A worker's walk, which is stored."""

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("polling.maintenance.retention.EVENTS", 2)
        monkeypatch.setattr("polling.maintenance.unhurried.BATCH", 2)

    def test_passes_what_stays_and_comes_to_what_goes(self, instance: Instance) -> None:
        events = [record(instance, number, notified=False) for number in range(1, 8)]
        carry(further(instance, reached=10**9), events[:5], state=State.PENDING)
        assert prune_delivered(timezone.now() + LATER).events == 2
        assert StoredWalk.objects.get(name="events").ended

    def test_of_one_time_goes_by_id(self, instance: Instance) -> None:
        events = [record(instance, number, notified=False) for number in range(1, 8)]
        Event.objects.update(polled_at=timezone.now())
        carry(further(instance, reached=10**9), events[:5], state=State.PENDING)
        assert prune_delivered(timezone.now() + LATER).events == 2

    def test_goes_on_where_it_was_and_begins_anew_after_an_hour(self, instance: Instance) -> None:
        events = [record(instance, number, notified=False) for number in range(1, 5)]
        carry(further(instance, reached=10**9), events[:3], state=State.PENDING)
        now = timezone.now() + LATER
        assert prune_delivered(now).events == 1
        Notification.objects.update(state=State.DELIVERED)
        assert prune_delivered(now + timedelta(minutes=1)).events == 0
        assert prune_delivered(now + timedelta(minutes=61)).events == 3

    def test_that_did_not_end_goes_on_however_long_it_takes(
        self, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        events = [record(instance, number, notified=False) for number in range(1, 8)]
        carry(further(instance, reached=10**9), events[:6], state=State.PENDING)
        now = timezone.now() + LATER
        with monkeypatch.context() as patch:
            asked = iter([True, False, True, *[True] * 9])  # notifications; one batch of events; and no more
            patch.setattr("polling.maintenance.unhurried.stopping", lambda: next(asked))
            assert prune_delivered(now).events == 0
        assert not StoredWalk.objects.get(name="events").ended
        assert prune_delivered(now + timedelta(hours=2)).events == 1

    def test_of_an_earlier_clock_begins_anew(self, instance: Instance) -> None:
        now = timezone.now() + LATER
        StoredWalk.objects.create(
            name="events", begun_at=now + timedelta(days=9), reached_at=now, reached_id=0, ended=True
        )
        record(instance, 1, notified=False)
        assert prune_delivered(now).events == 1


def test_one_made_notified_and_deleted_by_the_api_leaves_nothing(
    world: PolledInstance, receiver: Receiver, client: Client
) -> None:
    world.watch(callback_url="")
    world.poll()
    path, auth = f"/v1/instances/{world.instance.pk}/subscriptions", {"Authorization": world.tenant.auth}
    body = {"name": "Further", "url": receiver.url, "retention_days": 7}
    made = client.post(path, body, content_type="application/json", headers=auth)
    assert made.status_code == 201, made.content
    world.change(1, "Chief")
    world.poll()
    assert deliver() == 1
    assert receiver.events() == [("UPDATED", "1")]
    prune(timezone.now() + timedelta(days=8))
    assert not Notification.objects.exists()
    assert not NotificationBody.objects.exists()
    assert Event.objects.count() == 1  # it is kept for the first one's thirty days, to be pulled
    assert client.delete(f"{path}/{made.json()['id']}", headers=auth).status_code in (200, 204)
    run_due_jobs(timezone.now())
    assert Subscription.objects.get().is_first
    prune(timezone.now() + LATER)
    assert not Event.objects.exists()


class TestPurge:
    """Deleted subscriptions."""

    @pytest.fixture
    def deleted(self, instance: Instance) -> Subscription:
        """A deleted subscription with a notification, what it held, an alert and a state; and another that lives."""
        events = [record(instance, number) for number in (1, 2)]
        gone, lives = further(instance, reached=events[1].pk), further(instance, reached=events[1].pk)
        for each in (gone, lives):
            sent = carry(each, events[:1], state=State.DISCARDED)
            DeliveryAttempt.objects.create(notification=sent, url="http://127.0.0.1:9/", started_at=timezone.now())
            hold(each, events[1:])
            Alert.objects.create(
                kind=Alert.Kind.PAUSED,
                organization_id=instance.organization_id or 0,
                subscription=each,
                created_at=timezone.now(),
            )
        Subscription.objects.filter(pk=gone.pk).update(deleted_at=timezone.now())
        return gone

    def test_it_goes_with_all_that_is_its_own_and_nothing_else(self, deleted: Subscription) -> None:
        run_due_jobs(timezone.now())
        assert not Subscription.objects.filter(pk=deleted.pk).exists()
        for model in (Notification, SubscriptionEvent, Alert):
            assert not model.objects.filter(subscription=deleted.pk).exists()
        assert Event.objects.count() == 2
        assert Notification.objects.filter(subscription=None).count() == 2
        assert (Alert.objects.count(), SubscriptionEvent.objects.count(), DeliveryAttempt.objects.count()) == (1, 2, 1)

    def test_its_state_goes(self, deleted: Subscription) -> None:
        DeliveryState.objects.create(subscription=deleted, paused_at=timezone.now())
        run_due_jobs(timezone.now())
        assert not DeliveryState.objects.filter(pk=deleted.pk).exists()

    def test_the_command_deletes_it_and_says_so(
        self, deleted: Subscription, capsys: pytest.CaptureFixture[str]
    ) -> None:
        NotificationBody.objects.create(hash="a" * 64, body="{}", used_at=timezone.now() - timedelta(days=2))
        old = record(deleted.instance, 3, notified=False, at=timezone.now() - LATER)
        Subscription.objects.update(reached_id=old.pk)
        call_command("prune")
        out = capsys.readouterr().out
        assert "with 1 event" in out
        assert "and 1 deleted subscription with all it was sent." in out
        assert not Subscription.objects.filter(pk=deleted.pk).exists()

    def test_an_attempt_under_way_is_waited_for(self, deleted: Subscription) -> None:
        ours = Notification.objects.filter(subscription=deleted.pk)
        ours.update(lease_token="t", lease_until=timezone.now() + timedelta(minutes=1))
        run_due_jobs(timezone.now())
        assert Subscription.objects.filter(pk=deleted.pk).exists()
        ours.update(lease_until=timezone.now())
        run_due_jobs(timezone.now())
        assert not Subscription.objects.filter(pk=deleted.pk).exists()

    def test_a_reading_under_way_is_waited_for(self, deleted: Subscription) -> None:
        row = Subscription.objects.filter(pk=deleted.pk)
        row.update(lease_token="t", lease_until=timezone.now() + timedelta(minutes=1))
        run_due_jobs(timezone.now())
        assert row.exists()
        row.update(lease_until=timezone.now())
        run_due_jobs(timezone.now())
        assert not Subscription.objects.filter(pk=deleted.pk).exists()

    def test_the_first_one_is_never_deleted_alone(self, instance: Instance) -> None:
        first_subscription(instance)
        Subscription.objects.update(deleted_at=timezone.now())
        run_due_jobs(timezone.now())
        assert Subscription.objects.filter(pk=instance.pk).exists()

    def test_a_deleted_instance_takes_all_of_its_subscriptions_along(self, deleted: Subscription) -> None:
        Instance.objects.update(organization=None)
        run_due_jobs(timezone.now())
        for model in (Instance, Subscription, SubscriptionEvent, Notification, Event):
            assert not model.objects.exists(), model
