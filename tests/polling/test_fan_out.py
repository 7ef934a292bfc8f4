"""The log read for subscriptions: who gets what, in which notifications, and what is written of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from instances.models import Organization, ResourcePoll, Transformation
from polling.delivery.forms import render
from polling.delivery.pausing import pause_by_hand, release
from polling.models import Alert, DeliveryState, Event, Notification, NotificationBody, Subscription, SubscriptionEvent
from polling.workers.due import delivery_due_at
from tests.support.read_log import (
    NOON,
    Log,
    bodies_of,
    carried_by_all,
    end,
    held_for,
    made_for,
    read_log,
    subscribe,
)


@pytest.fixture
def log(organization: Organization) -> Log:
    return Log(organization, names=("contacts", "companies"))


def reload(subscription: Subscription) -> Subscription:
    return Subscription.objects.select_related("instance").get(pk=subscription.pk)


def test_what_nobody_reads_costs_no_notification_and_is_not_due(log: Log) -> None:
    ids = log.record(1, 2)
    assert read_log() == 0
    assert Notification.objects.count() == 1
    assert carried_by_all(log.first) == ids
    assert not SubscriptionEvent.objects.exists()


def test_each_subscription_gets_what_passes_its_filter(log: Log) -> None:
    everything, contacts, closed = (
        subscribe(log.instance),
        subscribe(log.instance, filter={"resources": ["contacts"]}),
        subscribe(log.instance, filter={"where": "status.name = 'Closed'"}),
    )
    first = log.record(1, (2, {"status": {"name": "Closed"}}))
    second = log.record((3, {"status": {"name": "Closed"}}), name="companies")
    assert delivery_due_at(timezone.now()) is not None

    assert read_log() == 9

    assert carried_by_all(everything) == first + second
    assert [made.events for made in made_for(everything)] == [tuple(first), tuple(second)]
    assert carried_by_all(contacts) == first
    assert held_for(contacts) == {second[0]: "resources: companies"}
    assert carried_by_all(closed) == [first[1], *second]
    assert held_for(closed) == {first[0]: "where: status.name = 'Closed'"}
    for subscription, passed, held in ((everything, 3, 0), (contacts, 2, 1), (closed, 2, 1)):
        stored = reload(subscription)
        assert (stored.passed, stored.held) == (passed, held)
        assert stored.reached_id >= second[-1]
        assert (stored.lease_token, stored.lease_until) == (None, None)
    assert all(made.due and made.follows is None for made in made_for(everything) + made_for(contacts))
    assert read_log() == 0
    assert carried_by_all(log.first) == first + second  # which were made with the events


def test_subscriptions_share_bytes_that_are_equal(log: Log) -> None:
    two = [subscribe(log.instance) for _ in range(2)]
    other = subscribe(log.instance, form="thin")
    ids = log.record(*range(1, 13))
    read_log()
    hashes = [
        list(Notification.objects.filter(subscription=each).order_by("pk").values_list("shared_body_id", flat=True))
        for each in (*two, other)
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    assert NotificationBody.objects.count() == 4
    assert set(Notification.objects.filter(subscription__isnull=False).values_list("body", flat=True)) == {""}
    bodies = bodies_of(two[0])
    assert [len(body["message"]["events"]) for body in bodies] == [10, 2]
    assert bodies[0]["id"] == ids[0]
    assert bodies[0]["createdDate"] == "2026-03-01T12:00:00Z"
    assert [event["eventId"] for body in bodies_of(other) for event in body["events"]] == [str(key) for key in ids]
    assert len(set(Notification.objects.values_list("webhook_id", flat=True))) == Notification.objects.count()


def test_a_body_that_is_used_again_is_kept_for_longer(log: Log) -> None:
    subscribe(log.instance)
    log.record(1)
    read_log()
    long_ago = timezone.now() - timedelta(days=3)
    NotificationBody.objects.update(used_at=long_ago)
    subscribe(log.instance, since=NOON)
    read_log()
    assert NotificationBody.objects.get().used_at > long_ago
    assert Notification.objects.filter(shared_body=NotificationBody.objects.get()).count() == 2


@pytest.mark.parametrize("form", ["elements", "cloudevents"])
def test_changes_that_are_kept_for_filters_alone_are_judged_and_not_sent(log: Log, form: str) -> None:
    changes = '[{"field":"title","from":"A","to":"B"}]'
    mine = subscribe(log.instance, filter={"changed": ["title"]}, form=form)
    for kept in (True, False):
        log.record(1, changes=changes, changes_for_filters=kept)
    read_log()
    found = [body["message"]["events"][0] if form == "elements" else body["data"] for body in bodies_of(mine)]
    assert ["changes" in event for event in found] == [False, True]
    assert not SubscriptionEvent.objects.exclude(not_judged="").exists()


def test_fields_are_those_that_were_asked_for(log: Log) -> None:
    mine = subscribe(log.instance, fields=["title"])
    log.record((1, {"title": "Chief", "email": "a@b.c"}))
    read_log()
    assert bodies_of(mine)[0]["message"]["raw"]["contacts"] == [{"id": 1, "title": "Chief"}]


@pytest.mark.parametrize(
    "columns",
    [{"enabled": False}, {"deleted_at": NOON}, {"callback_url": ""}, {"reads_log": False}],
    ids=["off", "deleted", "pulls", "not of the log"],
)
def test_who_reads_no_log_gets_nothing(log: Log, columns: dict[str, Any]) -> None:
    mine = subscribe(log.instance)
    Subscription.objects.filter(pk=mine.pk).update(**columns)
    log.record(1)
    Notification.objects.update(next_attempt_at=None)
    assert delivery_due_at(timezone.now()) is None
    assert read_log() == 0
    assert not SubscriptionEvent.objects.exists()


@pytest.mark.parametrize("rests", ["paused", "disabled", "events off"])
def test_what_rests_is_judged_and_kept(log: Log, rests: str) -> None:
    mine = subscribe(log.instance)
    if rests == "paused":
        DeliveryState.objects.create(subscription=mine, paused_at=NOON)
    else:
        type(log.instance).objects.filter(pk=log.instance.pk).update(
            **{"disabled": {"disabled": True}, "events off": {"events_enabled": False}}[rests]
        )
    log.record(1)
    read_log()
    (made,) = made_for(mine)
    assert not made.due
    assert made.follows is None


def test_a_later_event_of_a_record_waits_for_the_earlier_one(log: Log) -> None:
    mine, other = subscribe(log.instance), subscribe(log.instance)
    log.record(1, 2)
    read_log()
    (first,) = made_for(mine)
    log.record(2, 3)
    read_log()
    _, *later = made_for(mine)
    assert [(made.follows, made.due, len(made.events)) for made in later] == [(first.id, False, 1), (None, True, 1)]

    end(first.id)
    assert made_for(mine)[1].due
    log.record(1)
    read_log()
    assert made_for(mine)[-1].follows is None
    assert made_for(other)[-1].follows == made_for(other)[0].id


def test_the_events_of_a_record_are_never_in_one_notification(log: Log) -> None:
    mine = subscribe(log.instance)
    for _ in range(3):
        log.record(1, 2)
    log.record(3)
    read_log()
    made = made_for(mine)
    assert [len(each.events) for each in made] == [2, 2, 2, 1]
    assert [each.follows for each in made] == [None, made[0].id, made[1].id, None]
    assert [each.due for each in made] == [True, False, False, True]


def test_records_of_a_poll_that_is_gone_keep_their_order(log: Log) -> None:
    mine = subscribe(log.instance)
    log.record(1)
    log.record(1, name="companies")
    read_log()
    log.record(1)
    log.record(1, name="companies")
    for poll in log.polls.values():
        poll.delete()
    read_log()
    made = made_for(mine)
    assert [each.follows for each in made] == [None, None, made[0].id, made[1].id]


def test_a_page_is_read_at_a_time(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MOST", 3), ("LEAST", 3)):
        monkeypatch.setattr(f"polling.delivery.fan_out.pages.{name}", value)
    subscriptions = [subscribe(log.instance) for _ in range(3)]
    ids = [key for _ in range(4) for key in log.record(1, 2, 3, 4)]
    assert read_log() == 48
    for each in subscriptions:
        made = made_for(each)
        assert [event for one in made for event in one.events] == ids
        assert reload(each).passed == 16
        by_id = {one.id: one for one in made}
        for one in made:
            if one.follows is not None:
                assert max(by_id[one.follows].events) < min(one.events)


def test_a_filter_that_can_t_be_read_pauses_its_subscription_alone(log: Log) -> None:
    broken, sound = subscribe(log.instance, filter={"colour": "red"}), subscribe(log.instance)
    ids = log.record(1)
    before = broken.reached_id
    assert read_log() == 1
    assert carried_by_all(sound) == ids
    assert reload(broken).reached_id == before
    state = DeliveryState.objects.get(subscription=broken)
    assert state.paused_at is not None
    assert state.pause_reason == (
        "Its filter can't be read any more: colour: is not known here; there are resources, kinds, where, changed, "
        "from, to."
    )
    assert Alert.objects.filter(subscription=broken, kind=Alert.Kind.PAUSED, resolved_at=None).count() == 1
    log.record(2)
    assert read_log() == 1
    assert Alert.objects.count() == 1

    Subscription.objects.filter(pk=broken.pk).update(filter="")
    Subscription.objects.filter(pk=broken.pk).end_leases()
    assert read_log() == 2
    assert len(carried_by_all(broken)) == 2


def test_one_that_is_paused_by_hand_stays_so_though_it_can_t_be_read(log: Log) -> None:
    broken = subscribe(log.instance, filter={"colour": "red"})
    assert pause_by_hand(broken, NOON)
    log.record(1)
    read_log()
    state = DeliveryState.objects.get(subscription=broken)
    assert (state.paused_at, state.pause_reason[:15]) == (NOON, "Paused by hand:")
    assert Alert.objects.count() == 1

    release(broken, timezone.now())  # then it is found again, and said
    Subscription.objects.filter(pk=broken.pk).end_leases()
    read_log()
    state.refresh_from_db()
    assert state.pause_reason.startswith("Its filter can't be read any more")
    assert Alert.objects.filter(resolved_at=None).count() == 1
    since = state.paused_at
    Subscription.objects.filter(pk=broken.pk).end_leases()
    read_log()  # as once a minute
    state.refresh_from_db()
    assert state.paused_at == since


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"mapping": "people"}, "There is no field mapping people any more."),
        ({"form": "smoke signals"}, "There is no form smoke signals."),
        ({"fields": {"a": 1}}, "Its fields can't be read any more: they are no list of names."),
    ],
)
def test_what_else_can_t_be_read_pauses_too(log: Log, columns: dict[str, Any], reason: str) -> None:
    mine = subscribe(log.instance, **columns)
    log.record(1)
    assert read_log() == 0
    assert DeliveryState.objects.get(subscription=mine).pause_reason == reason


def test_what_polls_recorded_that_are_gone_is_mapped_by_its_own_resource(organization: Organization) -> None:
    log = Log(organization, names=("companies", "contacts"))
    fields = [{"path": "called", "vendorPath": "name"}]
    Transformation.objects.create(instance=log.instance, name="people", vendor_name="contacts", fields=fields)
    mine = subscribe(log.instance, mapping="people")
    log.record((1, {"name": "Acme"}), name="companies")
    log.record((2, {"name": "Ada"}))
    ResourcePoll.objects.filter(instance=log.instance).delete()
    read_log()
    raw = [body["message"]["raw"] for body in bodies_of(mine)]
    assert raw[0]["companies"] == [{"id": 1, "name": "Acme"}]
    assert raw[1]["contacts"] == [{"id": 2, "called": "Ada"}]


def test_an_event_that_a_fault_of_ours_leaves_unjudged_passes_and_says_so(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RecursionError

    mine = subscribe(log.instance, filter={"kinds": ["UPDATED"]})
    (key,) = log.record(1)
    monkeypatch.setattr("polling.delivery.fan_out.judged.judge", fail)
    read_log()
    assert carried_by_all(mine) == [key]
    assert SubscriptionEvent.objects.get().not_judged == "a fault of cwconnect itself"


def test_what_could_not_be_judged_is_said(log: Log) -> None:
    mine = subscribe(log.instance, filter={"changed": ["title"]})
    log.record(1, changes="null")
    read_log()
    assert len(made_for(mine)) == 1
    assert SubscriptionEvent.objects.get().not_judged == "changed: the earlier content is not known"


def test_a_fault_of_ours_with_one_subscription_leaves_the_others(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = subscribe(log.instance, name="bad", form="thin"), subscribe(log.instance)
    ids = log.record(1)

    def fail(form: str, *arguments: Any, **options: Any) -> Any:
        if form == "thin":
            raise AssertionError
        return render(form, *arguments, **options)

    monkeypatch.setattr("polling.delivery.fan_out.bodies.render", fail)
    read_log()
    assert carried_by_all(good) == ids
    assert carried_by_all(bad) == []
    assert reload(bad).lease_until is not None  # so that it is tried again, though not at once


def test_a_subscription_that_another_holds_is_left_to_it(log: Log) -> None:
    mine = subscribe(log.instance)
    log.record(1)
    now = timezone.now()
    Notification.objects.update(next_attempt_at=None)
    Subscription.objects.filter(pk=mine.pk).update(lease_token="theirs", lease_until=now + timedelta(seconds=5))
    assert read_log() == 0
    assert delivery_due_at(now) is None
    assert delivery_due_at(now + timedelta(seconds=6)) is not None


def test_the_events_of_others_are_theirs(log: Log, organization: Organization) -> None:
    other = Log(organization)
    mine, theirs = subscribe(log.instance), subscribe(other.instance)
    ids, their_ids = log.record(1), other.record(1)
    read_log()
    assert carried_by_all(mine) == ids
    assert carried_by_all(theirs) == their_ids
    assert Event.objects.count() == 2
