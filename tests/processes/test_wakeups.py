"""When a wake-up is sent, and how many tasks of a kind run beside each other."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from django_q.models import Task
from pytest_django import Settings

from instances.models import Instance, Organization, ResourcePoll
from instances.secrets import Secret
from polling import tasks
from polling.models import (
    AlertDestination,
    BulkJob,
    CallbackEndpoint,
    Copy,
    Lock,
    Notification,
    PollState,
    Replay,
    Site,
    Verification,
)
from polling.models.leased import leased_rows
from polling.workers import heartbeats, locks, wakeups
from polling.workers import queue as queueing
from polling.workers.due import delivery_due_at, poll_due_at
from polling.workers.heartbeats import Part
from polling.workers.wakeups import Kind

SECOND = timedelta(seconds=1)


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def instance(organization: Organization) -> Instance:
    keys = {"public_key": Secret.of("PUB"), "private_key": Secret.of("PRIV")}
    return Instance.objects.create(organization=organization, name="A", token_hash="a", **keys)


@pytest.fixture
def poll(instance: Instance, now: datetime) -> PollState:
    """A poll that has just become due."""
    resource = ResourcePoll.objects.create(instance=instance, name="contacts")
    return PollState.objects.create(resource_poll=resource, site="a site", next_poll_at=now)


@pytest.fixture
def notification(instance: Instance, now: datetime) -> Notification:
    """A notification that has just become due."""
    return Notification.objects.create(
        id=1, instance=instance, webhook_id="msg_1", body="{}", event_count=1, next_attempt_at=now, created_at=now
    )


class Queue:
    """Takes what is sent, unless it is down."""

    def __init__(self, *, down: bool = False) -> None:
        self.sent: list[Kind] = []
        self.down = down

    def send(self, kind: Kind) -> None:
        if self.down:
            raise ConnectionError("the queue is down")
        self.sent.append(kind)


def test_nothing_due_wakes_nobody(db: None) -> None:
    assert wakeups.send_due(Queue().send) == []


def test_what_is_due_is_woken_once_until_it_has_begun(poll: PollState, now: datetime) -> None:
    queue = Queue()
    for _ in range(3):
        wakeups.send_due(queue.send, now)
    assert queue.sent == [Kind.POLL]

    wakeups.begun(Kind.POLL)

    assert wakeups.send_due(queue.send, now) == [Kind.POLL]


def test_polls_and_deliveries_are_woken_each_by_its_own(poll: PollState, notification: Notification) -> None:
    assert wakeups.send_due(Queue().send) == [Kind.POLL, Kind.DELIVER]


def test_a_wake_up_that_never_began_is_sent_again(poll: PollState, now: datetime) -> None:
    queue = Queue()
    for seconds in (0, 29, 30):
        wakeups.send_due(queue.send, now + seconds * SECOND)
    assert queue.sent == [Kind.POLL, Kind.POLL]


def test_a_wake_up_that_the_queue_refused_is_sent_as_soon_as_it_takes_it(poll: PollState, now: datetime) -> None:
    queue = Queue(down=True)
    with pytest.raises(ConnectionError):
        wakeups.send_due(queue.send, now)
    queue.down = False
    assert wakeups.send_due(queue.send, now) == [Kind.POLL]


def test_a_task_that_failed_as_a_whole_is_not_repeated_every_second(poll: PollState) -> None:
    def fail(stretch: wakeups.Stretch) -> int:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        tasks._work(Kind.POLL, fail)

    failed_at = timezone.now()
    assert wakeups.send_due(Queue().send, failed_at + 20 * SECOND) == []
    assert wakeups.send_due(Queue().send, failed_at + 31 * SECOND) == [Kind.POLL]


def test_a_call_needs_no_look_at_what_is_due(db: None) -> None:
    queue = Queue()
    assert wakeups.call(Kind.DELIVER, queue.send)
    assert not wakeups.call(Kind.DELIVER, queue.send)
    wakeups.begun(Kind.DELIVER)
    with wakeups.slot(Kind.DELIVER):
        assert not wakeups.call(Kind.DELIVER, queue.send)
    assert wakeups.call(Kind.DELIVER, queue.send)
    assert queue.sent == [Kind.DELIVER, Kind.DELIVER]


def test_a_task_calls_another_for_what_came_while_it_ended(
    poll: PollState, notification: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue()
    monkeypatch.setattr(queueing, "queue", queue.send)
    tasks._work(Kind.DELIVER, lambda stretch: 1)
    assert queue.sent == [Kind.DELIVER]


def test_a_task_that_could_do_nothing_calls_nobody(notification: Notification, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue()
    monkeypatch.setattr(queueing, "queue", queue.send)
    tasks._work(Kind.DELIVER, lambda stretch: 0)
    assert queue.sent == []


def test_a_task_that_left_nothing_calls_nobody(poll: PollState, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue()
    monkeypatch.setattr(queueing, "queue", queue.send)
    tasks._work(Kind.DELIVER, lambda stretch: 1)
    assert queue.sent == []


@pytest.mark.django_db(transaction=True)
def test_a_commit_calls_and_what_is_rolled_back_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue()
    monkeypatch.setattr(queueing, "queue", queue.send)
    with transaction.atomic():
        queueing.wake_on_commit(Kind.DELIVER)
        transaction.set_rollback(True)
    assert queue.sent == []
    with transaction.atomic():
        queueing.wake_on_commit(Kind.DELIVER)
        queueing.wake_on_commit(Kind.DELIVER)
        assert queue.sent == []
    assert queue.sent == [Kind.DELIVER]


def test_a_queue_that_is_down_does_not_hurt_the_commit(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue(down=True)
    monkeypatch.setattr(queueing, "queue", queue.send)
    queueing._wake(Kind.DELIVER)
    assert "the queue is down" in caplog.text
    queue.down = False
    queueing._wake(Kind.DELIVER)
    assert queue.sent == [Kind.DELIVER]


def test_failures_of_tasks_are_forgotten_after_a_week(db: None, now: datetime) -> None:
    for days in (6, 8):
        Task.objects.create(
            id=str(days), name=str(days), func="f", success=False, started=now, stopped=now - timedelta(days=days)
        )
    assert queueing.delete_task_failures(now) == 1


def test_a_leased_poll_is_due_when_its_lease_ends(poll: PollState, now: datetime) -> None:
    poll.lease_token, poll.lease_until = "x", now + 20 * SECOND
    poll.save()
    assert wakeups.send_due(Queue().send, now) == []
    assert wakeups.send_due(Queue().send, now + 21 * SECOND) == [Kind.POLL]


def test_a_poll_of_a_site_that_asked_us_to_wait_wakes_nobody(poll: PollState, now: datetime) -> None:
    Site.objects.create(key=poll.site, blocked_until=now + 30 * SECOND)
    assert poll_due_at(now) is None


def test_a_notification_without_a_next_attempt_is_not_due(notification: Notification, now: datetime) -> None:
    assert delivery_due_at(now) == now
    notification.state, notification.next_attempt_at = Notification.State.DELIVERED, None
    notification.save()
    assert delivery_due_at(now) is None


def test_a_second_task_of_a_kind_is_sent_only_for_what_was_left_lie(poll: PollState, now: datetime) -> None:
    with wakeups.slot(Kind.POLL):
        assert wakeups.send_due(Queue().send, now + SECOND) == []
        assert wakeups.send_due(Queue().send, now + 2 * SECOND) == [Kind.POLL]


def test_the_task_in_the_last_place_has_a_short_stretch_and_one_more_has_none(db: None, settings: Settings) -> None:
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"workers": 2}
    with wakeups.slot(Kind.POLL) as first, wakeups.slot(Kind.POLL) as last, wakeups.slot(Kind.POLL) as none:
        assert first is not None
        assert last is not None
        assert none is None
        assert 45 < first.deadline - last.deadline <= 50
        assert (first.linger, last.linger) == (1, 0)
    with wakeups.slot(Kind.POLL) as again:
        assert again is not None
        assert again.linger == 1


def test_the_place_of_a_task_that_died_is_free_after_a_while(db: None, now: datetime, settings: Settings) -> None:
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"workers": 1}
    name = f"{heartbeats.cluster_name()} poll 0"
    locks.confirm(Lock.Kind.SLOT, name, now - 40 * SECOND)
    with wakeups.slot(Kind.POLL) as stretch:
        assert stretch is None
    locks.confirm(Lock.Kind.SLOT, name, now - 46 * SECOND)
    with wakeups.slot(Kind.POLL) as stretch:
        assert stretch is not None


def test_what_a_dead_cluster_held_is_free_at_once(poll: PollState, notification: Notification, now: datetime) -> None:
    others, until = "b" * 32, now + 100 * SECOND
    PollState.objects.update(lease_token="a1b2c3d4e5f6" + 20 * "0", lease_until=until)
    Notification.objects.update(lease_token=others, lease_until=until)
    for cluster in ("dead", "other"):
        locks.confirm(Lock.Kind.SLOT, f"{cluster} poll 0", now, owner=cluster)
        heartbeats.beat(Part.CLUSTER, cluster)
        heartbeats.beat(Part.ANSWER, cluster)

    heartbeats.release_dead_cluster("dead", "a1b2c3d4e5f6")

    assert poll_due_at(now) == now
    assert wakeups.send_due(Queue().send, now) == [Kind.POLL]  # the notification is still another's
    assert heartbeats.seen("dead") == {}
    assert sorted(heartbeats.seen("other")) == [Part.ANSWER, Part.CLUSTER]
    assert list(Lock.objects.filter(kind=Lock.Kind.SLOT).values_list("owner", flat=True)) == ["other"]


def test_every_kind_of_lease_of_a_dead_cluster_is_free_at_once(
    organization: Organization, poll: PollState, notification: Notification, now: datetime
) -> None:
    Verification.objects.create(resource_poll=poll.resource_poll, asked_at=now)
    Replay.objects.create(instance=notification.instance, asked_at=now, what="all")
    BulkJob.objects.create(organization=organization, asked_at=now, total=1)
    CallbackEndpoint(instance=notification.instance, token=Secret.of("a"), token_hash="a").save()
    AlertDestination.objects.create(organization=organization, kind="webhook", name="a", since=now)
    Copy.objects.create(instance=notification.instance, asked_at=now)
    for rows in leased_rows():
        assert rows.update(lease_token="a1b2c3d4e5f6" + 20 * "0", lease_until=now + 100 * SECOND) == 1, rows.model

    heartbeats.release_dead_cluster("dead", "a1b2c3d4e5f6")

    for rows in leased_rows():
        assert list(rows.values_list("lease_token", "lease_until")) == [(None, None)], rows.model
