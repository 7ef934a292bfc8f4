"""Records that are no clean JSON: the others of their page are recorded, they are noted, and nothing stalls."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from polling.detection.deletes.sweeps import EVER
from polling.detection.poll_loop import poll_due
from polling.detection.polls.backfill import request_backfill
from polling.detection.polls.runs import MOST_EXTRA_REQUESTS, RESTS
from polling.models import Event, Health, PollRun, PollState, RecordSnapshot, Repair, Verification
from polling.verification.repair import repair
from polling.verification.repair_job import start_repair
from polling.verification.report import finding_of, start_verification, verify
from tests.garbled import WAYS
from tests.support.polled_instance import PolledInstance
from tests.support.sweeps import delete, sweep, watch_deletes

LEFT_OUT = {
    "NaN": b"NaN",
    "900 brackets with half a surrogate pair": b"[" * 900 + b'"\\ud83d"' + b"]" * 900,
    "an unknown escape": b'"\\x41"',
}
READ_ALL_THE_SAME = {"a raw control character": b'"ODD\nONE"', "a byte that is no UTF-8": b'"caf\xe9"'}


def break_record(world: PolledInstance, record_id: int, *others: int, value: bytes) -> None:
    """Have the next page hold this record, its nickname broken, and the others."""
    records = [world.store.get("contacts", number) or {} for number in sorted((record_id, *others))]
    texts = [
        json.dumps(record | {"nickName": "ODD" if record["id"] == record_id else "x"}).encode().replace(b'"ODD"', value)
        for record in records
    ]
    world.store.fail_next(1, status=200, body=b"[" + b",".join(texts) + b"]", path="/company/contacts")


def run_of_a_poll(world: PolledInstance) -> PollRun:
    world.poll()
    return PollRun.objects.latest("pk")


@pytest.mark.parametrize("value", LEFT_OUT)
@pytest.mark.parametrize(("broken", "others"), [(3, [4, 5]), (4, [3, 5]), (5, [3, 4]), (4, [])])
def test_the_others_of_its_page_are_recorded_and_it_is_noted(
    watched: PolledInstance, value: str, broken: int, others: list[int]
) -> None:
    for number in (broken, *others):
        watched.change(number, "Chief")
    break_record(watched, broken, *others, value=LEFT_OUT[value])

    run = run_of_a_poll(watched)

    assert watched.recorded() == [("UPDATED", str(number)) for number in others]
    assert (run.status, run.skipped) == (PollRun.Status.COMPLETE, 1)
    assert f"record {broken} can't be read" in run.notes
    assert watched.state.health == Health.HEALTHY


@pytest.mark.parametrize("value", READ_ALL_THE_SAME)
def test_what_can_be_read_all_the_same_is_recorded_and_noted(watched: PolledInstance, value: str) -> None:
    watched.change(4, "Chief")
    break_record(watched, 4, value=READ_ALL_THE_SAME[value])

    run = run_of_a_poll(watched)

    assert watched.recorded() == [("UPDATED", "4")]
    assert "record 4 is no clean JSON" in run.notes
    assert json.loads(Event.objects.get().record)["id"] == 4


@pytest.mark.parametrize(("status", "body"), [(204, b""), (200, b"null")])
def test_an_empty_page_by_another_name_ends_the_run(watched: PolledInstance, status: int, body: bytes) -> None:
    watched.store.fail_next(1, status=status, body=body, path="/company/contacts")

    run = run_of_a_poll(watched)

    assert (run.status, run.error, watched.recorded()) == (PollRun.Status.COMPLETE, "", [])


def test_a_record_that_cannot_be_read_by_its_id_is_no_delete(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, 5, 7)
    world.store.fail_next(1, status=200, body=b'{"id": 7, "nickName": NaN}', path="/company/contacts/7")

    sweep(world)

    assert world.recorded() == [("DELETED", "5")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("others", [[], [3, 5]])
def test_a_record_that_makes_its_page_unreadable_holds_up_no_other(
    watched: PolledInstance, way: str, others: list[int]
) -> None:
    for number in (4, *others):
        watched.change(number, "Chief")
    watched.store.garble("contacts", [4], WAYS[way])

    run = run_of_a_poll(watched)

    assert watched.recorded() == [("UPDATED", str(number)) for number in others]
    assert (run.status, run.skipped, watched.state.health) == (PollRun.Status.COMPLETE, 1, Health.HEALTHY)
    assert "record 4 can't be read" in run.notes or "a record without an id can't be read" in run.notes
    watched.store.garble("contacts", [4], None)
    watched.poll()
    assert watched.recorded() == [("UPDATED", "4")]  # it is still within the look-back


def test_so_many_that_a_poll_had_too_many_requests_are_left_to_the_next_polls(watched: PolledInstance) -> None:
    everyone = watched.store.ids("contacts")
    for number in everyone:
        watched.change(number, "Chief")
    watched.store.garble("contacts", everyone[:-1], WAYS["a quote within a text"])
    cursor, polls = watched.state.cursor, 0

    while watched.state.cursor == cursor:
        watched.store.clock_offset += 1
        watched.store.clear_requests()
        polls += 1
        run = run_of_a_poll(watched)
        assert len(watched.store.requests) <= MOST_EXTRA_REQUESTS + 2 * len(everyone)
        state = watched.state
        assert (state.health, state.lease_token) == (Health.HEALTHY, None)
        if run.status == PollRun.Status.OPEN:
            assert RESTS in run.notes
            assert state.next_poll_at is not None
            assert state.next_poll_at > timezone.now()

    assert polls > 1
    assert watched.recorded() == [("UPDATED", str(everyone[-1]))]
    assert (run.status, run.skipped) == (PollRun.Status.COMPLETE, len(everyone) - 1)
    watched.change(3, "Owner")  # a change meanwhile, or later, is in the next window
    watched.store.garble("contacts", everyone, None)
    watched.poll()
    assert ("UPDATED", "3") in watched.recorded()


def test_a_backfill_that_a_person_asked_for_does_not_rest(watched: PolledInstance) -> None:
    everyone = watched.store.ids("contacts")
    watched.store.garble("contacts", everyone, WAYS["a quote within a text"])
    request_backfill(PollState.objects.filter(pk=watched.state.pk), EVER)

    watched.poll()

    run = PollRun.objects.get(kind=PollRun.Kind.BACKFILL)
    assert (run.status, run.skipped) == (PollRun.Status.COMPLETE, len(everyone))


def test_a_sweep_whose_last_row_cannot_be_read_is_not_held_up(world: PolledInstance) -> None:
    watch_deletes(world)
    last = world.store.ids("contacts")[-1]
    delete(world, 5)
    world.store.garble("contacts", [last, 7], WAYS["NaN"])

    sweep(world)

    assert world.recorded() == [("DELETED", "5")]
    assert world.state.sweep_error == ""


@pytest.mark.parametrize("way", ["a quote within a text", "NaN"])
def test_of_rows_that_are_back_those_behind_a_broken_one_are_read_as_well(world: PolledInstance, way: str) -> None:
    watch_deletes(world)
    world.store.hide("contacts", [5, 6, 7])
    sweep(world)
    assert len(world.recorded()) == 3
    world.store.garble("contacts", [6], WAYS[way])
    world.store.show("contacts")

    run = sweep(world)

    assert world.recorded() == [("UPDATED", "5"), ("UPDATED", "7")]
    assert run.skipped == 1
    assert "record 6 can't be read" in run.notes
    world.store.garble("contacts", [6], None)
    sweep(world)
    assert world.recorded() == [("UPDATED", "6")]


@pytest.mark.parametrize("way", ["a quote within a text", "NaN"])
@pytest.mark.parametrize("by_workers", [True, False])
def test_of_missing_rows_those_behind_a_broken_one_are_repaired_as_well(
    watched: PolledInstance, way: str, *, by_workers: bool
) -> None:
    for number in (3, 4, 5):
        watched.change(number, "Chief")
    watched.poll()
    watched.recorded()
    watched.store.clock_offset = 5
    watched.poll()
    Event.objects.all().delete()
    RecordSnapshot.objects.all().delete()
    poll = watched.state.resource_poll
    if by_workers:
        start_verification(poll, timezone.now())
        poll_due(deadline=float("inf"))
        assert finding_of(Verification.objects.get()).missed == (3, 4, 5)  # type: ignore[union-attr]  # it has ended
        watched.store.garble("contacts", [4], WAYS[way])
        repair_by_workers = start_repair(poll, timezone.now())
        poll_due(deadline=float("inf"))
        repair_by_workers.refresh_from_db()
        assert (repair_by_workers.status, repair_by_workers.done) == (Repair.Status.COMPLETE, 3)
    else:
        found = verify(poll, timezone.now())
        assert found.missed == (3, 4, 5)
        watched.store.garble("contacts", [4], WAYS[way])
        repair(found)

    assert watched.recorded() == [("UPDATED", "3"), ("UPDATED", "5")]
    run = PollRun.objects.get(kind=PollRun.Kind.REPAIR)
    assert (run.status, run.skipped) == (PollRun.Status.COMPLETE, 1)


def test_a_site_that_caps_its_pages_has_every_missing_row_read(watched: PolledInstance) -> None:
    for number in (3, 4, 5):
        watched.change(number, "Chief")
    watched.poll()
    watched.recorded()
    watched.store.clock_offset = 5
    watched.poll()
    Event.objects.all().delete()
    RecordSnapshot.objects.all().delete()
    watched.store.largest_page = 2

    found = verify(watched.state.resource_poll, timezone.now())
    repair(found)

    assert found.missed == (3, 4, 5)
    assert watched.recorded() == [("UPDATED", "3"), ("UPDATED", "4"), ("UPDATED", "5")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("alone", [True, False])
def test_verify_names_rows_that_can_not_be_read_and_takes_none_for_deleted(
    world: PolledInstance, way: str, *, alone: bool
) -> None:
    watch_deletes(world)
    for number in (4, 9):
        world.change(number, "Chief")
    world.poll()
    world.store.garble("contacts", [4] if alone else [4, 6], WAYS[way])
    world.store.clock_offset = 3
    world.change(4, "Owner")  # which no poll can see
    world.store.clock_offset = 6
    world.poll()

    found = verify(world.state.resource_poll, timezone.now())

    assert (found.undated, found.missed, found.stale, found.deleted) == ((4,), (), (), ())
    assert not found.whole
    assert found.source == len(world.store.ids("contacts"))
    world.store.garble("contacts", [4, 6], None)
    assert verify(world.state.resource_poll, timezone.now()).stale == (4,)


@pytest.mark.parametrize("way", WAYS)
def test_watching_begins_where_the_newest_record_can_not_be_read(world: PolledInstance, way: str) -> None:
    newest = world.store.ids("contacts")[-1]
    world.store.garble("contacts", [newest], WAYS[way])

    world.watch()

    poll = world.state.resource_poll
    assert (poll.high_water_id, poll.missing_fields) == (newest, [])
    world.store.create("contacts")
    world.poll()
    assert world.recorded() == [("CREATED", str(newest + 1))]
