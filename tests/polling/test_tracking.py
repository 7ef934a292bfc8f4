"""Polls keep earlier content where a receiver's filter asks what changed, and what is on the wire stays as it was."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instances.configuration.config_keys import POLLS
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance, ResourcePoll
from instances.poll_changes import add_poll
from instances.provisioning import change_instance
from polling.detection.jobs import plan_of_poll
from polling.detection.tracking import keep_tracking
from polling.field_changes import field_changes
from polling.filters.judging import Facts, judge
from polling.filters.reading import parse_filter
from polling.filters.tracking import tracked_by, words_of_tracking
from polling.maintenance.retention import prune
from polling.models import Event, Notification, SnapshotBody, Subscription
from polling.models.subscriptions import FURTHER_FROM
from polling.reports.history import history_row, with_status
from polling.verification.repair_steps import _wrap_lost
from tests.support.polled_instance import PolledInstance

pytestmark = pytest.mark.django_db(transaction=True)
CHIEFS = {"resources": ["Contacts"], "changed": ["title"], "to": {"title": "Chief"}}


def subscribe(instance: Instance, wanted: dict[str, Any] | str, number: int = 0, **columns: Any) -> Subscription:
    """Write a further subscription as whoever changes one does: its instance is locked first."""
    text = wanted if isinstance(wanted, str) else json.dumps(wanted)
    with transaction.atomic():
        Instance.objects.select_for_update(no_key=True).get(pk=instance.pk)
        row, _ = Subscription.objects.update_or_create(
            pk=FURTHER_FROM + number,
            defaults={"instance": instance, "name": f"{number}", "filter": text, "reads_log": True, **columns},
        )
        keep_tracking(instance)
    return row


def tracks(instance: Instance) -> list[str]:
    polls = ResourcePoll.objects.filter(instance=instance, tracks_for_filters=True)
    return sorted(polls.values_list("name", flat=True))


def newest() -> Event:
    return Event.objects.latest("pk")


def add(world: PolledInstance, name: str) -> None:
    add_poll(Instance.objects.get(pk=world.instance.pk), name, copy_of=None, patch={}, enabled=True)


# -- which polls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "tracked"),
    [
        ({}, []),
        ({"resources": ["contacts"], "kinds": ["UPDATED"], "where": "title = 'Chief'"}, []),
        ({"changed": ["title"]}, ["contacts", "incidents"]),
        ({"from": {"title": "Chief"}}, ["contacts", "incidents"]),
        ({"to": {"title": None}}, ["contacts", "incidents"]),
        ({"resources": ["CONTACTS", "boards"], "changed": ["title"]}, ["contacts"]),
        ({"kinds": ["CREATED", "DELETED"], "changed": ["title"]}, []),
        ({"kinds": ["updated"], "changed": ["title"], "resources": ["Incidents"]}, ["incidents"]),
    ],
)
def test_a_filter_has_tracked_what_it_asks_the_changes_of(wanted: dict[str, Any], tracked: list[str]) -> None:
    assert tracked_by(parse_filter(json.dumps(wanted)), ["contacts", "incidents"]) == tracked


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ""),
        (["contacts"], "contacts"),
        (["contacts", "tickets"], "contacts and tickets"),
        (list("abcde"), "a, b, c, d and e"),
        (list("abcdef"), "a, b, c, d and 2 others"),
    ],
)
def test_what_it_costs_is_said_in_words(names: list[str], words: str) -> None:
    said = f"keeps the earlier content of {words}: of each record that changes, as many bytes as it has"
    assert words_of_tracking(names) == (said if words else "")


def test_polls_track_while_an_enabled_subscription_asks_for_it(watched: PolledInstance) -> None:
    instance = watched.instance
    add(watched, "incidents")
    assert tracks(instance) == []
    subscribe(instance, CHIEFS)
    assert tracks(instance) == ["contacts"]
    subscribe(instance, {"resources": ["incidents"], "from": {"status.name": "New"}}, 1)
    assert tracks(instance) == ["contacts", "incidents"]
    subscribe(instance, CHIEFS, enabled=False)
    assert tracks(instance) == ["incidents"]
    subscribe(instance, {"changed": ["id"]}, 2)
    assert tracks(instance) == ["contacts", "incidents"]
    subscribe(instance, {"changed": ["id"]}, 2, deleted_at=timezone.now())
    subscribe(instance, "", 1)
    assert tracks(instance) == []


def test_the_first_subscription_counts_as_any_other(watched: PolledInstance) -> None:
    Subscription.objects.filter(pk=watched.instance.pk).update(filter=json.dumps(CHIEFS))
    with transaction.atomic():
        assert keep_tracking(watched.instance) == ["contacts"]
    assert tracks(watched.instance) == ["contacts"]


def test_polls_that_come_later_track_at_once_and_another_instance_does_not(
    watched: PolledInstance, sandbox: Any
) -> None:
    subscribe(watched.instance, {"changed": ["status"]})
    add(watched, "incidents")
    assert tracks(watched.instance) == ["contacts", "incidents"]
    other = PolledInstance(watched.tenant, sandbox)
    other.watch()
    assert tracks(other.instance) == []


def test_a_filter_that_can_t_be_read_keeps_no_instance_from_being_changed(
    watched: PolledInstance, caplog: pytest.LogCaptureFixture
) -> None:
    subscribe(watched.instance, '{"changed":')
    subscribe(watched.instance, CHIEFS, 1)
    add(watched, "incidents")
    assert tracks(watched.instance) == ["contacts"]
    assert f"subscription {FURTHER_FROM} can't be read" in caplog.text


def test_what_is_rolled_back_tracks_nothing(watched: PolledInstance) -> None:
    with transaction.atomic():
        subscribe(watched.instance, CHIEFS)
        assert tracks(watched.instance) == ["contacts"]
        transaction.set_rollback(True)
    assert tracks(watched.instance) == []
    assert not plan_of_poll(ResourcePoll.objects.get()).keeps_changes


# -- what is recorded, and what the wire has ---------------------------------------------------------------------------


def test_the_first_event_passes_and_says_so_and_the_next_is_judged(watched: PolledInstance) -> None:
    wanted = parse_filter(json.dumps(CHIEFS))
    subscribe(watched.instance, CHIEFS)
    found = []
    for title in ("Chief", "Owner", "Chief"):
        watched.change(3, title)
        watched.poll()
        event = newest()
        judged = judge(wanted, Facts(event.object_type, event.kind, event.record, event.changes))
        found.append((event.changes, judged.passes, bool(judged.unknown)))
    assert found == [
        ("null", True, True),
        ('[{"field":"title","from":"Chief","to":"Owner"}]', False, False),
        ('[{"field":"title","from":"Owner","to":"Chief"}]', True, False),
    ]


def test_where_deletes_are_looked_for_the_first_event_is_known(world: PolledInstance) -> None:
    world.watch(poll={"detectDeletes": True})
    world.change(3, "Owner")
    world.poll()
    subscribe(world.instance, CHIEFS)
    world.change(3, "Chief")
    world.poll()
    assert newest().changes == '[{"field":"title","from":"Owner","to":"Chief"}]'


def bodies(world: PolledInstance) -> list[dict[str, Any]]:
    """Return what notifications were made of three changes and a stamp, without what differs each time."""
    for title in ("Chief", "Owner", "x" * 1000):
        world.change(3, title)
        world.poll()
    world.store.touch("contacts", 3, stamp=timezone.now() + timedelta(seconds=2))
    world.poll()
    notifications = Notification.objects.filter(instance=world.instance).order_by("pk")
    return [json.loads(text) for text in notifications.values_list("body", flat=True)]


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("tracked", [False, True])
def test_the_wire_has_changes_where_the_poll_itself_tracks(
    world: PolledInstance, tracked: bool, filtered: bool
) -> None:
    world.watch(poll={"trackChanges": tracked})
    if filtered:
        subscribe(world.instance, CHIEFS)
    sent = ["changes" in event for body in bodies(world) for event in body["message"]["events"]]
    assert sent == [tracked] * 4
    sent = ["changes" in event for body in bodies(world) for event in body["message"]["raw"]["events"]]
    assert sent == [tracked] * 8
    events = list(with_status(Event.objects.select_related("notification").order_by("pk")))
    assert [event.changes is not None for event in events] == [tracked or filtered] * 8
    assert ["changes" in history_row(event)["notifiedData"][0] for event in events] == [tracked] * 8


def test_the_bytes_of_a_notification_are_those_of_before(watched: PolledInstance) -> None:
    watched.change(3, "Chief")
    watched.poll()
    watched.change(3, "Owner")
    watched.poll()
    plain = Notification.objects.latest("pk")
    subscribe(watched.instance, CHIEFS)
    for title in ("Chief", "Owner"):
        watched.change(3, title)
        watched.poll()
    tracked = Notification.objects.latest("pk")
    assert newest().changes == '[{"field":"title","from":"Chief","to":"Owner"}]'
    assert len(tracked.body) == len(plain.body)


def test_many_long_changes_cut_notifications_no_smaller(watched: PolledInstance) -> None:
    """Ten records of 15 kB are one notification; with what changed twice in each, they would be two."""
    subscribe(watched.instance, CHIEFS)
    ids = list(range(1, 11))
    for letter in "ab":
        for number in ids:
            watched.change(number, letter * 15_000)
        watched.poll()
    assert Event.objects.filter(changes__contains="aaaa").count() == 10
    assert list(Notification.objects.order_by("-pk").values_list("event_count", flat=True)[:1]) == [10]


def test_an_event_whose_notification_is_lost_is_sent_as_it_was(watched: PolledInstance) -> None:
    subscribe(watched.instance, CHIEFS)
    watched.change(3, "Chief")
    watched.poll()
    Event.objects.update(notification=None)
    Notification.objects.all().delete()
    _wrap_lost(ResourcePoll.objects.get(), timezone.now())
    [event] = json.loads(Notification.objects.get().body)["message"]["events"]
    assert "changes" not in event


def test_switching_the_poll_s_own_tracking_off_leaves_old_events_as_they_were(world: PolledInstance) -> None:
    world.watch(poll={"trackChanges": True})
    subscribe(world.instance, CHIEFS)
    world.change(3, "Chief")
    world.poll()
    own = config_of(world.instance)
    polls = {"contacts": {**own.polls["contacts"], "trackChanges": False}}
    change_instance(world.instance, config=read_configuration({POLLS: polls}, base=own, stored=own))
    world.change(3, "Owner")
    world.poll()
    sent = [
        history_row(event)["notifiedData"][0].get("changes", "-") for event in with_status(Event.objects.order_by("pk"))
    ]
    assert sent == [None, "-"]
    assert newest().changes == '[{"field":"title","from":"Chief","to":"Owner"}]'


@pytest.mark.parametrize("ignore", [False, True])
def test_a_stamp_that_moved_alone_goes_by_the_poll_s_own_setting(world: PolledInstance, ignore: bool) -> None:
    world.watch(poll={"ignoreEmptyChanges": ignore})
    subscribe(world.instance, {"changed": ["title"]})
    world.change(3, "Chief")
    world.poll()
    world.store.touch("contacts", 3, stamp=timezone.now() + timedelta(seconds=2))
    world.poll()
    assert list(Event.objects.order_by("pk").values_list("changes", flat=True)) == ["null"] + ["[]"] * (not ignore)


def test_connectwise_is_asked_for_nothing_more(watched: PolledInstance) -> None:
    def asked() -> list[str]:
        begun = len(watched.store.requests)
        for title in ("Chief", "Owner"):
            watched.change(3, title)
            watched.poll()
        return [request.path for request in watched.store.requests[begun:]]

    before = asked()
    subscribe(watched.instance, CHIEFS)
    assert asked() == before


# -- texts go --------------------------------------------------------------------------------------------------------


def test_texts_go_when_no_filter_asks_for_them_any_more(watched: PolledInstance) -> None:
    subscribe(watched.instance, CHIEFS)
    watched.change(3, "Chief")
    watched.poll()
    prune(timezone.now())
    assert SnapshotBody.objects.count() == 1
    subscribe(watched.instance, CHIEFS, enabled=False)
    prune(timezone.now())
    assert SnapshotBody.objects.count() == 0


STEPS = st.lists(
    st.sampled_from(["change", "change", "poll", "poll", "touch", "on", "off", "own on", "own off", "prune"]),
    max_size=14,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_what_is_said_to_have_changed_did(watched: PolledInstance, steps: list[str]) -> None:
    """However tracking is switched, `changes` is the difference to what the poll before saw, or not known."""
    world, poll = watched, ResourcePoll.objects.filter(instance=watched.instance)
    subscribe(world.instance, CHIEFS, enabled=False)
    poll.update(configuration={})
    world.change(3, "title")
    world.poll()
    before = json.loads(newest().record)
    for number, step in enumerate([*steps, "change", "poll"]):
        if step == "change":
            world.change(3, f"title {number % 3}")
        elif step == "touch":
            world.store.touch("contacts", 3, stamp=timezone.now() + timedelta(seconds=number))
        elif step in ("on", "off"):
            subscribe(world.instance, CHIEFS, enabled=step == "on")
        elif step in ("own on", "own off"):
            poll.update(configuration={"trackChanges": step == "own on"})
        elif step == "prune":
            prune(timezone.now())
        else:
            last = newest().pk
            world.poll()
            for event in Event.objects.filter(pk__gt=last):
                after = json.loads(event.record)
                found = json.loads(event.changes or "null")
                assert found is None or found == field_changes(before, after), steps
                assert (event.changes is None) != plan_of_poll(poll.get()).keeps_changes
                before = after


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no locks of rows")
def test_changes_at_once_beside_polls_wait_for_each_other_and_end_right(watched: PolledInstance) -> None:
    add(watched, "incidents")
    add(watched, "organizations")
    everything = {"changed": ["id"]}

    def switch(number: int) -> None:
        try:
            for count in range(15):
                subscribe(watched.instance, everything, number, enabled=count % 2 == 0)
        finally:
            connection.close()

    def poll() -> None:
        try:
            for count in range(15):
                watched.change(3, f"title {count}")
                ResourcePoll.objects.filter(pk=watched.state.pk).update(missing_fields=["idField"])
                watched.poll()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        ends = [pool.submit(switch, number) for number in range(3)] + [pool.submit(poll)]
        for end in ends:
            end.result(timeout=120)
    assert tracks(watched.instance) == ["contacts", "incidents", "organizations"]
    assert Event.objects.filter(kind="UPDATED").count() == 15
