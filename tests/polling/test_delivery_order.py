"""Order per record, and nothing lost, whatever the receiver does: random failures over the real loop and log."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instances.models import Instance, ResourcePoll
from polling.delivery.delivery_loop import deliver_due
from polling.delivery.pausing import release_all_of
from polling.detection.event_log import PollEvents, record_events
from polling.detection.snapshots import NewSnapshot, remember
from polling.models import DeliveryState, Event, NewEvent, Notification, PollRun, Receiver
from tests.conftest import Tenant
from tests.support import receivers
from tests.support.notifications import make_instance
from tests.support.receivers import Got

STATUSES = (204, 204, 204, 500, 429, 302, 404, 410)
ROUNDS = st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=25, unique=True), min_size=1, max_size=6)


class Story:
    """Pages of changes sent to a receiver that answers at random."""

    def __init__(self, poll: ResourcePoll, receiver: receivers.Receiver, seed: int) -> None:
        self.poll, self.receiver, self.chance = poll, receiver, random.Random(seed)
        self.arrived: dict[str, list[int]] = {}
        self.calm = False
        receiver.answer = self.answer

    def answer(self, got: Got) -> tuple[int, dict[str, str]]:
        """Answer at random; what was taken is noted, repeats left aside."""
        status = 204 if self.calm else self.chance.choice(STATUSES)
        if status == 204:
            for event in got.json["message"]["raw"]["contacts"]:
                self.arrived.setdefault(str(event["id"]), []).append(event["version"])
        return status, {}

    def record(self, records: list[int], version: int) -> None:
        """Remember one page's records, and write their events."""
        remember(self.poll.pk, [NewSnapshot(record, None, bytes(16), None) for record in records])
        self.write(records, version)

    def write(self, records: list[int], version: int) -> None:
        """Write the events of records that are remembered."""
        now = timezone.now()
        run = PollRun.objects.create(resource_poll=self.poll, started_at=now, status=PollRun.Status.COMPLETE)
        events = [
            NewEvent("contacts", str(record), record, "UPDATED", now, now, f'{{"id":{record},"version":{version}}}')
            for record in records
        ]
        record_events([PollEvents(self.poll, run, events)], now=now)

    def deliver(self, instance: Instance) -> None:
        """Let time pass: everything that waits for a time is due, a pause is released by chance."""
        paused = DeliveryState.objects.filter(pk=instance.pk, paused_at__isnull=False).exists()
        if paused and (self.calm or self.chance.random() < 0.5):
            release_all_of(instance, timezone.now())
        past = timezone.now() - timedelta(seconds=1)
        Notification.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=past)
        Receiver.objects.filter(open_until__isnull=False).update(open_until=past)
        deliver_due(deadline=float("inf"))


@pytest.fixture
def poll(tenant: Tenant, receiver: receivers.Receiver) -> ResourcePoll:
    instance = make_instance(tenant.organization, receiver.url)
    return ResourcePoll.objects.create(instance=instance, name="contacts", since=timezone.now())


def test_a_change_of_a_record_that_is_not_remembered_is_refused(
    poll: ResourcePoll, receiver: receivers.Receiver
) -> None:
    story = Story(poll, receiver, 0)
    story.record([1], 0)
    with pytest.raises(ValueError, match="not remembered"):
        story.write([1, 2], 1)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rounds=ROUNDS, seed=st.integers(0, 2**32), tries=st.sampled_from([2, 40]))
def test_no_records_events_arrive_out_of_order_or_not_at_all(
    poll: ResourcePoll, receiver: receivers.Receiver, rounds: list[list[int]], seed: int, tries: int
) -> None:
    Event.objects.all().delete()
    Notification.objects.all().delete()
    story = Story(poll, receiver, seed)
    with override_settings(RETRY_SCHEDULE=[0.0] * tries):
        for version, records in enumerate(rounds):
            story.record(records, version)
            story.deliver(poll.instance)
        for _ in range(6):
            story.deliver(poll.instance)
        story.calm = True
        while Notification.objects.filter(state__in=Notification.UNDELIVERED).exists():
            story.deliver(poll.instance)
    given_up = {
        (event.object_id, event.record) for event in Event.objects.filter(notification__state=Notification.State.FAILED)
    }
    for record in {str(record) for records in rounds for record in records}:
        arrived = story.arrived.get(record, [])
        assert arrived == sorted(arrived)
        recorded = [version for version, records in enumerate(rounds) if int(record) in records]
        missing = [version for version in recorded if version not in arrived]
        assert {(record, f'{{"id":{record},"version":{version}}}') for version in missing} <= given_up
        if tries == 40:
            assert arrived == recorded
