"""Callbacks under what goes wrong about them: nothing lost, nothing doubled, nothing that stays due for ever."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from cwconnect.connectwise.callbacks.announcements import UnreadableBodyError, read_announcement
from instances.secrets import SecretUnreadableError
from polling.callbacks import announced_reads, judging
from polling.callbacks.announced_reads import claim_announced
from polling.callbacks.judging import judge_hints
from polling.callbacks.waking import APART
from polling.detection.deletes.deletions import sweep_now
from polling.detection.poll_loop import poll_due
from polling.maintenance.clock_skew import repair_clock_skew
from polling.models import (
    AnnouncedRecord,
    CallbackCount,
    CallbackHint,
    Health,
    MissingRecord,
    PollRun,
    PollState,
    Site,
)
from polling.workers.due import poll_due_at
from tests.support.callbacks import Announcer, enable_callbacks, judged, keep_known_key
from tests.support.polled_instance import PolledInstance

FAR = timedelta(minutes=14)


def work() -> int:
    return poll_due(deadline=float("inf"))


def is_due() -> bool:
    """Whether a worker would be woken now."""
    now = timezone.now()
    at = poll_due_at(now)
    return at is not None and at <= now


def announced_now() -> None:
    """Have what was announced be due now, and no poll."""
    AnnouncedRecord.objects.update(next_read_at=timezone.now())


@pytest.fixture
def sweeping(world: PolledInstance) -> Announcer:
    """The callbacks of an instance that looks for deletes, whose rows were counted once."""
    world.watch(poll={"detectDeletes": True})
    world.poll()
    work()
    announcer = enable_callbacks(world.instance)
    keep_known_key(announcer)
    return announcer


def test_a_poll_under_way_is_not_put_off_by_a_flood(watched: PolledInstance, announcer: Announcer) -> None:
    now = timezone.now()
    PollState.objects.update(lease_token="a", lease_until=now + timedelta(minutes=1), next_poll_at=now - FAR)
    for number in range(20):
        announcer.announce(number + 1)
        judge_hints(8, [])
    due = watched.state.next_poll_at
    assert due is not None
    assert now <= due <= timezone.now() + APART


def test_a_wake_of_a_clock_that_was_ahead_holds_up_none(watched: PolledInstance, announcer: Announcer) -> None:
    PollState.objects.update(woken_at=timezone.now() + timedelta(hours=1))
    announcer.announce(17)
    judge_hints(8, [])
    due = watched.state.next_poll_at
    assert due is not None
    assert due <= timezone.now() + APART


def test_what_a_clock_that_was_ahead_put_off_is_done_now(watched: PolledInstance, announcer: Announcer) -> None:
    announcer.announce(17)
    judge_hints(8, [])
    announcer.announce(18)
    later = timezone.now() + timedelta(hours=3)
    CallbackHint.objects.filter(status="waiting").update(judge_at=later)
    AnnouncedRecord.objects.update(next_read_at=later)
    now = timezone.now()
    assert repair_clock_skew(now) == 2
    assert CallbackHint.objects.filter(status="waiting", judge_at=now).exists()
    assert AnnouncedRecord.objects.get().next_read_at == now


def test_a_delete_that_a_clock_ahead_noted_is_noted_anew(sweeping: Announcer) -> None:
    """Less ahead than is ever repaired: machines' clocks may differ that much."""
    sweeping.announce(17, "deleted")
    judge_hints(8, [])
    later = timezone.now() + timedelta(minutes=59)
    assert AnnouncedRecord.objects.update(announced_at=later, next_read_at=later) == 1
    sweeping.announce(17, "deleted")
    judge_hints(8, [])
    noted = AnnouncedRecord.objects.get()
    assert max(noted.announced_at, noted.next_read_at) <= timezone.now()


def test_what_arrived_at_a_clock_ahead_is_not_read_over_and_over(sweeping: Announcer, world: PolledInstance) -> None:
    """What is announced after a read began is not settled by it; and here that would be so for minutes."""
    world.store.delete("contacts", 17)
    sweeping.announce(17, "deleted")
    CallbackHint.objects.update(received_at=timezone.now() + timedelta(minutes=5))
    judge_hints(8, [])
    poll_due(deadline=time.monotonic() + 2)
    assert AnnouncedRecord.objects.get().not_found == 1


@pytest.mark.parametrize("way", ["leased", "site waits", "sweep", "failing", "paused"])
def test_what_nobody_may_read_now_wakes_nobody(watched: PolledInstance, announcer: Announcer, way: str) -> None:
    announcer.announce(17)
    work()
    announced_now()
    assert is_due()
    state, soon = watched.state, timezone.now() + timedelta(minutes=1)
    if way == "leased":
        PollState.objects.update(lease_token="a", lease_until=soon)
    elif way == "site waits":
        Site.objects.update_or_create(key=state.site, defaults={"blocked_until": soon})
    elif way == "sweep":
        PollState.objects.update(next_sweep_at=soon)
        PollRun.objects.create(resource_poll=state.resource_poll, kind=PollRun.Kind.SWEEP, started_at=soon)
    else:
        PollState.objects.update(health=Health.RETRYING if way == "failing" else Health.PAUSED)
    assert not is_due()
    assert claim_announced(8, []) == []


def test_a_sweep_that_nobody_carries_on_holds_up_none(watched: PolledInstance, announcer: Announcer) -> None:
    """One that was open when deletes were looked for no more."""
    PollRun.objects.create(
        resource_poll=watched.state.resource_poll, kind=PollRun.Kind.SWEEP, started_at=timezone.now()
    )
    announcer.announce(17)
    work()
    announced_now()
    work()
    assert not AnnouncedRecord.objects.exists()


def test_a_read_that_cannot_begin_stops_nobody_else(
    watched: PolledInstance, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    announcer.announce(17)
    work()
    announced_now()

    def refuse(*_: object) -> None:
        raise SecretUnreadableError("No key opens it.")

    with monkeypatch.context() as patched:
        patched.setattr(announced_reads, "AnnouncedJob", refuse)
        work()
    assert watched.state.lease_token is None
    assert not is_due()
    assert AnnouncedRecord.objects.get().tries == 1


def test_a_hint_of_an_instance_that_is_gone_goes_too(watched: PolledInstance, announcer: Announcer) -> None:
    announcer.announce(17)
    announcer.announce(18)
    first = CallbackHint.objects.order_by("pk").first()
    assert first is not None
    CallbackHint.objects.filter(pk=first.pk).update(instance_id=watched.instance.pk + 1000)
    judge_hints(8, [])
    assert judged() == [("verified", "")]


def test_one_that_cannot_be_judged_holds_up_no_other(
    announcer: Announcer, monkeypatch: pytest.MonkeyPatch, watched: PolledInstance
) -> None:
    for number in (1, 2, 3):
        announcer.announce(number)

    def fail(body: bytes) -> object:
        found = read_announcement(body)
        if found.record_id == 2:
            raise ZeroDivisionError
        return found

    monkeypatch.setattr(judging, "read_announcement", fail)
    judge_hints(8, [])
    assert judged() == [("verified", ""), ("refused", "a fault of ours"), ("verified", "")]
    assert sorted(AnnouncedRecord.objects.values_list("record_id", flat=True)) == [1, 3]


def test_a_word_that_grows_when_it_is_written_small_is_none(announcer: Announcer) -> None:
    """The letter I with a dot becomes two: 40 of them had no room in their column."""
    with pytest.raises(UnreadableBodyError):
        read_announcement(announcer.body(17, "\u0130" * 40))
    announcer.announce(17, "\u0130" * 40)
    announcer.announce(17)
    judge_hints(8, [])
    assert judged() == [("refused", "unreadable"), ("verified", "")]


def test_the_last_row_that_is_gone_is_for_a_person(world: PolledInstance, sweeping: Announcer) -> None:
    """As at a sweep: no row is left that could answer for the others, as when a role was lost."""
    everyone = world.store.ids("contacts")
    world.store.hide("contacts", everyone)
    for number in everyone:
        sweeping.announce(number, "deleted")
    work()
    for _ in range(4):
        announced_now()
        work()
    assert world.recorded() == []
    assert world.state.health == Health.HELD
    assert MissingRecord.objects.filter(status="held").count() == len(everyone)


def test_what_a_sweep_recorded_is_not_counted_against_callbacks(world: PolledInstance, sweeping: Announcer) -> None:
    for number in range(1, 20):
        world.store.delete("contacts", number)
    sweep_now(PollState.objects.all())
    work()
    assert len(world.recorded()) == 19
    for number in (21, 22):
        world.store.delete("contacts", number)
        sweeping.announce(number, "deleted")
    work()
    announced_now()
    work()
    assert world.recorded() == [("DELETED", "21"), ("DELETED", "22")]


def test_deletes_that_are_looked_for_no_more_are_not_recorded(world: PolledInstance, sweeping: Announcer) -> None:
    world.store.delete("contacts", 17)
    sweeping.announce(17, "deleted")
    work()
    poll = world.state.resource_poll
    poll.configuration["detectDeletes"] = False
    poll.save()
    announced_now()
    work()
    assert world.recorded() == []
    assert not AnnouncedRecord.objects.exists()


def test_what_the_poll_is_to_date_is_left_to_it(watched: PolledInstance, announcer: Announcer) -> None:
    """ConnectWise's clock is set back, and a record never read is written with a stamp from before watching began."""
    watched.poll()
    announcer.announce(17)
    judge_hints(8, [])
    watched.poll()
    since = watched.state.resource_poll.since
    assert since is not None
    watched.change(17, "Chief", stamp=since - timedelta(seconds=100))
    announced_now()
    work()
    assert watched.recorded() == []
    PollState.objects.update(cursor=since - timedelta(seconds=200))  # as it is after such a poll
    watched.poll()
    assert watched.recorded() == [("UPDATED", "17")]


def test_what_is_dated_ahead_waits_as_at_a_poll(world: PolledInstance) -> None:
    world.watch(poll={"filterByCurrentDate": True})
    world.poll()
    announcer = enable_callbacks(world.instance)
    keep_known_key(announcer)
    announcer.announce(17)
    work()
    world.change(17, "Chief", stamp=world.store.now() + 100)
    announced_now()
    work()
    assert world.recorded() == []
    world.store.clock_offset = 200
    world.poll()
    assert world.recorded() == [("UPDATED", "17")]


def test_counts_go_by_what_was_judged(announcer: Announcer) -> None:
    for number in (1, 2):
        announcer.announce(number)
    judge_hints(8, [])
    counts = dict(CallbackCount.objects.values_list("name", "count"))
    assert counts == {"received": 2, "verified": 2, "woken": 1}
