"""Retention forgets what was delivered, and nothing else."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import chain, repeat

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cwconnect.site.periodic_jobs import run_due_jobs
from polling.maintenance import retention
from polling.maintenance.retention import prune, prune_delivered
from polling.models import (
    Alert,
    AlertSend,
    CallbackCount,
    CallbackHint,
    Copy,
    DeliveryAttempt,
    Event,
    Notification,
    PollRun,
    RecordSnapshot,
    Replay,
    SnapshotBody,
)
from tests.support.polled_instance import PolledInstance

LATER = timedelta(days=31)
State = Notification.State


def notify(world: PolledInstance, state: str) -> Notification:
    """Have one event carried by a notification in that state."""
    world.change(3, f"Chief {Notification.objects.count()}")
    world.poll()
    notification = Notification.objects.latest("pk")
    Notification.objects.filter(pk=notification.pk).update(state=state)
    DeliveryAttempt.objects.create(notification=notification, url="http://127.0.0.1:9/", started_at=timezone.now())
    return notification


def test_what_was_delivered_goes_with_its_events_attempts_and_runs(watched: PolledInstance) -> None:
    notify(watched, State.DELIVERED)
    pruned = prune(timezone.now() + LATER)
    assert (pruned.notifications, pruned.events) == (1, 1)
    assert not Event.objects.exists()
    assert not DeliveryAttempt.objects.exists()
    assert not PollRun.objects.exists()


@pytest.mark.parametrize("state", [State.PENDING, State.EXHAUSTED, State.FAILED])
def test_what_was_not_delivered_stays_with_the_run_that_found_it(watched: PolledInstance, state: str) -> None:
    notification = notify(watched, state)
    prune(timezone.now() + LATER)
    event = notification.events.get()
    assert event.run is not None
    assert notification.attempts.count() == 1


def test_what_is_being_sent_again_stays_until_it_was(watched: PolledInstance) -> None:
    notification = notify(watched, State.DELIVERED)
    replay = Replay.objects.create(instance=watched.instance, asked_at=timezone.now(), what="all")
    Notification.objects.update(replay=replay)
    prune(timezone.now() + LATER)
    assert notification.events.count() == 1
    Notification.objects.update(replay=None)
    prune(timezone.now() + LATER)
    assert not Event.objects.exists()


def test_before_its_time_nothing_goes(watched: PolledInstance) -> None:
    notify(watched, State.DELIVERED)
    prune(timezone.now() + timedelta(days=29))
    assert Event.objects.count() == 1


def test_known_rows_stay_and_nothing_is_recorded_again(watched: PolledInstance) -> None:
    notify(watched, State.DELIVERED)
    prune(timezone.now() + LATER)
    assert RecordSnapshot.objects.filter(record_id=3).exists()
    watched.poll()
    assert Event.objects.count() == 0


def test_a_notification_that_waits_for_a_pruned_one_stays(watched: PolledInstance) -> None:
    first = notify(watched, State.PENDING)
    follower = notify(watched, State.PENDING)
    assert follower.follows_id == first.pk
    Notification.objects.filter(pk=first.pk).update(state=State.DELIVERED)
    prune(timezone.now() + LATER)
    assert Notification.objects.get().follows_id is None


def test_texts_go_when_no_poll_asks_for_them_any_more(world: PolledInstance) -> None:
    world.watch(poll={"trackChanges": True})
    notify(world, State.DELIVERED)
    prune(timezone.now())
    assert SnapshotBody.objects.count() == 1
    world.instance.resource_polls.update(configuration={})
    prune(timezone.now())
    assert SnapshotBody.objects.count() == 0


def test_open_runs_and_held_deletes_stay(watched: PolledInstance) -> None:
    poll = watched.instance.resource_polls.get()
    now = timezone.now()
    PollRun.objects.create(resource_poll=poll, started_at=now)
    PollRun.objects.create(
        resource_poll=poll, kind="sweep", status="complete", held=[1], started_at=now, finished_at=now
    )
    prune(now + LATER)
    assert PollRun.objects.count() == 2


def test_the_worker_prunes_each_minute(watched: PolledInstance) -> None:
    notify(watched, State.DELIVERED)
    run_due_jobs(timezone.now() + LATER)
    assert not Event.objects.exists()


def test_the_worker_prunes_for_a_while_and_goes_on_the_next_time(
    watched: PolledInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(watched, State.DELIVERED)
    monkeypatch.setattr("polling.maintenance.unhurried.STRETCH", timedelta(0))
    assert prune_delivered(timezone.now() + LATER).notifications == 0
    monkeypatch.undo()
    assert prune_delivered(timezone.now() + LATER).notifications == 1


def test_what_stays_is_walked_past_once(watched: PolledInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polling.maintenance.unhurried.BATCH", 2)
    ages = [(State.FAILED, 50), *[(State.DELIVERED, age) for age in (49, 48, 48, 47, 46)]]
    now = timezone.now()
    for state, days in ages:
        Notification.objects.filter(pk=notify(watched, state).pk).update(created_at=now - timedelta(days=days))
    with CaptureQueriesContext(connection) as captured:
        assert prune_delivered(now).notifications == 5
    looks = [query["sql"] for query in captured.captured_queries if '"created_at" >=' in query["sql"]]
    assert ["0001-01-01" in look for look in looks] == [True, False, False, False]


def test_a_worker_that_is_asked_to_stop_ends_with_the_batch_under_way(
    watched: PolledInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polling.maintenance.unhurried.BATCH", 1)
    for _ in range(3):
        notify(watched, State.DELIVERED)
    asked = chain([False], repeat(True))
    monkeypatch.setattr("polling.maintenance.unhurried.stopping", lambda: next(asked))
    assert prune_delivered(timezone.now() + LATER).notifications == 1


def test_each_batch_leaves_others_as_much_time_as_it_took(
    watched: PolledInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(watched, State.DELIVERED)
    pauses: list[float] = []
    monkeypatch.setattr("polling.maintenance.unhurried.time.sleep", pauses.append)
    began = time.monotonic()
    prune_delivered(timezone.now() + LATER)
    assert len(pauses) == 2  # after the notification and after the run, not after the looks that found nothing
    assert 0 < sum(pauses) <= time.monotonic() - began


def test_the_command_says_what_went(watched: PolledInstance, capsys: pytest.CaptureFixture[str]) -> None:
    notify(watched, State.DELIVERED)
    Notification.objects.update(created_at=timezone.now() - LATER)
    call_command("prune", verbosity=0)
    assert "Deleted 1 notification with 1 event" in capsys.readouterr().out


def test_the_command_deletes_warnings_and_copies_as_well(watched: PolledInstance) -> None:
    long_ago = timezone.now() - LATER
    instance = watched.instance
    owner = instance.organization_id or 0
    Alert.objects.create(kind=Alert.Kind.PAUSED, organization_id=owner, created_at=long_ago, resolved_at=long_ago)
    Copy.objects.create(instance=instance, status=Copy.Status.COMPLETED, asked_at=long_ago, expires_at=long_ago)
    call_command("prune")
    assert not Alert.objects.exists()
    assert not Copy.objects.exists()


def test_callbacks_go_after_a_week_and_their_counts_a_day_later(
    watched: PolledInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polling.maintenance.unhurried.BATCH", 2)
    now = timezone.now()
    for days in (9, 8, 7.5, 7.1, 6.9, 0):
        at = now - timedelta(days=days)
        CallbackHint.objects.create(instance=watched.instance, received_at=at, judge_at=at)
        hour = at.replace(minute=0, second=0, microsecond=0)
        CallbackCount.objects.create(instance=watched.instance, hour=hour, type="contact", name="received", count=1)
    run_due_jobs(now)
    assert CallbackHint.objects.count() == 2
    assert not CallbackHint.objects.filter(received_at__lt=now - timedelta(days=7)).exists()
    assert not CallbackCount.objects.filter(hour__lt=now - timedelta(days=8)).exists()
    assert CallbackCount.objects.count() == 4


def test_the_command_says_how_many_callbacks_went(watched: PolledInstance, capsys: pytest.CaptureFixture[str]) -> None:
    at = timezone.now() - timedelta(days=8)
    CallbackHint.objects.create(instance=watched.instance, received_at=at, judge_at=at)
    call_command("prune")
    assert "1 callback" in capsys.readouterr().out


def test_warnings_that_are_over_go_with_where_they_were_sent_and_open_ones_stay(
    watched: PolledInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polling.maintenance.unhurried.BATCH", 2)
    now = timezone.now()
    ended = {"ended long ago": now - LATER, "ended too": now - LATER, "and this": now - LATER, "ended of late": now}
    for text, at in {**ended, "open since long": None}.items():
        alert = Alert.objects.create(
            kind=Alert.Kind.PAUSED,
            organization_id=watched.instance.organization_id or 0,
            instance=watched.instance,
            text=text,
            created_at=now - 2 * LATER,
            resolved_at=at,
        )
        AlertSend.objects.create(alert=alert, place="On call", state=AlertSend.State.SENT, sent_at=now - LATER)
    retention.prune_the_rest(now)
    assert set(Alert.objects.values_list("text", flat=True)) == {"ended of late", "open since long"}
    assert AlertSend.objects.count() == 2
