"""The reconciliation report: it finds what was lost on purpose and nothing else, and repairs exactly that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from polling.delivery.delivery_loop import deliver_these
from polling.detection.jobs import LEASE
from polling.models import DeliveryState, Event, Notification, PollRun, PollState, RecordSnapshot
from polling.verification.repair import BusyError, repair
from polling.verification.report import Finding, verify
from polling.workers.leases import claim
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver, start_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with start_receiver() as running:
        yield running


@pytest.fixture
def history(world: PolledInstance, receiver: Receiver) -> PolledInstance:
    """Contacts 1 to 6 changed, 31 and 32 created, all recorded and delivered; ConnectWise's clock has gone on since."""
    world.watch(callback_url=receiver.url)
    for record_id in range(1, 7):
        world.change(record_id, "Chief")
    world.store.create("contacts")
    world.store.create("contacts")
    world.poll()
    world.store.clock_offset = 5
    world.poll()
    deliver_these([world.instance.pk])
    assert len(world.recorded()) == 8
    receiver.got.clear()
    return world


def look(world: PolledInstance) -> Finding:
    return verify(world.state.resource_poll, timezone.now())


def test_a_whole_history_is_whole(history: PolledInstance) -> None:
    found = look(history)
    assert found.whole
    assert (found.source, found.known, found.coming, found.repeated, found.undelivered) == (32, 8, 0, 0, 0)


def test_rows_lost_on_purpose_are_found_and_repaired_exactly(history: PolledInstance, receiver: Receiver) -> None:
    lose(Event.objects.filter(record_id__in=[2, 31]))
    RecordSnapshot.objects.filter(record_id__in=[3, 31]).delete()
    RecordSnapshot.objects.filter(record_id=4).update(stamp=1, digest=b"\x01" * 16)
    found = look(history)
    assert (found.missed, found.stale) == ((2, 3, 31), (4,))
    repaired = repair(found)
    deliver_these([history.instance.pk])
    # The events of 2 and 31 were lost, 4 was not recorded as it is now; of 3 the log says that it was.
    assert sorted(receiver.events()) == [("CREATED", "31"), ("UPDATED", "2"), ("UPDATED", "4")]
    assert (repaired.rows, repaired.events) == (4, 3)
    assert look(history).whole
    history.recorded()
    history.poll()
    assert history.recorded() == []


def test_a_repair_is_a_run_that_people_can_see(history: PolledInstance) -> None:
    lose(Event.objects.filter(record_id=2))
    repair(look(history))
    run = PollRun.objects.get(kind=PollRun.Kind.REPAIR)
    assert (run.status, run.records, run.events) == (PollRun.Status.COMPLETE, 1, 1)
    assert PollState.objects.get(pk=history.state.pk).lease_token is None


def test_only_the_rows_in_question_are_read_again(history: PolledInstance) -> None:
    lose(Event.objects.filter(record_id__in=[2, 5]))
    found = look(history)
    history.store.clear_requests()
    repair(found)
    (request,) = history.store.requests
    assert request.query["conditions"].endswith("and id in (2,5)")


def test_what_the_filter_leaves_out_is_not_missed(world: PolledInstance) -> None:
    world.watch(poll={"url": "/hubs/crm/contacts?where=lastUpdated>'${date}' AND title='Chief'"})
    world.change(3, "Chief")
    world.change(4, "Other")
    world.poll()
    world.store.clock_offset = 5
    world.poll()
    world.change(3, "Other")
    world.store.clock_offset = 10
    world.poll()
    assert look(world).missed == look(world).stale == ()


def test_what_was_written_since_the_last_good_poll_is_coming_and_not_missed(history: PolledInstance) -> None:
    history.change(7, "Chief")
    history.change(1, "Boss")
    history.store.create("contacts")
    found = look(history)
    assert (found.missed, found.stale, found.coming) == ((), (), 3)


def test_events_older_than_the_retention_are_not_missed(history: PolledInstance) -> None:
    lose(Event.objects.all())
    long_after = timezone.now() + timedelta(days=31)
    assert verify(history.state.resource_poll, long_after).missed == ()


def test_an_event_recorded_twice_is_counted(history: PolledInstance) -> None:
    first = Event.objects.get(record_id=2)
    first.pk = Event.objects.latest("pk").pk + 1
    first.save(force_insert=True)
    found = look(history)
    assert found.repeated == 1
    assert found.whole


def test_two_states_of_one_second_are_no_repeat(history: PolledInstance) -> None:
    stamp = history.store.change("contacts", 9, {"title": "A"})["_info"]["lastUpdated"]
    history.poll()
    history.change(9, "B", stamp=stamp)
    history.poll()
    history.change(9, "A", stamp=stamp)
    history.poll()
    assert len(history.recorded()) == 3
    assert look(history).repeated == 0


@pytest.mark.parametrize("state", [Notification.State.FAILED, Notification.State.EXHAUSTED])
def test_what_was_given_up_is_undelivered_and_sent_again(
    history: PolledInstance, receiver: Receiver, state: str
) -> None:
    Notification.objects.update(state=state)
    if state == Notification.State.EXHAUSTED:
        DeliveryState.objects.update(paused_at=timezone.now())
    found = look(history)
    assert (found.undelivered, found.whole) == (8, False)
    assert repair(found).resent == 8
    deliver_these([history.instance.pk])
    assert len(receiver.events()) == 8
    assert look(history).whole


def test_events_whose_notification_is_lost_get_another(history: PolledInstance, receiver: Receiver) -> None:
    Notification.objects.all().delete()
    found = look(history)
    assert found.undelivered == 8
    repair(found)
    deliver_these([history.instance.pk])
    assert len(receiver.events()) == 8
    assert look(history).whole


def test_a_repair_waits_for_the_lease(history: PolledInstance) -> None:
    lose(Event.objects.filter(record_id=2))
    found = look(history)
    claim(PollState.objects.all(), [history.state.pk], now=timezone.now(), length=LEASE)
    with pytest.raises(BusyError):
        repair(found, patience=timedelta(seconds=0.3))


def test_the_command_finds_repairs_and_delivers(history: PolledInstance, receiver: Receiver) -> None:
    lose(Event.objects.filter(record_id=2))
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("verify", history.instance.pk, "--json", stdout=out)
    (found,) = json.loads(out.getvalue())
    assert found["missed"] == [2]
    out = StringIO()
    call_command("verify", history.instance.pk, "--repair", "--resource", "contacts", stdout=out, verbosity=0)
    assert receiver.events() == [("UPDATED", "2")]
    assert "contacts, missed: 2" in out.getvalue()
    call_command("verify", history.instance.pk, stdout=StringIO(), verbosity=0)


def test_the_command_says_why_it_can_not_look(history: PolledInstance) -> None:
    history.store.set_keys("PUB", "another")
    with pytest.raises(CommandError, match="Incorrect public/private key"):
        call_command("verify", history.instance.pk, verbosity=0)
    with pytest.raises(CommandError, match="Nothing is watched there"):
        call_command("verify", history.instance.pk, "--resource", "tickets", verbosity=0)


def lose(events: Any) -> None:
    """Delete events as if they had never been, with their notifications once these carry nothing else."""
    events.delete()
    Notification.objects.filter(events=None).delete()
