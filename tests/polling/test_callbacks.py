"""Callbacks: taken whole, judged, and turned into polls that are due; what they say becomes part of no event."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from polling.callbacks import receiving
from polling.callbacks.judging import judge_hints
from polling.callbacks.receiving import LONGEST_BODY
from polling.callbacks.signing_keys import keep_key
from polling.detection.poll_loop import poll_due
from polling.models import AnnouncedRecord, CallbackCount, CallbackHint, Event, Health, PollRun, PollState
from polling.workers.due import poll_due_at
from tests.support.callbacks import POISON, SIGNING_KEY, Announcer, enable_callbacks, judged
from tests.support.polled_instance import PolledInstance

FAR = timedelta(minutes=14)


def work() -> int:
    return poll_due(deadline=float("inf"))


def due_in() -> timedelta:
    """In how long a worker is woken."""
    now = timezone.now()
    return (poll_due_at(now) or now + timedelta(days=1)) - now


def later(seconds: float) -> None:
    """Let time pass for what was announced and polled."""
    shift = timedelta(seconds=seconds)
    for row in AnnouncedRecord.objects.all():
        AnnouncedRecord.objects.filter(pk=row.pk).update(next_read_at=row.next_read_at - shift)


def test_a_change_is_recorded_though_its_poll_is_not_due(watched: PolledInstance, announcer: Announcer) -> None:
    watched.change(17, "Owner")
    assert due_in() > FAR
    announcer.announce(17)
    assert due_in() <= timedelta(0)
    work()
    assert watched.recorded() == [("UPDATED", "17")]
    assert POISON not in Event.objects.get().record
    assert judged() == [("verified", "")]


def test_a_wake_up_waits_for_a_second_after_the_last(watched: PolledInstance, announcer: Announcer) -> None:
    announcer.announce(17)
    work()
    runs = PollRun.objects.count()
    for number in range(1, 21):
        announcer.announce(number)
        judge_hints(8, [])
    state = watched.state
    assert state.woken_at is not None
    assert state.next_poll_at == state.woken_at
    assert PollRun.objects.count() == runs
    woken = CallbackCount.objects.get(name="woken")
    assert woken.count == 2


def test_a_poll_under_way_is_made_once_more(watched: PolledInstance, announcer: Announcer) -> None:
    now = timezone.now()
    PollState.objects.update(lease_token="a", lease_until=now + timedelta(minutes=1), next_poll_at=now - FAR)
    announcer.announce(17)
    judge_hints(8, [])
    assert (watched.state.next_poll_at or now - FAR) >= now


@pytest.mark.parametrize("health", [Health.RETRYING, Health.RATE_LIMITED, Health.REJECTED, Health.UNAUTHORIZED])
def test_a_poll_that_fails_keeps_its_own_time(watched: PolledInstance, announcer: Announcer, health: Health) -> None:
    before = timezone.now() + FAR
    PollState.objects.update(health=health, next_poll_at=before)
    announcer.announce(17)
    work()
    assert watched.state.next_poll_at == before
    assert judged() == [("verified", "")]


def test_a_record_whose_stamp_stands_still_is_read_by_its_id(watched: PolledInstance, announcer: Announcer) -> None:
    watched.change(17, "Owner")
    watched.poll()
    watched.recorded()
    watched.poll()
    stamp = (watched.store.get("contacts", 17) or {})["_info"]["lastUpdated"]
    watched.store.clock_offset = 3600  # the window has passed it
    watched.poll()
    watched.change(17, "Noted", stamp=stamp)
    announcer.announce(17)
    work()
    assert watched.recorded() == []
    later(3)
    work()
    assert watched.recorded() == [("UPDATED", "17")]
    assert not AnnouncedRecord.objects.exists()
    run = watched.run
    assert (run.kind, run.events, run.status) == ("announced", 1, "complete")


def test_what_the_poll_brought_is_not_asked_for_again(watched: PolledInstance, announcer: Announcer) -> None:
    announcer.announce(17)
    judge_hints(8, [])
    watched.change(17, "Owner")
    work()
    later(3)
    asked = len(watched.store.requests)
    work()
    assert len(watched.store.requests) == asked
    assert not AnnouncedRecord.objects.exists()


def test_a_body_that_is_too_long_is_refused(announcer: Announcer) -> None:
    assert announcer.post(b"x" * (LONGEST_BODY + 1)) == 413
    assert announcer.post(b"x" * LONGEST_BODY) == 200
    assert CallbackHint.objects.count() == 1


def test_an_unknown_token_is_nobodys(announcer: Announcer, caplog: pytest.LogCaptureFixture) -> None:
    announcer.token = "another-token-of-nobody-at-all-1234"
    assert announcer.post(announcer.body(17)) == 404
    assert not CallbackHint.objects.exists()


def test_too_many_that_wait_are_answered_429(announcer: Announcer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "MOST_WAITING", 3)
    assert [announcer.post(announcer.body(number)) for number in (1, 2, 3, 4)] == [200, 200, 200, 429]
    judge_hints(8, [])
    assert announcer.post(announcer.body(5)) == 200


def test_what_arrives_twice_wakes_once(announcer: Announcer) -> None:
    body = announcer.body(17)
    announcer.post(body)
    announcer.post(body)
    judge_hints(8, [])
    announcer.post(body)
    judge_hints(8, [])
    assert judged() == [("verified", ""), ("refused", "repeated"), ("refused", "repeated")]


@pytest.mark.parametrize("together", [True, False])
def test_what_comes_late_of_a_deleted_record_keeps_no_delete_back(world: PolledInstance, *, together: bool) -> None:
    announcer = deleting(world)
    announcer.announce(17, "deleted")
    if not together:
        work()
    announcer.announce(17, "updated")
    for _ in range(3):
        work()
        later(4)
    assert world.recorded() == [("DELETED", "17")]


def deleting(world: PolledInstance) -> Announcer:
    """Watch with deletes, all rows known, the 17th gone; return who announces."""
    world.watch(poll={"detectDeletes": True})
    world.poll()
    poll_due(deadline=float("inf"))
    announcer = enable_callbacks(world.instance)
    keep_key(announcer.key_url, SIGNING_KEY)
    world.store.delete("contacts", 17)
    return announcer


def test_a_deleted_record_is_recorded_after_two_questions(world: PolledInstance) -> None:
    announcer = deleting(world)
    announcer.announce(17, "deleted")
    work()
    assert world.recorded() == []
    later(4)
    work()
    assert world.recorded() == [("DELETED", "17")]
    assert not AnnouncedRecord.objects.exists()
