"""Mass deletes: held until a person releases or dismisses them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instances.configuration.wire import config_of
from instances.provisioning import change_instance
from polling.detection.deletes.deletions import (
    dismiss_held,
    held_deletes,
    release_held,
    sweep_now,
)
from polling.detection.deletes.sweeps import SweepJob
from polling.detection.jobs import LEASE
from polling.models import Health, PollRun, PollState, RecordSnapshot
from polling.workers.leases import claim
from tests.support.polled_instance import PolledInstance
from tests.support.sweeps import delete, status, sweep, watch_deletes

GONE = range(1, 25)


@pytest.fixture
def held(world: PolledInstance) -> PolledInstance:
    """A world with 24 of its 30 contacts gone, held back."""
    watch_deletes(world)
    delete(world, *GONE)
    sweep(world)
    return world


def test_a_mass_delete_is_held_and_nobody_is_asked_for_by_id(held: PolledInstance) -> None:
    assert held.recorded() == []
    assert held.state.health == Health.HELD
    run = PollRun.objects.filter(kind=PollRun.Kind.SWEEP).latest("id")
    assert (run.status, run.held) == (PollRun.Status.COMPLETE, list(GONE))
    assert len(held.store.requests) == run.page
    assert [row.record_id for row in held_deletes(held.state.resource_poll)] == list(GONE)


def test_a_good_poll_does_not_hide_that_deletes_are_held(held: PolledInstance) -> None:
    assert held.poll().health == Health.HELD


def test_the_next_sweep_holds_them_again_with_what_is_missed_meanwhile(held: PolledInstance) -> None:
    delete(held, 30)
    run = sweep(held)
    assert (held.recorded(), run.held) == ([], [*GONE, 30])
    assert PollRun.objects.exclude(held=[]).count() == 1


def test_released_they_are_recorded_by_a_sweep_that_does_not_find_them_either(held: PolledInstance) -> None:
    held.store.create("contacts")
    assert release_held(held.state) == 24
    assert held.state.health == Health.HEALTHY
    sweep(held)
    assert held.recorded() == [("DELETED", str(number)) for number in GONE]
    assert status(held) == {}
    sweep(held)
    assert held.recorded() == []


@pytest.mark.parametrize("decide", [release_held, dismiss_held])
def test_a_decision_locks_the_poll_before_its_rows_as_a_sweep_does(
    held: PolledInstance, decide: Callable[[PollState], int]
) -> None:
    """Else the two could wait for each other, and one of them would fail."""
    with CaptureQueriesContext(connection) as captured:
        decide(held.state)
    tables = [found[1] for query in captured if (found := re.search(r'(?:UPDATE|FROM) "(polling_\w+)"', query["sql"]))]
    assert tables.index("polling_pollstate", 1) < tables.index("polling_missingrecord")


def test_a_sweep_asked_for_while_one_runs_follows_it(held: PolledInstance) -> None:
    delete(held, 25)
    PollState.objects.update(next_sweep_at=timezone.now())
    token, _ = claim(PollState.objects.all(), [held.state.pk], now=timezone.now(), length=LEASE)
    state = PollState.objects.select_related("resource_poll__instance__organization").get()
    job = SweepJob(state, token)
    sweep_now(PollState.objects.all())
    while job.commit(job.request()()):
        pass
    assert held.state.next_sweep_at is not None
    assert held.state.next_sweep_at <= timezone.now()


def test_a_released_row_that_lives_is_not_recorded(held: PolledInstance) -> None:
    held.store.table("contacts").put({"id": 3, "firstName": "Back"})
    release_held(held.state)
    sweep(held)
    assert held.recorded() == [("DELETED", str(number)) for number in GONE if number != 3]


def test_dismissed_they_stay_known_and_are_not_held_again(held: PolledInstance) -> None:
    assert dismiss_held(held.state) == 24
    run = sweep(held)
    assert (held.recorded(), run.held, held.state.health) == ([], [], Health.HEALTHY)
    assert RecordSnapshot.objects.filter(gone=False).count() == 30


def test_a_dismissed_row_seen_again_is_watched_as_before(world: PolledInstance) -> None:
    watch_deletes(world)
    world.store.hide("contacts", GONE)
    sweep(world)
    dismiss_held(world.state)
    world.store.show("contacts")
    sweep(world)
    assert status(world) == {}
    delete(world, 5)
    sweep(world)
    assert world.recorded() == [("DELETED", "5")]


def test_held_rows_seen_again_need_no_decision(world: PolledInstance) -> None:
    watch_deletes(world)
    world.store.hide("contacts", GONE)
    sweep(world)
    world.store.show("contacts")
    sweep(world)
    assert (world.recorded(), world.state.health, status(world)) == ([], Health.HEALTHY, {})


def test_a_poll_that_sees_a_held_row_clears_it(world: PolledInstance) -> None:
    watch_deletes(world)
    world.store.hide("contacts", GONE)
    sweep(world)
    world.store.show("contacts")
    world.change(5, "Chief")
    world.poll()
    assert 5 not in status(world)
    assert world.recorded() == [("UPDATED", "5")]


def test_when_no_row_is_left_to_answer_for_the_others_a_person_decides(world: PolledInstance) -> None:
    watch_deletes(world)
    delete(world, *range(1, 31))
    sweep(world)
    assert (world.recorded(), world.state.health) == ([], Health.HELD)
    release_held(world.state)
    sweep(world)
    assert len(world.recorded()) == 30


def test_deletes_of_a_poll_that_no_longer_wants_them_are_forgotten(held: PolledInstance) -> None:
    config = config_of(held.instance)
    contacts = {**config.polls["contacts"], "detectDeletes": False}
    change_instance(held.instance, config=replace(config, polls={"contacts": contacts}))
    assert (status(held), held.state.next_sweep_at, held.state.health) == ({}, None, Health.HEALTHY)
