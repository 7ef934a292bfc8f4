"""Clocks that are wrong, theirs or ours, and a ConnectWise that does not say what time it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from cwconnect.site.periodic_jobs import run_due_jobs
from instances.models import Instance, ResourcePoll
from polling.delivery.delivery_loop import deliver_these
from polling.detection.jobs import LEASE
from polling.maintenance.clock_skew import repair_clock_skew
from polling.models import Notification, PollState, Receiver, Site, Subscription
from polling.workers.leases import claim
from tests.support.polled_instance import PolledInstance

HOUR = 3600


def since(world: PolledInstance) -> datetime:
    found = ResourcePoll.objects.get(instance=world.instance).since
    assert found is not None
    return found


@pytest.mark.parametrize("our_offset", [-HOUR, HOUR])
def test_without_a_date_watching_begins_with_the_newest_stamp_whatever_our_clock_says(
    world: PolledInstance, our_offset: int
) -> None:
    newest = world.store.change("contacts", 7, {"title": "Newest"})["_info"]["lastUpdated"]
    world.store.send_date_header = False
    world.store.clock_offset = -our_offset
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=our_offset)):
        world.watch()
        assert since(world) == datetime.fromisoformat(newest)
        world.store.clock_offset += 2
        world.change(3, "Chief")
        world.poll()
        # What has the newest stamp may have been changed again within its second, and is recorded.
        assert world.recorded() == [("UPDATED", "3"), ("UPDATED", "7")]
        world.poll()
        assert world.recorded() == []


def test_without_a_date_an_empty_list_is_watched_from_ever(world: PolledInstance) -> None:
    for record_id in range(1, 31):
        world.store.delete("contacts", record_id)
    world.store.send_date_header = False
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        world.store.clock_offset = -HOUR
        world.watch()
        made = world.store.create("contacts")["id"]
        world.poll()
    assert world.recorded() == [("CREATED", str(made))]


@pytest.mark.parametrize(("back", "passed"), [(3, 1), (299, 60), (301, 60), (3000, 600)])
def test_what_was_written_while_their_clock_was_set_back_is_recorded(
    watched: PolledInstance, back: int, passed: int
) -> None:
    """Written behind the window, it is read by the poll after the one that learns of the clock."""
    watched.store.clock_offset = -back
    watched.change(3, "Chief")
    made = watched.store.create("contacts")["id"]
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=passed)):
        watched.poll()
        watched.poll()
    assert watched.recorded() == [("UPDATED", "3"), ("CREATED", str(made))]


def test_a_site_whose_servers_disagree_by_a_second_gives_nothing_from_before(world: PolledInstance) -> None:
    """Their clocks differ: the first poll is answered by one that is behind that which said when watching began."""
    world.change(3, "Chief", stamp=world.store.now() - 5)
    world.store.date_offset = 2
    world.watch()
    world.store.date_offset = 0
    world.poll()
    world.poll()
    assert world.recorded() == []


def test_a_clock_set_back_by_less_than_the_look_back_loses_nothing_at_once(watched: PolledInstance) -> None:
    watched.change(3, "Chief")
    watched.poll()
    watched.recorded()
    watched.store.clock_offset = -200
    watched.change(3, "Clerk")
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]


def test_a_date_that_was_wrong_once_hides_nothing(watched: PolledInstance) -> None:
    """A server with a clock a year ahead answers one poll."""
    watched.store.date_offset = 86_400 * 365
    watched.poll()
    watched.store.date_offset = 0
    made = watched.store.create("contacts")["id"]
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=10)):
        watched.poll()
        watched.poll()
    assert watched.recorded() == [("CREATED", str(made))]


def test_a_date_from_before_watching_began_gives_nothing_old(watched: PolledInstance) -> None:
    """A server whose battery is empty believes that it is 1970, and answers one poll."""
    cursor = watched.state.cursor
    watched.store.date_offset = -watched.store.now()
    assert watched.poll().cursor == cursor
    watched.change(3, "Chief")
    watched.poll()
    watched.store.date_offset = 0
    watched.poll()
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]


@pytest.mark.parametrize("far", ["2062-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_without_a_date_a_stamp_from_the_far_future_moves_no_cursor(watched: PolledInstance, far: str) -> None:
    watched.store.send_date_header = False
    cursor = watched.state.cursor
    watched.change(3, "Far", stamp=far)
    assert watched.poll().cursor == cursor
    watched.store.clock_offset = 60
    watched.change(4, "Chief")
    moved = watched.poll().cursor
    assert cursor is not None
    assert moved is not None
    assert timedelta(seconds=55) < moved - cursor < timedelta(seconds=70)
    made = watched.store.create("contacts")["id"]
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3"), ("UPDATED", "4"), ("CREATED", str(made))]


def test_without_a_date_watching_does_not_begin_in_the_far_future(world: PolledInstance) -> None:
    newest = world.store.change("contacts", 7, {"title": "Newest"})["_info"]["lastUpdated"]
    world.change(5, "Far", stamp="2062-01-01T00:00:00Z")
    world.store.send_date_header = False
    world.watch()
    assert since(world) == datetime.fromisoformat(newest)
    world.change(3, "Chief")
    world.poll()
    assert world.recorded() == [("UPDATED", "3"), ("UPDATED", "5"), ("UPDATED", "7")]


@pytest.mark.parametrize(("ahead", "moves"), [(3590, True), (3700, False)])
def test_a_stamp_moves_the_cursor_up_to_an_hour_ahead_of_our_clock(
    watched: PolledInstance, ahead: int, *, moves: bool
) -> None:
    watched.store.send_date_header = False
    before, stamp = watched.state.cursor, timezone.now().replace(microsecond=0) + timedelta(seconds=ahead)
    watched.change(3, "Chief", stamp=stamp)
    assert watched.poll().cursor == (stamp if moves else before)


# -- ours --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def in_the_future(watched: PolledInstance) -> PolledInstance:
    """Everything that writes a time did so while our clock was ten years ahead."""
    watched.change(3, "Chief")
    with time_machine.travel(datetime.now(UTC) + timedelta(days=3650)):
        watched.poll()
        deliver_these([watched.instance.pk])
        watched.store.fail_next(1, status=429)
        watched.poll()
        claim(PollState.objects.all(), [watched.state.pk], now=timezone.now(), length=LEASE)
        PollState.objects.update(next_sweep_at=timezone.now())
    assert Notification.objects.get().next_attempt_at is not None
    Receiver.objects.update(open_until=timezone.now() + timedelta(days=3650))
    return watched


def test_what_a_clock_ahead_left_behind_is_due_at_once(in_the_future: PolledInstance) -> None:
    assert repair_clock_skew(timezone.now()) == 6
    state, now = in_the_future.state, timezone.now()
    assert (state.lease_token, state.lease_until) == (None, None)
    assert state.next_poll_at is not None
    assert state.next_sweep_at is not None
    assert max(state.next_poll_at, state.next_sweep_at) <= now
    assert not Site.objects.exists()
    assert not Notification.objects.filter(next_attempt_at__gt=now).exists()
    assert not Receiver.objects.filter(open_until__gt=now).exists()
    assert repair_clock_skew(timezone.now()) == 0


def test_ordinary_waits_are_left_alone(watched: PolledInstance) -> None:
    now = timezone.now()
    claim(PollState.objects.all(), [watched.state.pk], now=now, length=LEASE)
    hour, day = timedelta(hours=1), timedelta(days=1)
    Instance.objects.update(refresh_interval=44_640)
    PollState.objects.update(next_poll_at=now + 31 * day, next_sweep_at=now + 31 * day)
    Site.objects.create(key="a", blocked_until=now + hour + timedelta(seconds=5))
    assert repair_clock_skew(now) == 0
    Instance.objects.update(refresh_interval=1)
    PollState.objects.update(next_poll_at=now + hour)  # a probe of what is refused
    assert repair_clock_skew(now) == 0


def test_waits_of_a_subscriptions_own_retry_schedule_are_left_alone(in_the_future: PolledInstance) -> None:
    """Its longest wait may be a week; what lies further ahead than that is due at once, as of any other."""
    assert repair_clock_skew(timezone.now())
    subscription, now = Subscription.objects.get(), timezone.now()
    subscription.retry_schedule = [0, 604_800]
    subscription.save()
    waits = now + timedelta(days=8)  # with its jitter
    Notification.objects.update(next_attempt_at=waits)
    assert repair_clock_skew(now) == 0
    assert Notification.objects.get().next_attempt_at == waits
    subscription.retry_schedule = [0, 86_400 * 5]
    subscription.save()
    assert repair_clock_skew(now) == 1
    assert Notification.objects.get().next_attempt_at == now


def test_a_periodic_job_repairs_clock_skew(in_the_future: PolledInstance) -> None:
    assert "repair clock skew" in run_due_jobs(timezone.now())
    assert in_the_future.state.lease_token is None
