"""Polls that one page is all of end together, each as it would have ended by itself."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django.forms import model_to_dict
from django.utils import timezone

from polling.detection.deletes.missing_records import Status, missing_records
from polling.detection.poll_loop import PollLoop
from polling.detection.polls.runs import PollJob
from polling.detection.polls.whole_polls import end_polls, is_whole
from polling.models import Event, Health, MissingRecord, PollRun, PollState
from tests.support.polled_instance import PolledInstance, claimed_state

CLOCKS = ("id", "started_at", "finished_at", "first_date", "opening")


def claimed(world: PolledInstance) -> PollJob:
    """Claim the contacts' poll, due or not."""
    return PollJob(*claimed_state(world))


def fields_of(run: PollRun) -> dict[str, Any]:
    return {name: value for name, value in model_to_dict(run).items() if name not in CLOCKS}


def test_an_end_of_a_batch_is_written_as_an_end_by_itself(watched: PolledInstance) -> None:
    by_itself = claimed(watched)
    assert by_itself.commit(by_itself.request()()) is False
    single, state = watched.run, watched.state
    job = claimed(watched)
    page = job.request()()
    assert is_whole(job, page)
    assert end_polls([(job, page)]) == []
    assert watched.run.pk != single.pk
    assert fields_of(watched.run) == fields_of(single)
    assert (watched.run.first_date, watched.state.cursor) == (page.date, page.date)
    assert watched.run.finished_at is not None
    after = watched.state
    assert (after.lease_token, after.lease_until, after.health) == (None, None, state.health)
    assert after.next_poll_at is not None
    assert state.next_poll_at is not None
    assert after.next_poll_at >= state.next_poll_at


def test_a_poll_that_was_taken_over_writes_nothing(watched: PolledInstance) -> None:
    job = claimed(watched)
    page = job.request()()
    runs = PollRun.objects.count()
    PollState.objects.update(lease_token="another's")
    assert end_polls([(job, page)]) == [job]
    assert (watched.state.lease_token, PollRun.objects.count()) == ("another's", runs)


def test_a_page_that_another_follows_is_not_whole(world: PolledInstance) -> None:
    world.watch(poll={"pageSize": 2})
    world.poll()
    for record_id in (3, 4, 5):
        world.change(record_id, "Chief")
    job = claimed(world)
    assert not is_whole(job, job.request()())


def test_a_poll_that_failed_before_takes_the_way_of_all_others(watched: PolledInstance) -> None:
    PollState.objects.update(failures=1)
    job = claimed(watched)
    assert not is_whole(job, job.request()())


def test_the_loop_ends_such_polls_together(watched: PolledInstance, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(18):
        watched.poll()
    assert (watched.run.status, watched.run.records, Event.objects.count()) == ("complete", 0, 0)


def test_deletes_held_back_keep_their_poll_held(watched: PolledInstance) -> None:
    poll_id = watched.state.pk
    MissingRecord.objects.create(resource_poll_id=poll_id, record_id=1, status=Status.HELD)
    job = claimed(watched)
    end_polls([(job, job.request()())])
    assert missing_records(poll_id, Status.HELD).exists()
    assert watched.state.health == Health.HELD


def test_a_fault_of_ours_in_a_batch_leaves_each_to_itself(watched: PolledInstance, monkeypatch: Any) -> None:
    def fail(_: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr("polling.detection.polls.whole_polls.insert_new", fail)
    watched.poll()
    assert (watched.run.status, watched.state.health) == ("complete", Health.HEALTHY)


def due_loop() -> PollLoop:
    PollState.objects.update(next_poll_at=timezone.now() - timedelta(seconds=1))
    return PollLoop(PollState.objects.filter(next_poll_at__isnull=False), deadline=float("inf"))


def test_a_loop_with_polls_under_way_that_has_claimed_all_looks_again_after_a_while(
    watched: PolledInstance, django_assert_num_queries: Any
) -> None:
    loop = due_loop()
    jobs = loop.claim(8, [])
    assert len(jobs) == 1
    with django_assert_num_queries(0):
        assert loop.claim(7, jobs) == []
    loop.release(jobs)
    assert len(loop.claim(8, [])) == 1  # with nothing under way it looks at once


def test_a_loop_that_left_due_polls_for_want_of_room_looks_at_once(watched: PolledInstance, monkeypatch: Any) -> None:
    other: Any = SimpleNamespace(site="another", host="another")
    monkeypatch.setattr("polling.detection.claiming.PER_SITE", 0)
    loop = due_loop()
    assert loop.claim(8, [other]) == []
    monkeypatch.setattr("polling.detection.claiming.PER_SITE", 3)
    assert len(loop.claim(8, [other])) == 1
