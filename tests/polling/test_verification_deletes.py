"""The reconciliation report on deletes: what was recorded as deleted, or should have been, and was lost on purpose."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from instances.configuration.wire import config_of, read_configuration
from instances.models import ResourcePoll
from instances.provisioning import change_instance
from polling.delivery.delivery_loop import deliver_these
from polling.detection.changes import DIGEST_VERSION
from polling.models import Event, Notification, PollRun, PollState, RecordSnapshot, SnapshotBody
from polling.verification.repair import repair
from polling.verification.report import Finding, verify
from tests.polling.test_verification import lose
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver
from tests.support.sweeps import delete, sweep, watch_companies, watch_deletes


def look(world: PolledInstance) -> Finding:
    return verify(ResourcePoll.objects.get(instance=world.instance), timezone.now())


@pytest.fixture
def deletes(world: PolledInstance, receiver: Receiver) -> PolledInstance:
    """As `history`, with deletes asked for: 2 and 31 were deleted, recorded and delivered."""
    watch_deletes(world, callback_url=receiver.url)
    for record_id in range(1, 7):
        world.change(record_id, "Chief")
    world.store.create("contacts")
    world.poll()
    delete(world, 2, 31)
    sweep(world)
    world.store.clock_offset = 5
    world.poll()
    deliver_these([world.instance.pk])
    assert world.recorded()[-2:] == [("DELETED", "2"), ("DELETED", "31")]
    receiver.got.clear()
    assert look(world).whole
    return world


@pytest.mark.parametrize("kinds", [["DELETED"], ["CREATED", "UPDATED", "DELETED"]])
def test_a_lost_delete_is_found_and_recorded_again(
    deletes: PolledInstance, receiver: Receiver, kinds: list[str]
) -> None:
    lose(Event.objects.filter(record_id__in=[2, 31], kind__in=kinds))
    found = look(deletes)
    assert (found.missed, found.stale, found.deleted, found.whole) == ((), (), (2, 31), False)
    assert repair(found).events == 2
    deliver_these([deletes.instance.pk])
    assert sorted(receiver.events()) == [("DELETED", "2"), ("DELETED", "31")]
    assert look(deletes).whole
    deletes.recorded()
    sweep(deletes)
    deletes.poll()
    assert deletes.recorded() == []


def test_a_delete_that_was_recorded_again_carries_the_last_record_of_the_log(deletes: PolledInstance) -> None:
    lose(Event.objects.filter(record_id=2, kind="DELETED"))
    repair(look(deletes))
    assert json.loads(Event.objects.get(record_id=2, kind="DELETED").record)["title"] == "Chief"


def test_a_row_that_no_sweep_can_miss_is_found_by_the_log(deletes: PolledInstance, receiver: Receiver) -> None:
    RecordSnapshot.objects.filter(record_id=3).delete()
    delete(deletes, 3)
    sweep(deletes)
    assert deletes.recorded() == []
    found = look(deletes)
    assert found.deleted == (3,)
    repair(found)
    deliver_these([deletes.instance.pk])
    assert receiver.events() == [("DELETED", "3")]
    assert look(deletes).whole


def test_a_row_deleted_since_the_last_sweep_is_coming(deletes: PolledInstance) -> None:
    delete(deletes, 4, 9)
    found = look(deletes)
    assert (found.deleted, found.coming, found.whole) == ((), 2, True)


def test_what_was_recorded_before_watching_began_anew_is_not_missed(deletes: PolledInstance) -> None:
    stored = config_of(deletes.instance)
    off = read_configuration({"event.notification.enabled": False}, base=stored, stored=stored)
    deletes.instance = change_instance(deletes.instance, config=off)
    delete(deletes, 3)
    deletes.store.clock_offset = 20
    deletes.instance = change_instance(deletes.instance, config=stored, from_now=stored.polls)
    deletes.poll()
    sweep(deletes)
    assert not RecordSnapshot.objects.filter(record_id=3).exists()
    found = look(deletes)
    assert (found.deleted, found.whole) == ((), True)


def test_deletes_held_back_are_neither_lost_nor_coming(deletes: PolledInstance) -> None:
    delete(deletes, *range(5, 31))
    sweep(deletes)
    found = look(deletes)
    assert (found.deleted, found.coming, found.held) == ((), 0, 26)


def test_a_row_that_is_back_since_the_last_sweep_is_coming(deletes: PolledInstance) -> None:
    deletes.store.hide("contacts", [5])
    sweep(deletes)
    deletes.store.show("contacts")
    found = look(deletes)
    assert (found.missed, found.stale, found.deleted, found.coming) == ((), (), (), 1)


def test_a_delete_older_than_the_retention_is_not_missed(deletes: PolledInstance) -> None:
    lose(Event.objects.all())
    long_after = timezone.now() + timedelta(days=31)
    assert verify(deletes.state.resource_poll, long_after).deleted == ()


def test_a_row_that_is_back_before_the_repair_is_recorded_as_living(deletes: PolledInstance) -> None:
    deletes.store.hide("contacts", [4])
    sweep(deletes)
    lose(Event.objects.filter(record_id=4, kind="DELETED"))
    deletes.recorded()
    found = look(deletes)
    deletes.store.show("contacts")
    repair(found)
    assert deletes.recorded() == [("UPDATED", "4")]
    assert RecordSnapshot.objects.get(record_id=4).digest[0] == DIGEST_VERSION
    sweep(deletes)
    deletes.poll()
    assert deletes.recorded() == []


def test_every_table_may_lose_rows(deletes: PolledInstance, receiver: Receiver) -> None:
    """Events, known rows, notifications, known texts and runs: what is repaired is the truth, each record's once."""
    lose(Event.objects.filter(record_id__in=[1, 2]))
    RecordSnapshot.objects.filter(record_id__in=[1, 3, 31]).delete()
    SnapshotBody.objects.all().delete()
    PollRun.objects.all().delete()
    Notification.objects.filter(events__record_id=6).delete()
    for _ in range(2):  # what a notification carried besides is sent again too, under the same ids
        repair(look(deletes))
        deliver_these([deletes.instance.pk])
    assert look(deletes).whole
    last = dict(Event.objects.order_by("pk").values_list("record_id", "kind"))
    assert last == {1: "UPDATED", 2: "DELETED", 31: "DELETED"} | dict.fromkeys(range(3, 7), "UPDATED")
    assert Event.objects.count() == len({*Event.objects.values_list("record_id", "kind")})


@pytest.fixture
def companies(world: PolledInstance, receiver: Receiver) -> PolledInstance:
    """Companies watched with their deleted flag: 1 was flagged and recorded, a new one was flagged before that."""
    watch_companies(world, callback_url=receiver.url)
    world.store.change("organizations", 1, {"deletedFlag": True})
    new = world.store.create("organizations")
    world.store.change("organizations", new["id"], {"deletedFlag": True})
    world.poll()
    world.store.clock_offset = 5
    world.poll()
    deliver_these([world.instance.pk])
    assert world.recorded() == [("DELETED", "1")]
    receiver.got.clear()
    return world


def test_flagged_companies_are_not_missed(companies: PolledInstance) -> None:
    assert look(companies).whole


def test_the_lost_delete_of_a_flagged_company_is_recorded_again_once(
    companies: PolledInstance, receiver: Receiver
) -> None:
    lose(Event.objects.all())
    found = look(companies)
    assert found.missed == (1,)
    repair(found)
    deliver_these([companies.instance.pk])
    assert receiver.events() == [("DELETED", "1")]
    assert look(companies).whole


def test_a_flagged_company_whose_known_row_is_lost_is_recorded_no_second_time(companies: PolledInstance) -> None:
    RecordSnapshot.objects.filter(record_id=1).delete()
    found = look(companies)
    assert found.missed == (1,)
    repair(found)
    companies.store.clock_offset = 10
    companies.poll()
    assert companies.recorded() == []
    assert look(companies).whole


def test_a_company_that_lost_its_flag_unseen_is_stale(companies: PolledInstance) -> None:
    companies.store.change("organizations", 1, {"deletedFlag": False})
    companies.store.clock_offset = 1000
    PollState.objects.update(cursor=timezone.now() + timedelta(seconds=900))
    found = look(companies)
    assert found.stale == (1,)
    repair(found)
    assert companies.recorded() == [("UPDATED", "1")]


def test_our_clock_being_behind_makes_no_delete_look_lost(world: PolledInstance) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
        world.store.clock_offset = 3600
        watch_deletes(world)
        delete(world, 4)
        sweep(world)
        assert world.recorded() == [("DELETED", "4")]
        assert look(world).deleted == ()
