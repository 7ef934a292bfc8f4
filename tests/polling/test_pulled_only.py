"""An instance without a callback URL: its events are recorded and pulled, and nobody is notified of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from instances.configuration.config_keys import CALLBACK_URL
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance
from instances.provisioning import change_instance
from polling.delivery.delivery_loop import deliver_these
from polling.delivery.fan_out.beginnings import begin
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import rearm_stranded, release_all_of
from polling.delivery.replay.replays import start_replay
from polling.delivery.replay.selection import Selection
from polling.detection.poll_loop import PollLoop
from polling.detection.polls.runs import PollJob
from polling.models import Event, Notification, PollState, Site, Subscription
from polling.reports.counters import EVENTS, read
from polling.verification.repair import repair
from polling.verification.report import verify
from polling.workers.due import make_due
from polling.workers.leases import LeaseLostError
from tests.support.deliveries import deliver
from tests.support.polled_instance import PolledInstance, answered, claimed_state
from tests.support.receivers import Receiver


def set_url(world: PolledInstance, url: str) -> None:
    """Change the instance's callback URL, as the API and the pages do."""
    instance = Instance.objects.get(pk=world.instance.pk)
    stored = config_of(instance)
    world.instance = change_instance(
        instance, config=read_configuration({CALLBACK_URL: url}, base=stored, stored=stored)
    )


def change(world: PolledInstance, *record_ids: int) -> None:
    """Change contacts and poll, each time to another title."""
    for record_id in record_ids:
        world.change(record_id, f"Chief {Event.objects.count()}")
    world.poll()


@pytest.fixture
def pulled(world: PolledInstance) -> PolledInstance:
    """A watched world without a callback URL, of which two changes were recorded."""
    world.watch(callback_url="")
    world.poll()
    change(world, 1, 2)
    world.recorded()
    return world


def pull(world: PolledInstance, after: int = 0) -> list[dict[str, Any]]:
    answer = Client().get(f"/v1/events?after={after}", headers={"Authorization": world.tenant.auth})
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_events_are_recorded_and_pulled_and_no_notification_is_made(pulled: PolledInstance) -> None:
    assert [(item["object_id"], item["delivery_id"]) for item in pull(pulled)] == [("1", None), ("2", None)]
    assert not Notification.objects.exists()
    assert deliver() == 0


def test_two_changes_of_a_record_are_two_events_in_order(pulled: PolledInstance) -> None:
    after = pull(pulled)[-1]["id"]
    change(pulled, 1)
    change(pulled, 1)
    assert [item["record"]["title"] for item in pull(pulled, after)] == ["Chief 2", "Chief 3"]


def test_more_than_a_notification_carries_is_recorded_at_once(pulled: PolledInstance) -> None:
    change(pulled, *range(3, 28))
    assert [item["object_id"] for item in pull(pulled)[2:]] == [str(record) for record in range(3, 28)]
    assert not Notification.objects.exists()


def test_its_events_are_counted(pulled: PolledInstance) -> None:
    assert read(EVENTS, timezone.now()).counts == {("UPDATED",): 2}


def test_an_instance_polled_beside_it_is_notified_as_ever(
    pulled: PolledInstance, receiver: Receiver, other_tenant: Any, sandbox: Any
) -> None:
    beside = PolledInstance(other_tenant, sandbox)
    beside.watch(callback_url=receiver.url)
    beside.poll()
    deliver()
    before = len(receiver.events())
    pulled.change(5, "Chief")
    Site.objects.all().delete()
    make_due(PollState.objects.all())
    PollLoop(PollState.objects.all(), deadline=float("inf")).run()
    deliver()
    assert receiver.events()[before:] == [("UPDATED", "5")]
    assert not Event.objects.filter(instance=beside.instance, notification=None).exists()
    assert Event.objects.filter(instance=pulled.instance, notification=None).count() == 3


def test_a_url_set_later_is_notified_of_what_is_recorded_from_then_on(
    pulled: PolledInstance, receiver: Receiver
) -> None:
    set_url(pulled, receiver.url)
    change(pulled, 3, 1)
    deliver()
    assert receiver.events() == [("UPDATED", "1"), ("UPDATED", "3")]
    assert Event.objects.filter(notification=None).count() == 2


def test_a_run_that_began_without_a_url_commits_nothing_once_there_is_one(
    pulled: PolledInstance, receiver: Receiver
) -> None:
    pulled.change(4, "Under way")
    job = PollJob(*claimed_state(pulled))
    answer = answered(job)
    set_url(pulled, receiver.url)
    with pytest.raises(LeaseLostError):
        job.commit(answer.result())
    pulled.poll()
    deliver()
    assert receiver.events() == [("UPDATED", "4")]


def test_what_waits_waits_for_a_url_and_polls_go_on(notifying: PolledInstance, receiver: Receiver) -> None:
    change(notifying, 1)
    set_url(notifying, "")
    change(notifying, 1, 2)
    assert deliver() == 0
    assert rearm_stranded(timezone.now()) == 0
    release_all_of(notifying.instance, timezone.now())
    waiting = Notification.objects.get()
    assert (waiting.state, waiting.next_attempt_at) == ("pending", None)
    assert [item["object_id"] for item in pull(notifying)] == ["1", "1", "2"]
    set_url(notifying, receiver.url)
    deliver()
    assert receiver.events() == [("UPDATED", "1")]


def test_later_notifications_of_a_record_wait_for_the_one_before_the_url_was_away(
    notifying: PolledInstance, receiver: Receiver
) -> None:
    change(notifying, 1)
    first = Notification.objects.get()
    set_url(notifying, "")
    change(notifying, 1)
    set_url(notifying, receiver.url)
    change(notifying, 1)
    assert Notification.objects.latest("pk").follows_id == first.pk
    deliver()
    deliver()
    assert receiver.events() == [("UPDATED", "1"), ("UPDATED", "1")]


def test_a_verification_finds_nothing_missing_and_a_repair_sends_nothing(
    pulled: PolledInstance, receiver: Receiver
) -> None:
    found = verify(pulled.state.resource_poll, timezone.now())
    assert (found.undelivered, found.whole) == (0, True)
    set_url(pulled, receiver.url)
    pulled.poll()
    found = verify(pulled.state.resource_poll, timezone.now())
    assert (found.undelivered, found.whole) == (0, True)
    repair(found)
    deliver_these([pulled.instance.pk])
    assert receiver.events() == []
    change(pulled, 1)
    Notification.objects.all().delete()
    assert verify(pulled.state.resource_poll, timezone.now()).undelivered == 1


def test_what_the_first_subscription_was_off_for_is_not_lost(notifying: PolledInstance, receiver: Receiver) -> None:
    first = first_subscription(notifying.instance)
    Subscription.objects.filter(pk=first.pk).update(enabled=False)
    change(notifying, 1)
    poll = notifying.state.resource_poll
    assert verify(poll, timezone.now()).undelivered == 0
    first.enabled = True
    first.save(update_fields=["enabled"])
    with transaction.atomic():
        begin(first)
    assert verify(poll, timezone.now()).undelivered == 0
    change(notifying, 2)
    deliver()
    assert receiver.events() == [("UPDATED", "2")]
    Notification.objects.all().delete()
    assert verify(poll, timezone.now()).undelivered == 1


def test_a_replay_has_nothing_to_send(pulled: PolledInstance) -> None:
    replay = start_replay(pulled.instance, Selection(resource="contacts"), timezone.now())
    assert (replay.total, replay.stage) == (0, "ended")


def test_its_history_says_that_nothing_will_be_sent(pulled: PolledInstance) -> None:
    path = f"/instances/{pulled.instance.pk}/events"
    rows = Client().get(path, headers={"Authorization": pulled.tenant.auth}).json()
    assert [row["status"] for row in rows] == ["CONSUMED", "CONSUMED"]
    asked = Client().get(f"{path}?status=CONSUMED", headers={"Authorization": pulled.tenant.auth}).json()
    assert asked == rows
