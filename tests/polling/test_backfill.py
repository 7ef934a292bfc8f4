"""Backfill: a window polled again on demand. What is known stays silent, what was missed becomes events."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from cwconnect.sandbox import SeenRequest
from polling.detection.poll_loop import PollLoop
from polling.detection.polls.backfill import request_backfill
from polling.detection.polls.runs import PollJob
from polling.models import PollRun, PollState
from polling.workers.due import make_due
from polling.workers.leases import LeaseLostError
from tests.support.polled_instance import PolledInstance, answered, claimed_state

HOUR = timedelta(hours=1)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _too_late(world: PolledInstance, *record_ids: int, title: str = "Late") -> None:
    """Let changes become visible that lie beyond the look-back, as no poll may find them."""
    world.store.clock_offset = 2000
    world.poll()
    cursor = world.state.cursor
    assert cursor is not None
    for record_id in record_ids:
        world.change(record_id, title, stamp=_stamp(cursor - timedelta(seconds=1000)))
    world.poll()
    assert world.recorded() == []


def _ask(world: PolledInstance, back: timedelta = HOUR) -> PollRun:
    request_backfill([world.state], timezone.now() - back)
    return PollRun.objects.get(kind=PollRun.Kind.BACKFILL, status=PollRun.Status.OPEN)


def _claim(world: PolledInstance) -> PollJob:
    PollState.objects.update(next_poll_at=timezone.now(), lease_until=None)
    return PollJob(*claimed_state(world))


def test_what_was_missed_is_recorded_and_what_is_known_stays_silent(watched: PolledInstance) -> None:
    watched.change(7, "Chief")
    watched.poll()
    watched.recorded()
    _too_late(watched, 3)
    run = _ask(watched)
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]
    run.refresh_from_db()
    assert (run.status, run.records, run.events) == (PollRun.Status.COMPLETE, 2, 1)
    _ask(watched)
    watched.poll()
    assert watched.recorded() == []


def test_a_backfill_reaches_behind_the_beginning_of_watching(world: PolledInstance) -> None:
    world.change(3, "Chief", stamp=_stamp(timezone.now() - timedelta(minutes=30)))
    world.watch()
    world.poll()
    assert world.recorded() == []
    _ask(world)
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]


def test_the_cursor_stays_and_the_poll_that_waited_follows_at_once(watched: PolledInstance) -> None:
    cursor = watched.state.cursor
    watched.change(5, "Chief")
    _ask(watched)
    watched.store.clear_requests()
    watched.poll()
    assert PollRun.objects.filter(kind=PollRun.Kind.POLL).count() == 2
    assert cursor is not None
    assert watched.state.cursor is not None
    assert watched.state.cursor >= cursor
    assert watched.recorded() == [("UPDATED", "5")]


def test_an_interrupted_backfill_goes_on_from_the_page_it_had_reached(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    world.poll()
    _too_late(world, 1, 2, 3, 4, 5)
    run = _ask(world)
    world.store.fail_next(1, status=500, skip=1)
    world.poll()
    assert world.recorded() == [("UPDATED", "1"), ("UPDATED", "2")]
    world.poll()
    world.store.clear_requests()
    world.poll()
    assert world.recorded() == [("UPDATED", "3"), ("UPDATED", "4"), ("UPDATED", "5")]
    assert world.store.requests[0].query["pageId"] == "2"
    run.refresh_from_db()
    assert (run.status, run.error) == (PollRun.Status.COMPLETE, "")


def test_a_backfill_that_keeps_failing_holds_up_no_news(watched: PolledInstance) -> None:
    opening = _stamp(_ask(watched).opening or timezone.now())

    def fail(request: SeenRequest) -> None:
        if opening in request.query.get("conditions", ""):
            watched.store.fail_next(1, status=500)

    stop = watched.store.on_request(fail)
    for title in ("Chief", "Owner", "Clerk"):
        watched.change(3, title)
        watched.poll()
        watched.poll()
        assert watched.recorded() == [("UPDATED", "3")]
    stop()
    watched.poll()
    assert not PollRun.objects.filter(status=PollRun.Status.OPEN).exists()


def test_a_worker_with_the_first_page_of_a_narrower_window_writes_nothing_of_it(watched: PolledInstance) -> None:
    _too_late(watched, 3)
    run = _ask(watched, timedelta(0))
    frozen = _claim(watched)
    page = frozen.request()()
    assert _ask(watched).pk == run.pk
    with pytest.raises(LeaseLostError):
        frozen.commit(page)
    PollState.objects.update(lease_until=None)
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]


def test_a_worker_beneath_whom_the_window_was_widened_lets_the_poll_go(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    world.poll()
    _ask(world, timedelta(0))
    job = _claim(world)
    page = answered(job)
    _ask(world)
    assert PollLoop(PollState.objects.all(), deadline=0).settle([(job, page)]) == []
    assert world.state.lease_token is None


@pytest.mark.parametrize("changes", [False, True])
def test_a_backfill_asked_for_while_a_poll_runs_follows_at_once(watched: PolledInstance, *, changes: bool) -> None:
    _too_late(watched, 3)
    if changes:
        watched.change(5, "Chief")
    job = _claim(watched)
    page = answered(job)
    _ask(watched)
    make_due(PollState.objects.all())
    loop = PollLoop(PollState.objects.all(), deadline=float("inf"))
    for _ in loop.settle([(job, page)]):
        loop.settle([(job, answered(job))])
    loop.run()
    assert watched.recorded() == [("UPDATED", "5"), ("UPDATED", "3")][not changes :]


def test_a_failure_under_way_keeps_what_the_window_was_widened_to(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    world.poll()
    _too_late(world, 1, 2, 3, title="Lost")
    run = _ask(world, timedelta(0))
    job = _claim(world)
    assert _ask(world).pk == run.pk
    job.fail(ValueError("a fault"))
    world.poll()
    world.poll()
    assert world.recorded() == [("UPDATED", "1"), ("UPDATED", "2"), ("UPDATED", "3")]


def test_a_narrower_request_does_not_narrow_an_open_backfill(watched: PolledInstance) -> None:
    opening = _ask(watched).opening
    assert _ask(watched, timedelta(0)).opening == opening


def test_the_command_polls_a_window_again(watched: PolledInstance) -> None:
    _too_late(watched, 3)
    since = _stamp(timezone.now() - HOUR)
    call_command("poll", str(watched.instance.pk), "--resource", "contacts", "--since", since, verbosity=0)
    assert watched.recorded() == [("UPDATED", "3")]


def test_the_command_says_which_poll_failed(watched: PolledInstance) -> None:
    watched.store.forbid("contacts")
    with pytest.raises(CommandError, match="security permission"):
        call_command("poll", str(watched.instance.pk), verbosity=0)
