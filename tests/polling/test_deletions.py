"""Sweeps for deletes: what is recorded as deleted, what never is, and how a sweep goes on after whatever befell it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.utils import timezone

from cwconnect.sandbox.store import SeenRequest
from polling.detection.deletes.deletions import is_mass_delete
from polling.detection.deletes.missing_records import Status
from polling.detection.deletes.sweeps import SweepJob
from polling.detection.poll_loop import POLLS_AND_SWEEPS, PollLoop
from polling.models import Event, Health, MissingRecord, PollRun, PollState, RecordSnapshot, SnapshotBody
from polling.workers.due import poll_due_at
from polling.workers.leases import LeaseLostError
from tests.support.polled_instance import PolledInstance, claimed_state
from tests.support.sweeps import delete, known, status, sweep, watch_companies, watch_deletes


def test_a_delete_is_recorded_once_with_the_last_record_known(world: PolledInstance) -> None:
    watch_deletes(world)
    world.change(5, "Chief")
    world.poll()
    delete(world, 5, 7)
    assert world.recorded() == [("UPDATED", "5")]
    run = sweep(world)
    assert world.recorded() == [("DELETED", "5"), ("DELETED", "7")]
    read, never_read = Event.objects.filter(kind="DELETED").order_by("pk")
    assert orjson.loads(read.record)["title"] == "Chief"
    assert never_read.record == '{"id":7}'
    assert read.occurred_at == run.listed_at
    sweep(world)
    world.poll()
    assert world.recorded() == []


def test_a_sweep_costs_a_request_for_each_page_and_each_missing_record_and_one_for_the_canary(
    world: PolledInstance,
) -> None:
    watch_deletes(world)
    delete(world, 3, 9)
    run = sweep(world)
    assert len(world.store.requests) == run.page + 2 + 1
    listed = world.store.requests[: run.page]
    assert {request.query.get("fields") for request in listed} == {"id"}
    assert not any("conditions" in request.query for request in listed)


def test_the_first_sweep_is_the_baseline_and_records_nothing(world: PolledInstance) -> None:
    delete(world, 4)
    watch_deletes(world)
    assert world.state.baseline_at is not None
    assert RecordSnapshot.objects.count() == 29


def test_what_the_baseline_met_is_recorded_as_changed_from_since_on(world: PolledInstance) -> None:
    watch_deletes(world)
    world.change(5, "Chief")
    world.poll()
    assert world.recorded() == [("UPDATED", "5")]


def test_what_the_baseline_met_is_remembered_in_silence_when_its_stamp_is_older(world: PolledInstance) -> None:
    watch_deletes(world)
    cursor = world.state.cursor
    assert cursor is not None
    world.change(5, "Chief", stamp=(cursor - timedelta(seconds=200)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    world.poll()
    assert world.recorded() == []
    world.change(5, "Boss")
    world.poll()
    assert world.recorded() == [("UPDATED", "5")]


def test_a_new_row_that_a_sweep_meets_first_is_still_recorded_as_created(world: PolledInstance) -> None:
    watch_deletes(world)
    made = world.store.create("contacts")["id"]
    sweep(world)
    assert known(made) is None
    world.poll()
    assert world.recorded() == [("CREATED", str(made))]


def test_a_row_that_came_and_went_between_two_polls_is_not_recorded(world: PolledInstance) -> None:
    watch_deletes(world)
    made = world.store.create("contacts")["id"]
    sweep(world)
    delete(world, made)
    sweep(world)
    world.poll()
    assert world.recorded() == []


def test_a_row_recorded_as_deleted_is_a_tombstone_without_text(world: PolledInstance) -> None:
    watch_deletes(world)
    made = world.store.create("contacts")["id"]
    world.poll()
    assert SnapshotBody.objects.filter(record_id=made).exists()
    delete(world, made)
    sweep(world)
    row = known(made)
    assert row is not None
    assert row.gone
    assert not SnapshotBody.objects.filter(record_id=made).exists()


def test_a_row_deleted_and_seen_again_is_recorded_as_updated_by_the_sweep(world: PolledInstance) -> None:
    watch_deletes(world)
    world.store.hide("contacts", [5])
    sweep(world)
    assert world.recorded() == [("DELETED", "5")]
    world.store.show("contacts")
    sweep(world)
    sweep(world)
    assert world.recorded() == [("UPDATED", "5")]
    assert status(world) == {}


def test_a_row_deleted_and_changed_later_is_recorded_as_updated_by_the_poll_alone(world: PolledInstance) -> None:
    watch_deletes(world)
    world.store.hide("contacts", [5])
    sweep(world)
    world.store.show("contacts")
    world.change(5, "Chief")
    world.poll()
    sweep(world)
    assert world.recorded() == [("DELETED", "5"), ("UPDATED", "5")]


def test_a_deleted_row_keeps_the_object_id_that_it_was_known_by(world: PolledInstance) -> None:
    watch_deletes(world, poll={"idField": "defaultPhoneNbr"})
    world.store.change("contacts", 5, {"defaultPhoneNbr": "555"})
    world.poll()
    SnapshotBody.objects.all().delete()
    delete(world, 5, 6)
    sweep(world)
    assert world.recorded() == [("UPDATED", "555"), ("DELETED", "555"), ("DELETED", "6")]


def test_a_lost_role_is_never_recorded_as_deletes(world: PolledInstance) -> None:
    watch_deletes(world)
    world.store.forbid("contacts")
    sweep(world)
    assert world.state.health == Health.UNAUTHORIZED
    world.store.allow("contacts")
    world.poll()
    sweep(world)
    assert (world.recorded(), world.state.health) == ([], Health.HEALTHY)


def test_a_role_lost_between_the_list_and_the_questions_is_never_recorded_as_deletes(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, 5)

    def lose(request: Any) -> None:
        if request.path.endswith("/contacts/5"):
            world.store.hide("contacts", range(1, 31))

    stop = world.store.on_request(lose)
    run = sweep(world)
    stop()
    assert run.status == PollRun.Status.FAILED
    assert (world.recorded(), world.state.sweep_failures) == ([], 1)
    assert "the sweep begins anew" in world.state.sweep_error
    world.store.show("contacts")
    sweep(world)
    assert world.recorded() == [("DELETED", "5")]
    assert (world.state.sweep_failures, world.state.sweep_error) == (0, "")


def test_a_row_that_the_list_left_out_but_that_lives_is_not_recorded(world: PolledInstance) -> None:
    watch_deletes(world)
    world.store.hide("contacts", [5, 6])

    def show(request: Any) -> None:
        if "/contacts/" in request.path:
            world.store.show("contacts")

    stop = world.store.on_request(show)
    sweep(world)
    stop()
    assert (world.recorded(), status(world)) == ([], {})


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429}, {"status": 404}, {"broken_json": True}])
@pytest.mark.parametrize("skip", [0, 1, 2, 3, 4])
def test_a_failure_anywhere_loses_and_repeats_nothing(world: PolledInstance, skip: int, fault: dict[str, Any]) -> None:
    watch_deletes(world)
    world.store.largest_page = 20
    delete(world, 5, 7)
    world.store.fail_next(1, skip=skip, **fault)
    sweep(world)
    assert (world.recorded(), world.state.sweep_failures) == ([], 1)
    assert world.state.health == Health.HEALTHY
    sweep(world)
    assert world.recorded() == [("DELETED", "5"), ("DELETED", "7")]


def test_a_sweep_that_died_between_pages_goes_on_from_the_page_committed(world: PolledInstance) -> None:
    watch_deletes(world)
    world.store.largest_page = 20
    delete(world, 5)
    job = _claimed(world)
    assert job.commit(job.request()())
    PollState.objects.update(lease_until=world.state.cursor)
    world.store.clear_requests()
    run = sweep(world)
    assert world.recorded() == [("DELETED", "5")]
    assert world.store.requests[0].query["pageId"] == "21"
    assert run.page == 2


def test_a_sweep_overtaken_writes_nothing(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, 5)
    frozen = _claimed(world)
    page = frozen.request()()
    PollState.objects.update(lease_until=world.state.cursor)
    sweep(world)
    assert world.recorded() == [("DELETED", "5")]
    with pytest.raises(LeaseLostError):
        frozen.commit(page)
    with pytest.raises(LeaseLostError):
        frozen.fail(ValueError())
    assert world.state.sweep_failures == 0


def test_a_poll_that_is_due_goes_before_the_next_page(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, 5)
    world.change(6, "Chief")
    job = _claimed(world)
    PollState.objects.update(next_poll_at=timezone.now())
    assert not job.commit(job.request()())
    assert world.state.lease_token is None
    PollLoop(PollState.objects.all(), deadline=float("inf"), kinds=POLLS_AND_SWEEPS).run()
    assert world.recorded() == [("UPDATED", "6"), ("DELETED", "5")]


def test_a_due_sweep_wakes_a_worker_unless_the_login_is_refused(world: PolledInstance) -> None:
    watch_deletes(world)
    now = timezone.now()
    PollState.objects.update(next_poll_at=None, next_sweep_at=now)
    assert poll_due_at(now) == now
    PollState.objects.update(health=Health.UNAUTHORIZED)
    assert poll_due_at(now) is None


def test_the_next_sweep_is_set_by_its_own_schedule(world: PolledInstance) -> None:
    watch_deletes(world, poll={"deleteSweepMinutes": 90})
    run = sweep(world)
    assert world.state.next_sweep_at == run.started_at + timedelta(minutes=90)


def test_without_deletes_asked_for_nothing_is_swept(watched: PolledInstance) -> None:
    assert watched.state.next_sweep_at is None


def test_a_deleted_company_is_recorded_once_by_the_poll(world: PolledInstance) -> None:
    watch_companies(world)
    world.store.change("organizations", 2, {"deletedFlag": True})
    world.poll()
    world.poll()
    world.store.touch("organizations", 2)
    world.poll()
    sweep(world)
    assert world.recorded() == [("DELETED", "2")]
    world.store.change("organizations", 2, {"deletedFlag": False})
    world.poll()
    assert world.recorded() == [("UPDATED", "2")]


def test_a_company_made_and_deleted_between_two_polls_is_recorded_when_it_lives_again(world: PolledInstance) -> None:
    watch_companies(world)
    made = world.store.create("organizations", {"deletedFlag": True})["id"]
    world.poll()
    assert world.recorded() == []
    world.store.change("organizations", made, {"deletedFlag": False})
    world.poll()
    assert world.recorded() == [("CREATED", str(made))]


def test_the_flag_means_nothing_where_deletes_are_not_asked_for(world: PolledInstance) -> None:
    watch_companies(world, detectDeletes=False)
    world.store.change("organizations", 2, {"deletedFlag": True})
    world.poll()
    assert world.recorded() == [("UPDATED", "2")]


@pytest.mark.parametrize(
    ("gone", "known_rows", "mass"),
    [(20, 20, False), (21, 209, True), (21, 210, False), (22, 219, True), (10_000, 100_000, False), (0, 0, False)],
)
def test_more_than_a_tenth_and_more_than_twenty_is_a_mass_delete(gone: int, known_rows: int, mass: bool) -> None:
    assert is_mass_delete(gone, known_rows) == mass


def test_candidates_of_a_sweep_given_up_are_forgotten(world: PolledInstance) -> None:
    watch_deletes(world)
    MissingRecord.objects.create(resource_poll_id=world.state.pk, record_id=6, status=Status.MISSED)
    sweep(world)
    assert (world.recorded(), status(world)) == ([], {})


def _claimed(world: PolledInstance) -> SweepJob:
    PollState.objects.update(next_sweep_at=timezone.now())
    return SweepJob(*claimed_state(world))


@pytest.mark.parametrize(("status", "words"), [(403, "security permission"), (400, "invalid"), (405, "Fault on order")])
def test_a_refusal_of_one_id_concerns_that_record_alone(world: PolledInstance, status: int, words: str) -> None:
    watch_deletes(world)
    delete(world, 5, 7, 9)
    world.store.fail_next(1, status=status, path="/company/contacts/7")

    run = sweep(world)

    assert world.recorded() == [("DELETED", "5"), ("DELETED", "9")]
    assert (run.status, run.error) == (PollRun.Status.COMPLETE, "")
    assert "Record 7 may be gone" in run.notes
    assert words in run.notes
    assert (world.state.health, world.state.sweep_failures) == (Health.HEALTHY, 0)
    sweep(world)
    assert world.recorded() == [("DELETED", "7")]


@pytest.mark.parametrize("status", [500, 404])  # a 404 that does not say which record is missing
def test_a_fault_at_one_id_is_tried_again_before_it_counts_as_the_records_own(
    world: PolledInstance, status: int
) -> None:
    watch_deletes(world)
    delete(world, 5, 7)
    world.store.fail_next(3, status=status, path="/company/contacts/5")

    first, second = sweep(world).status, sweep(world).status
    assert (first, second, world.recorded()) == (PollRun.Status.OPEN, PollRun.Status.OPEN, [])
    assert sweep(world).status == PollRun.Status.COMPLETE
    assert world.recorded() == [("DELETED", "7")]


def test_a_refusal_of_the_row_that_answers_for_the_others_blocks_nothing(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, 5)
    world.store.fail_next(1, status=403, path="/company/contacts/30")

    assert sweep(world).status == PollRun.Status.COMPLETE
    assert world.recorded() == [("DELETED", "5")]


def test_a_role_lost_between_the_ids_and_the_questions_records_nothing(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, 5)
    world.store.fail_next(1, status=403, path="/company/contacts/5")
    world.store.fail_next(1, status=403, path="/company/contacts/30")

    def lose_the_role(request: SeenRequest) -> None:
        if request.path.endswith("/30"):
            world.store.hide("contacts", range(1, 31))

    world.store.on_request(lose_the_role)

    run = sweep(world)

    assert (run.status, world.recorded()) == (PollRun.Status.OPEN, [])
    assert "403" in run.error
