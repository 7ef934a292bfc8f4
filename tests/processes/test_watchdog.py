"""What the supervisor concludes from signs of life."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from django_q.models import Schedule
from django_q.signals import pre_enqueue

from cwconnect.site.periodic_jobs import PERIODIC_JOBS, run_due_jobs
from polling import tasks
from polling.maintenance.clock_skew import repair_clock_skew
from polling.models import Lock
from polling.workers import heartbeats, locks, queue
from polling.workers.heartbeats import Part
from polling.workers.queue_guard import BEAT
from polling.workers.watchdog import Watchdog

pytestmark = pytest.mark.django_db


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watchdog(clock: Clock, transactional_db: None) -> Watchdog:
    return Watchdog("here", repair_clock_skew, clock=clock)


def look_for(watchdog: Watchdog, clock: Clock, seconds: float, *alive: Part) -> None:
    """Look every ten seconds, while these parts show life."""
    start = timezone.now()
    for step in range(int(seconds) // 10):
        for part in alive:
            heartbeats.beat(part, "here", at=start + timedelta(seconds=clock.seconds + step))
        clock.seconds += 10
        watchdog.look()


def test_a_cluster_that_shows_life_is_left_alone(watchdog: Watchdog, clock: Clock) -> None:
    look_for(watchdog, clock, 600, Part.CLUSTER, Part.ANSWER)
    assert watchdog.frozen() == ""


def test_a_cluster_without_any_sign_of_life_is_frozen_after_45_seconds(watchdog: Watchdog, clock: Clock) -> None:
    look_for(watchdog, clock, 40)
    assert watchdog.frozen() == ""
    look_for(watchdog, clock, 10)
    assert watchdog.frozen() == "no sign of life for 50 s"


@pytest.mark.parametrize("alive", [Part.CLUSTER, Part.ANSWER])
def test_half_a_sign_of_life_counts_for_minutes(watchdog: Watchdog, clock: Clock, alive: Part) -> None:
    look_for(watchdog, clock, 450, alive)
    assert watchdog.frozen() == ""
    look_for(watchdog, clock, 10, alive)
    assert watchdog.frozen() == "a part of it showed no sign of life for 460 s"


def test_a_new_cluster_has_all_its_time(watchdog: Watchdog, clock: Clock) -> None:
    look_for(watchdog, clock, 50)
    watchdog.start_over()
    assert watchdog.frozen() == ""


def test_the_first_look_makes_the_schedule_and_every_ten_seconds_a_heartbeat_is_queued(
    watchdog: Watchdog, clock: Clock
) -> None:
    queued: list[str] = []

    def note(task: dict[str, str], **_: object) -> None:
        queued.append(task["func"])

    pre_enqueue.connect(note)
    for _ in range(20):
        watchdog.look()
        clock.seconds += 1
    pre_enqueue.disconnect(note)
    assert queued == [BEAT, BEAT]
    assert Schedule.objects.count() == 1


def test_the_schedule_is_made_once_and_mended(transactional_db: None) -> None:
    queue.ensure_tick()
    queue.ensure_tick()
    first = Schedule.objects.get()
    assert (first.func, first.minutes, first.repeats) == ("polling.tasks.tick", 1, -1)

    Schedule.objects.update(args="what stops every schedule of django-q2")
    Schedule.objects.create(name=queue.TICK, func="polling.tasks.tick")
    queue.ensure_tick()

    mended = Schedule.objects.get()
    assert (mended.args, mended.minutes) == (None, 1)


@pytest.mark.parametrize("started_anew", [False, True])
def test_a_clock_that_was_ahead_stops_neither_the_schedule_nor_the_periodic_jobs(
    watchdog: Watchdog, clock: Clock, *, started_anew: bool
) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=3650)):
        watchdog.look()
        Schedule.objects.update(next_run=timezone.now() + timedelta(minutes=1))
        assert run_due_jobs(timezone.now())
    (Watchdog("here", repair_clock_skew, clock=clock) if started_anew else watchdog).look()
    assert Schedule.objects.get().next_run <= timezone.now()
    assert run_due_jobs(timezone.now()) == [job.name for job in PERIODIC_JOBS]


def test_jobs_are_done_once_in_their_time() -> None:
    now = timezone.now()
    every_minute = [job.name for job in PERIODIC_JOBS if job.every < timedelta(minutes=1)]
    assert run_due_jobs(now) == [job.name for job in PERIODIC_JOBS]
    assert run_due_jobs(now + timedelta(minutes=1)) == every_minute
    assert run_due_jobs(now + timedelta(hours=24)) == [job.name for job in PERIODIC_JOBS]


def test_the_signs_of_life_of_machines_that_are_no_more_are_forgotten() -> None:
    now = timezone.now()
    heartbeats.beat(Part.CLUSTER, "gone", at=now - timedelta(days=2))
    heartbeats.beat(Part.CLUSTER, "here", at=now)
    for owner, at in (("gone", now - timedelta(days=2)), ("here", now)):
        locks.confirm(Lock.Kind.SLOT, f"{owner} poll 0", at, owner=owner)
    run_due_jobs(now)
    assert (heartbeats.seen("gone"), heartbeats.seen("here")) == ({}, {Part.CLUSTER: now})
    assert list(Lock.objects.filter(kind=Lock.Kind.SLOT).values_list("owner", flat=True)) == ["here"]


def test_tick_queues_what_is_due_and_shows_life() -> None:
    tasks.tick()
    assert list(heartbeats.seen(heartbeats.cluster_name())) == [Part.CLUSTER]
