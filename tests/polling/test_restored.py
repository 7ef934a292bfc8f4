"""After a restore by the database's own tools: no new event has the id of one that was recorded since the backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone

from instances.models import AuditEntry
from polling.log.event_ids import IDS_SKIPPED, go_on_after, last_taken, take_ids
from polling.models import Event, Notification, Subscription
from polling.verification.of_subscriptions import account_for
from tests.support.deliveries import change, deliver
from tests.support.polled_instance import PolledInstance
from tests.support.read_log import held_for, made_for, read_log, subscribe
from tests.support.receivers import Got, Receiver, start_receiver


def newest() -> int:
    return Event.objects.latest("pk").pk


def test_event_ids_go_on_a_billion_further(watched: PolledInstance, capsys: pytest.CaptureFixture[str]) -> None:
    change(watched, 3)
    before = newest()
    call_command("restored")
    change(watched, 3, title="Owner")
    assert newest() == before + IDS_SKIPPED + 1
    assert "Before you start the workers" in capsys.readouterr().out


def test_a_backup_from_before_the_first_event_will_do(db: None) -> None:
    go_on_after(0)
    call_command("restored", verbosity=0)
    assert take_ids(1) == [IDS_SKIPPED + 1]


def test_ids_go_on_beyond_those_that_are_there_whatever_the_position_says(watched: PolledInstance) -> None:
    change(watched, 3)
    there = newest()
    go_on_after(0)
    call_command("restored", verbosity=0)
    assert take_ids(2) == [there + IDS_SKIPPED + 1, there + IDS_SKIPPED + 2]


def test_who_was_signed_out_since_stays_so_and_it_is_on_record(admin_client: Client) -> None:
    assert Session.objects.exists()
    call_command("restored", verbosity=0)
    assert not Session.objects.exists()
    assert AuditEntry.objects.filter(action="database restored").count() == 1


class TestSubscriptions:
    """What subscriptions that read the log are sent after a restore: all of it, and nothing silently twice."""

    @pytest.fixture
    def other(self) -> Iterator[Receiver]:
        with start_receiver() as running:
            yield running

    @pytest.fixture
    def further(self, notifying: PolledInstance, other: Receiver) -> Subscription:
        """A further subscription that wants updates, which was sent one by the time of the backup."""
        made = subscribe(notifying.instance, filter={"where": "title != 'Hidden'"}, callback_url=other.url)
        change(notifying, 3)
        self.sent(other)
        return made

    def sent(self, receiver: Receiver) -> list[Got]:
        """Make notifications of the log, send all, and return what came that had not."""
        before = len(receiver.got)
        read_log()
        deliver()
        return receiver.got[before:]

    def restore(self, since_the_backup: Callable[[], list[Got]], capsys: pytest.CaptureFixture[str]) -> list[Got]:
        """Have done what was done since the backup, then make the backup the database again; return what was sent."""
        position = last_taken()
        backup = transaction.savepoint()
        sent = since_the_backup()
        transaction.savepoint_rollback(backup)
        go_on_after(position)  # which a sequence keeps, where the database is the same
        call_command("restored")
        assert "receivers may hear of them twice" in " ".join(capsys.readouterr().out.split())
        return sent

    def test_what_was_recorded_since_is_recorded_again_beyond_all_ids_and_read_for_them(
        self, notifying: PolledInstance, further: Subscription, other: Receiver, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def work() -> list[Got]:
            change(notifying, 4)
            return self.sent(other)

        reached = Subscription.objects.get(pk=further.pk).reached_id
        (lost,) = self.restore(work, capsys)
        assert Subscription.objects.get(pk=further.pk).reached_id == reached
        notifying.poll()
        (again,) = self.sent(other)
        assert again.events() == lost.events() == [("UPDATED", "4")]
        assert again.json["id"] > lost.json["id"] + IDS_SKIPPED / 2
        assert again.webhook_id != lost.webhook_id
        assert self.sent(other) == []

    def test_what_waited_at_the_backup_comes_again_by_its_id_and_bytes(
        self, notifying: PolledInstance, further: Subscription, other: Receiver, capsys: pytest.CaptureFixture[str]
    ) -> None:
        change(notifying, 4)
        read_log()
        (lost,) = self.restore(lambda: self.sent(other), capsys)
        (again,) = self.sent(other)
        assert (again.webhook_id, again.body) == (lost.webhook_id, lost.body)
        assert self.sent(other) == []

    def test_what_was_read_since_is_read_again_and_comes_under_another_id(
        self, notifying: PolledInstance, further: Subscription, other: Receiver, capsys: pytest.CaptureFixture[str]
    ) -> None:
        change(notifying, 4)
        (lost,) = self.restore(lambda: self.sent(other), capsys)
        (again,) = self.sent(other)
        assert again.body == lost.body
        assert again.json["id"] == lost.json["id"] == newest()
        assert again.webhook_id != lost.webhook_id
        assert self.sent(other) == []

    def test_what_is_held_back_is_judged_again_and_all_is_accounted_for(
        self, notifying: PolledInstance, further: Subscription, other: Receiver, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def work() -> list[Got]:
            change(notifying, 5, title="Hidden")
            change(notifying, 6)
            return self.sent(other)

        change(notifying, 4, title="Hidden")
        assert len(self.restore(work, capsys)) == 1
        notifying.poll()
        assert [got.events() for got in self.sent(other)] == [[("UPDATED", "6")]]
        kept = Subscription.objects.get(pk=further.pk)
        assert (kept.passed, kept.held) == (2, 2)
        assert len(held_for(kept)) == 2
        assert len(made_for(kept)) == 2
        assert Notification.objects.filter(state="delivered").count() == Notification.objects.count()
        poll = notifying.instance.resource_polls.get(name="contacts")
        found = {each.subscription_id: each for each in account_for(poll, timezone.now())}[further.pk]
        assert (found.events, found.delivered, found.held, found.lost, found.to_be_judged) == (4, 2, 2, 0, 0)
