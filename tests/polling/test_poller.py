"""Polls of the sandbox: what is recorded, what is not, and every way in which others lose or repeat a change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from polling.detection.poll_loop import PollLoop
from polling.detection.polls.runs import PollJob
from polling.models import Health, PollRun, PollState, Site
from polling.workers.leases import LeaseLostError
from tests.support.polled_instance import PolledInstance, claimed_state


def test_a_change_is_recorded_once(watched: PolledInstance) -> None:
    watched.change(3, "Chief")
    watched.poll()
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]


def test_a_record_created_right_after_watching_began_is_recorded_as_created(world: PolledInstance) -> None:
    world.watch()
    made = world.store.create("contacts")
    world.poll()
    world.poll()
    assert world.recorded() == [("CREATED", str(made["id"]))]


def test_a_new_record_changed_before_it_was_seen_is_created_and_then_updated(watched: PolledInstance) -> None:
    made = str(watched.store.create("contacts")["id"])
    watched.change(int(made), "First")
    watched.poll()
    watched.change(int(made), "Second")
    watched.poll()
    assert watched.recorded() == [("CREATED", made), ("UPDATED", made)]


def test_what_stood_there_before_is_not_recorded(world: PolledInstance) -> None:
    world.watch()
    world.poll()
    assert world.recorded() == []
    assert (world.state.health, world.run.records) == (Health.HEALTHY, 0)


def test_a_failed_run_loses_nothing(watched: PolledInstance) -> None:
    watched.change(3, "Chief")
    cursor = watched.state.cursor
    watched.store.fail_next(1, status=500)
    state = watched.poll()
    assert (state.health, state.cursor, state.failures) == (Health.RETRYING, cursor, 1)
    assert watched.recorded() == []
    assert watched.poll().health == Health.HEALTHY
    assert watched.recorded() == [("UPDATED", "3")]


def test_a_429_in_the_middle_loses_and_repeats_nothing(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    for record_id in range(1, 8):
        world.change(record_id, "Chief")
    world.store.fail_next(1, status=429, headers={"Retry-After": "30"}, skip=2)
    state = world.poll()
    assert state.health == Health.RATE_LIMITED
    assert world.run.page == 2
    assert len(world.recorded()) == 4
    world.poll()
    assert world.recorded() == [("UPDATED", "5"), ("UPDATED", "6"), ("UPDATED", "7")]
    world.poll()
    assert world.recorded() == []


def test_a_429_holds_all_polls_of_the_company_until_it_may_go_on(watched: PolledInstance) -> None:
    watched.store.fail_next(1, status=429, headers={"Retry-After": "30"})
    watched.poll()
    assert Site.objects.filter(key=watched.state.site).exists()
    due = PollState.objects.all()
    due.update(next_poll_at=watched.state.cursor)
    watched.store.clear_requests()
    assert PollLoop(due, deadline=float("inf")).run() == 0
    assert watched.store.requests == []


def test_two_writes_in_one_second_are_both_recorded(watched: PolledInstance) -> None:
    stamp = watched.store.change("contacts", 3, {"title": "One"})["_info"]["lastUpdated"]
    watched.poll()
    watched.change(3, "Two", stamp=stamp)
    watched.change(4, "Two", stamp=stamp)
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3"), ("UPDATED", "3"), ("UPDATED", "4")]


def test_a_row_that_becomes_visible_behind_the_cursor_is_recorded(watched: PolledInstance) -> None:
    watched.store.clock_offset = 600
    cursor = watched.poll().cursor
    assert cursor is not None
    watched.change(3, "Late", stamp=(cursor - timedelta(seconds=299)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    watched.poll()
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]


def test_rows_that_move_while_paging_are_neither_skipped_nor_repeated(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    for record_id in range(1, 9):
        world.change(record_id, "Chief")
    calls = []

    def disturb(request: object) -> None:
        calls.append(request)
        if len(calls) == 2:
            world.store.delete("contacts", 1)
            world.store.create("contacts")

    stop = world.store.on_request(disturb)
    world.poll()
    stop()
    recorded = world.recorded()
    assert recorded == [("UPDATED", str(number)) for number in range(1, 9)] + [("CREATED", "31")]
    world.poll()
    assert world.recorded() == []


def test_a_row_edited_behind_the_reader_falls_into_the_next_window(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    for record_id in range(1, 5):
        world.change(record_id, "Chief")
    seen = []

    def edit(request: object) -> None:
        seen.append(request)
        if len(seen) == 2:
            world.change(1, "Boss")

    stop = world.store.on_request(edit)
    world.poll()
    stop()
    world.recorded()
    world.poll()
    assert world.recorded() == [("UPDATED", "1")]


def test_every_page_carries_the_conditions(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    for record_id in range(1, 8):
        world.change(record_id, "Chief")
    world.store.clear_requests()
    world.poll()
    asked = [request.query.get("conditions", "") for request in world.store.requests]
    assert len(asked) == 4  # the last is short
    assert len(set(asked)) == 1
    assert "lastUpdated" in asked[0]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "body": '[{"id": 5}]'},
        {"status": 429, "body": '[{"id": 5}]'},
        {"status": 200, "body": '{"id": 5}'},
        {"status": 200, "body": "<html>Service unavailable</html>"},
        {"broken_json": True},
        {"drop": True, "status": None},
    ],
    ids=["503", "429", "an object", "html", "broken", "dropped"],
)
def test_an_answer_that_is_no_list_of_records_is_never_read_as_one(
    watched: PolledInstance, fault: dict[str, Any]
) -> None:
    watched.change(5, "Chief")
    watched.store.fail_next(2, **fault)
    state = watched.poll()
    assert state.health in (Health.RETRYING, Health.RATE_LIMITED)
    assert watched.recorded() == []
    watched.store.clear_faults()
    watched.poll()
    assert watched.recorded() == [("UPDATED", "5")]


def test_a_run_that_died_between_pages_goes_on_from_the_page_committed(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    for record_id in range(1, 6):
        world.change(record_id, "Chief")
    job = _claimed(world)
    assert job.commit(job.request()())
    PollState.objects.update(lease_until=world.state.cursor)
    world.store.clear_requests()
    world.poll()
    assert world.recorded() == [("UPDATED", str(number)) for number in range(1, 6)]
    assert world.store.requests[0].query["pageId"] == "2"
    assert PollRun.objects.count() == 1


def test_a_worker_overtaken_with_a_page_in_hand_writes_nothing(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    world.change(1, "Chief")
    frozen = _claimed(world)
    page = frozen.request()()
    PollState.objects.update(lease_until=world.state.cursor)
    world.poll()
    assert world.recorded() == [("UPDATED", "1")]
    cursor, runs = world.state.cursor, PollRun.objects.count()
    with pytest.raises(LeaseLostError):
        frozen.commit(page)
    with pytest.raises(LeaseLostError):
        frozen.fail(ValueError())
    assert world.recorded() == []
    assert (world.state.cursor, PollRun.objects.count()) == (cursor, runs)


def _claimed(world: PolledInstance) -> PollJob:
    PollState.objects.update(next_poll_at=timezone.now())
    return PollJob(*claimed_state(world))


def test_without_a_date_header_the_cursor_moves_to_the_newest_stamp_or_stays(watched: PolledInstance) -> None:
    watched.store.send_date_header = False
    before = watched.state.cursor
    assert watched.poll().cursor == before
    watched.store.clock_offset = 60
    watched.change(3, "Chief")
    moved = watched.poll().cursor
    assert moved is not None
    assert before is not None
    assert timedelta(seconds=55) < moved - before < timedelta(seconds=70)
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]


def test_unauthorized_stops_the_instances_polls_and_a_good_poll_starts_them_again(world: PolledInstance) -> None:
    world.watch()
    world.store.set_keys("PUB", "another")
    world.poll()
    state = world.state
    assert state.health == Health.UNAUTHORIZED
    assert "Incorrect public/private key" in state.last_error
    world.store.set_keys("PUB", "PRIV")
    assert world.poll().health == Health.HEALTHY


def test_a_rejected_poll_shows_connectwises_words(world: PolledInstance) -> None:
    world.watch(poll={"url": "/hubs/crm/contacts?where=nosuchfield='x' AND lastUpdated>'${date}'"})
    state = world.poll()
    assert state.health == Health.REJECTED
    assert "nosuchfield is not a recognized name" in state.last_error


def test_a_failure_is_kept_as_a_run_that_people_can_see(watched: PolledInstance) -> None:
    watched.store.fail_next(1, status=500)
    watched.poll()
    run = watched.run
    assert (run.status, run.records) == (PollRun.Status.FAILED, 0)
    assert "500" in run.error
