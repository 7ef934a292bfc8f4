"""Where watching begins, goes on and begins anew, through changes of an instance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from cwconnect.sandbox import SandboxServer
from instances.configuration.wire import config_of, read_configuration
from instances.models import ResourcePoll
from instances.provisioning import change_instance, set_enabled
from instances.watch_starts import ConnectWiseRefusedError
from polling.delivery.delivery_loop import deliver_these
from polling.detection.polls.runs import LEASE, PollJob
from polling.models import Event, Notification, PollRun, PollState, RecordSnapshot
from polling.subscriptions.changes import create_subscription
from polling.workers.leases import LeaseLostError, claim
from tests.support.deliveries import failing
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver
from tests.support.sandboxes import start_sandbox

FILTERED = "/hubs/crm/contacts?where=title='Chief' AND lastUpdated>'${date}'"


@pytest.fixture
def elsewhere() -> Iterator[SandboxServer]:
    with start_sandbox(company="globex", records={"contacts": 50}) as server:
        yield server


def change(world: PolledInstance, polls: dict[str, Any] | None = None, *, from_now: bool = False, **keys: Any) -> None:
    """Change the instance, as PATCH does; `polls` is the whole poll configuration."""
    stored = config_of(world.instance)
    given = {key.replace("__", "."): value for key, value in keys.items()}
    if polls is not None:
        given["event.poller.configuration"] = polls
    config = read_configuration(given, base=stored, stored=stored)
    world.instance = change_instance(world.instance, config=config, from_now=config.polls if from_now else ())


def known(world: PolledInstance, name: str = "contacts") -> int:
    return RecordSnapshot.objects.filter(resource_poll__in=ResourcePoll.objects.filter(name=name)).count()


def contacts_poll(world: PolledInstance) -> ResourcePoll:
    return world.instance.resource_polls.get(name="contacts")


# -- added, removed, added again ---------------------------------------------------------------------------------------


def test_a_resource_added_begins_with_what_comes_then(watched: PolledInstance) -> None:
    ticket = watched.store.create("incidents")["id"]
    watched.change(3, "Chief")
    watched.store.clock_offset = 1  # the second in which watching begins belongs to it
    change(watched, {"contacts": {}, "incidents": {}})
    assert watched.instance.resource_polls.get(name="incidents").high_water_id == ticket
    new = watched.store.create("incidents")["id"]
    watched.poll()
    assert sorted(watched.recorded()) == [("CREATED", str(new)), ("UPDATED", "3")]


def test_a_resource_removed_is_forgotten_but_for_its_events(watched: PolledInstance) -> None:
    watched.change(3, "Chief")
    watched.poll()
    change(watched, {"incidents": {}})
    assert known(watched) == 0
    assert Event.objects.filter(object_id="3", resource_poll=None).count() == 1
    assert PollState.objects.get().resource_poll.name == "incidents"


def test_a_resource_added_again_begins_anew(watched: PolledInstance) -> None:
    watched.change(3, "Chief")
    watched.poll()
    change(watched, {"incidents": {}})
    watched.change(4, "While away")
    born = watched.store.create("contacts")["id"]
    watched.store.clock_offset = 1
    change(watched, {"contacts": {}, "incidents": {}})
    watched.recorded()
    watched.poll()
    assert watched.recorded() == []
    watched.change(born, "Now")
    watched.poll()
    assert watched.recorded() == [("UPDATED", str(born))]


def test_what_was_recorded_before_is_waited_for_by_every_receiver(watched: PolledInstance, receiver: Receiver) -> None:
    create_subscription(watched.instance, {"name": "Further", "url": receiver.url}, timezone.now())
    for title in ("Before", "After", "At last"):
        watched.change(3, title)
        watched.poll()
        deliver_these([watched.instance.pk])
        if title == "Before":
            change(watched, {"incidents": {}})
            watched.store.clock_offset = 1
            change(watched, {"contacts": {}, "incidents": {}})
            receiver.answer = failing(503)
            Notification.objects.update(state="pending")  # neither arrived
    for ours in (Notification.objects.filter(subscription=None), Notification.objects.exclude(subscription=None)):
        first, *others = ours.order_by("pk")
        assert [each.follows_id for each in others] == [first.pk, others[0].pk]
        assert {each.next_attempt_at for each in others} == {None}


# -- another url or idField --------------------------------------------------------------------------------------------


def test_another_url_of_the_list_keeps_mark_and_cursor_and_what_is_known(watched: PolledInstance) -> None:
    watched.change(3, "Clerk")
    watched.poll()
    cursor, known_before = watched.state.cursor, known(watched)
    born = watched.store.create("contacts", {"title": "Chief"})["id"]
    watched.change(3, "Chief")
    change(watched, {"contacts": {"url": FILTERED}})
    assert (watched.state.cursor, known(watched)) == (cursor, known_before)
    assert contacts_poll(watched).high_water_id == born - 1
    watched.recorded()
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3"), ("CREATED", str(born))]
    assert watched.poll().health == "healthy"
    assert watched.recorded() == []


def test_another_url_abandons_the_open_run(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    for record_id in range(1, 6):
        world.change(record_id, "Chief")
    world.store.fail_next(1, status=500, skip=1)
    world.poll()
    assert world.recorded() == [("UPDATED", "1"), ("UPDATED", "2")]
    change(world, {"contacts": {"url": FILTERED, "pageSize": 2}})
    assert world.run.status == PollRun.Status.ABANDONED
    world.poll()
    assert world.recorded() == [("UPDATED", "3"), ("UPDATED", "4"), ("UPDATED", "5")]


def test_another_id_field_names_later_events(watched: PolledInstance) -> None:
    watched.change(3, "Chief")
    watched.poll()
    watched.recorded()
    change(watched, {"contacts": {"idField": "company.identifier"}})
    watched.poll()
    assert watched.recorded() == []
    record = watched.store.change("contacts", 3, {"title": "Owner"})
    watched.poll()
    assert watched.recorded() == [("UPDATED", record["company"]["identifier"])]


def test_another_resource_under_the_same_key_begins_anew(watched: PolledInstance) -> None:
    for _ in range(3):
        watched.store.create("incidents")
    watched.change(3, "Chief")
    watched.poll()
    watched.recorded()
    watched.store.clock_offset = 1
    change(watched, {"contacts": {"url": "/hubs/crm/incidents?where=lastUpdated>'${date}'"}})
    assert (known(watched), contacts_poll(watched).high_water_id) == (0, 3)
    watched.poll()
    assert watched.recorded() == []
    watched.store.change("incidents", 2, {"summary": "Help"})
    watched.poll()
    assert watched.recorded() == [("UPDATED", "2")]


def test_a_worker_under_way_with_the_old_settings_writes_nothing(watched: PolledInstance) -> None:
    watched.change(3, "Clerk")
    PollState.objects.update(next_poll_at=timezone.now())
    token, keys = claim(PollState.objects.all(), [watched.state.pk], now=timezone.now(), length=LEASE)
    state = PollState.objects.select_related("resource_poll__instance__organization").get(pk=keys[0])
    job = PollJob(state, token)
    page = job.request()()
    change(watched, {"contacts": {"url": FILTERED}})
    with pytest.raises(LeaseLostError):
        job.commit(page)
    watched.poll()
    assert watched.recorded() == []


# -- moved to another company ------------------------------------------------------------------------------------------


def test_moved_to_another_company_it_begins_afresh_there(watched: PolledInstance, elsewhere: SandboxServer) -> None:
    watched.change(3, "Chief")
    watched.poll()
    watched.recorded()
    site = watched.state.site
    elsewhere.store.change("contacts", 7, {"title": "Before"}, stamp="2020-01-01T00:00:00Z")
    change(watched, baseUrl=elsewhere.url, company="globex", public__key="PUB", private__key="PRIV")
    assert (known(watched), contacts_poll(watched).high_water_id) == (0, 50)
    assert watched.state.site != site
    watched.poll()
    assert watched.recorded() == []
    new = elsewhere.store.create("contacts")["id"]
    elsewhere.store.change("contacts", 3, {"title": "Owner"})
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3"), ("CREATED", str(new))]


def test_what_was_recorded_of_the_old_company_says_nothing_of_the_new_one(
    watched: PolledInstance, elsewhere: SandboxServer
) -> None:
    """Ids mean other rows there: none of them is repaired by an event of a row with its id.

    To a receiver both are contacts/3, so it hears of the former first.
    """
    watched.change(3, "Chief")
    watched.poll()
    change(watched, baseUrl=elsewhere.url, company="globex", public__key="PUB", private__key="PRIV")
    assert not Event.objects.exclude(resource_poll=None).exists()
    elsewhere.store.change("contacts", 3, {"title": "Chief"})
    watched.poll()
    first, second = Event.objects.order_by("pk")
    assert second.notification is not None
    assert second.notification.follows == first.notification


def test_a_move_that_is_refused_changes_nothing(watched: PolledInstance, elsewhere: SandboxServer) -> None:
    watched.change(3, "Chief")
    before = PollState.objects.values().get()
    with pytest.raises(ConnectWiseRefusedError):
        change(watched, baseUrl=elsewhere.url, company="globex", public__key="PUB", private__key="wrong")
    assert PollState.objects.values().get() == before
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]


# -- off and on --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["events", "instance", "resource"])
def test_off_and_on_goes_on_from_the_cursor(watched: PolledInstance, how: str) -> None:
    def switch(*, on: bool) -> None:
        if how == "events":
            change(watched, event__notification__enabled=on)
        elif how == "instance":
            watched.instance = set_enabled(watched.instance, enabled=on)
        else:
            change(watched, {"contacts": {"enabled": on}})

    switch(on=False)
    cursor = watched.state.cursor
    watched.store.clear_requests()
    watched.change(3, "Chief")
    new = watched.store.create("contacts")["id"]
    watched.store.clock_offset = 7200
    watched.poll()
    assert (watched.recorded(), watched.store.requests) == ([], [])
    switch(on=True)
    assert watched.state.cursor == cursor
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3"), ("CREATED", str(new))]


def test_on_again_from_now_records_what_changes_from_then_on(watched: PolledInstance) -> None:
    watched.change(5, "Changed before")
    watched.poll()
    watched.recorded()
    change(watched, event__notification__enabled=False)
    for record_id in (3, 5):
        watched.change(record_id, "While off")
    born = watched.store.create("contacts")["id"]
    watched.store.clock_offset = 1  # the second in which watching begins belongs to it
    change(watched, event__notification__enabled=True, from_now=True)
    assert (contacts_poll(watched).high_water_id, contacts_poll(watched).since) == (born, watched.state.cursor)
    watched.poll()
    assert watched.recorded() == []
    watched.change(5, "After")
    watched.change(born, "After")
    new = watched.store.create("contacts")["id"]
    watched.poll()
    assert watched.recorded() == [("UPDATED", "5"), ("UPDATED", str(born)), ("CREATED", str(new))]


def test_from_now_asks_nothing_about_a_resource_that_is_off(watched: PolledInstance) -> None:
    change(watched, {"contacts": {}, "incidents": {}})
    change(watched, {"contacts": {}, "incidents": {"enabled": False}}, event__notification__enabled=False)
    stopped = PollState.objects.get(resource_poll__name="incidents").cursor
    watched.store.clear_requests()
    watched.store.clock_offset = 5
    change(watched, event__notification__enabled=True, from_now=True)
    assert [request.path.rsplit("/", 1)[-1] for request in watched.store.requests] == ["contacts"]
    assert PollState.objects.get(resource_poll__name="incidents").cursor == stopped
    assert watched.state.cursor == contacts_poll(watched).since


def test_from_now_that_connectwise_refuses_leaves_events_off_and_the_cursor(watched: PolledInstance) -> None:
    change(watched, event__notification__enabled=False)
    before = (watched.state.cursor, known(watched))
    watched.store.fail_next(status=401, body={"code": "Unauthorized", "message": "No"})
    with pytest.raises(ConnectWiseRefusedError):
        change(watched, event__notification__enabled=True, from_now=True)
    assert (watched.state.cursor, known(watched)) == before
    assert not contacts_poll(watched).instance.events_enabled


def test_watching_that_never_began_begins_when_it_is_switched_on(world: PolledInstance) -> None:
    world.watch(event__notification__enabled=False)
    assert not PollState.objects.exists()
    world.change(3, "Before")
    world.store.clock_offset = 1
    change(world, event__notification__enabled=True)
    world.poll()
    assert world.recorded() == []
    world.change(3, "After")
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]


def test_a_change_of_something_else_disturbs_nothing(watched: PolledInstance) -> None:
    before = watched.state
    change(watched, event__poller__refresh_interval=30)
    assert (watched.state.cursor, contacts_poll(watched).high_water_id) == (before.cursor, 30)
    watched.change(3, "Chief")
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]
