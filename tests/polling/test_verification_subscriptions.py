"""Every event is accounted for, for each subscription: what is lost is found and judged again, and nothing twice."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from polling.delivery.delivery_loop import deliver_these
from polling.delivery.fan_out.again import judge_again
from polling.detection.poll_loop import poll_due
from polling.maintenance.retention import prune
from polling.models import Event, Notification, PollState, Repair, Subscription, SubscriptionEvent, Verification
from polling.subscriptions.changes import change_subscription, create_subscription
from polling.verification.of_subscriptions import SubscriptionFinding, account_for, lost_of
from polling.verification.repair import repair
from polling.verification.repair_job import start_repair
from polling.verification.report import Finding, verify
from tests.pages.conftest import sign_in, text_of, words_of
from tests.support.api_caller import Api
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver

CLOSED = {"where": "title = 'Boss'"}


@pytest.fixture
def history(world: PolledInstance, receiver: Receiver) -> PolledInstance:
    """Contacts 1 to 4 are chiefs, and 5 is a boss; three receivers heard of them, one of bosses alone."""
    world.watch(callback_url=receiver.url)
    now = timezone.now()
    create_subscription(world.instance, {"name": "All", "url": receiver.url}, now)
    create_subscription(world.instance, {"name": "Bosses", "url": receiver.url, "filter": CLOSED}, now)
    for record_id in range(1, 5):
        world.change(record_id, "Chief")
    world.change(5, "Boss")
    world.poll()
    world.store.clock_offset = 5
    world.poll()
    deliver_these([world.instance.pk])
    receiver.got.clear()
    return world


def named(world: PolledInstance, name: str) -> Subscription:
    return Subscription.objects.select_related("instance").get(instance=world.instance, name=name)


def look(world: PolledInstance) -> Finding:
    return verify(world.state.resource_poll, timezone.now())


def counts(found: Finding) -> dict[str, SubscriptionFinding]:
    for each in found.subscriptions:
        parts = each.carried + each.held + each.to_be_judged + each.no_longer_kept + each.lost
        assert parts == each.events, each
    return {each.name: each for each in found.subscriptions}


def judged(world: PolledInstance, name: str, *records: int) -> Any:
    rows = SubscriptionEvent.objects.filter(subscription=named(world, name))
    return rows.filter(event__record_id__in=records) if records else rows


def test_a_whole_history_is_accounted_for(history: PolledInstance) -> None:
    found = look(history)
    assert found.whole
    main, everything, bosses = counts(found).values()
    assert [each.name for each in found.subscriptions] == ["Main", "All", "Bosses"]
    assert (main.events, main.delivered) == (5, 5)
    assert (everything.events, everything.delivered) == (5, 5)
    assert (bosses.events, bosses.delivered, bosses.held) == (5, 1, 4)
    assert Finding.from_json(found.poll, json.loads(json.dumps(found.as_json()))) == found


def test_what_is_recorded_and_not_looked_at_is_to_be_judged(history: PolledInstance) -> None:
    history.change(6, "Boss")
    history.poll()
    found = look(history)
    assert (counts(found)["All"].to_be_judged, found.lost) == (1, 0)
    assert (counts(found)["Main"].waiting, found.undelivered) == (1, 1)
    deliver_these([history.instance.pk])
    assert look(history).whole


def test_events_lost_on_purpose_are_found_and_judged_again(history: PolledInstance, receiver: Receiver) -> None:
    judged(history, "All", 2).delete()
    judged(history, "Bosses", 3, 5).delete()
    found = look(history)
    assert (found.whole, found.lost, found.undelivered) == (False, 3, 0)
    assert (counts(found)["All"].lost, counts(found)["Bosses"].lost) == (1, 2)
    before = set(Notification.objects.values_list("pk", flat=True))
    assert repair(found).resent == 3
    new = Notification.objects.exclude(pk__in=before)
    assert {(sent.to, sent.event_count) for sent in new} == {
        (named(history, "All").pk, 1),
        (named(history, "Bosses").pk, 1),
    }
    deliver_these([history.instance.pk])
    assert sorted(receiver.events()) == [("UPDATED", "2"), ("UPDATED", "5")]
    again = look(history)
    assert again.whole
    assert (counts(again)["Bosses"].held, counts(again)["Bosses"].delivered) == (4, 1)
    assert repair(again).resent == 0


def test_what_is_judged_twice_is_made_once(history: PolledInstance) -> None:
    events = list(Event.objects.values_list("pk", flat=True))
    judged(history, "All", 2).delete()
    subscription, now = named(history, "All"), timezone.now()
    assert judge_again(subscription, events, now) == 1
    assert judge_again(subscription, events, now) == 0
    assert judge_again(named(history, "Main"), events, now) == 0
    history.change(6, "Boss")
    history.poll()
    assert judge_again(subscription, [Event.objects.latest("pk").pk], now) == 0  # it has still to come to that
    deliver_these([history.instance.pk])
    assert counts(look(history))["All"].delivered == 6
    kept = named(history, "All")
    assert (kept.reached_id, kept.passed, kept.lease_token) == (Event.objects.latest("pk").pk, 7, None)


def test_a_lost_notification_is_made_again(history: PolledInstance, receiver: Receiver) -> None:
    """As if somebody had deleted rows by hand: what was noted of their events says nothing any more."""
    Notification.objects.filter(subscription=named(history, "All")).delete()
    assert counts(look(history))["All"].lost == 5
    repair(look(history))
    deliver_these([history.instance.pk])
    assert len(receiver.events()) == 5
    assert look(history).whole


def test_a_first_one_that_reads_the_log_is_as_any(history: PolledInstance, receiver: Receiver) -> None:
    change_subscription(named(history, "Main"), {"form": "thin"}, timezone.now())
    history.change(6, "Boss")
    history.poll()
    deliver_these([history.instance.pk])
    found = look(history)
    assert found.whole
    main = counts(found)["Main"]
    assert (main.events, main.delivered, main.reads_log) == (6, 6, True)
    judged(history, "Main").delete()
    Event.objects.filter(record_id=2).update(notification=None)  # from before it read the log: not in its range
    found = look(history)
    assert counts(found)["Main"].lost == 1
    repair(found)
    deliver_these([history.instance.pk])
    assert counts(look(history))["Main"].lost == 0
    assert Notification.objects.filter(subscription=None, carried__event__record_id=6).count() == 1


def test_what_has_not_arrived_at_a_further_one_is_undelivered_and_sent_again(
    history: PolledInstance, receiver: Receiver
) -> None:
    Notification.objects.filter(subscription=named(history, "Bosses")).update(state=Notification.State.FAILED)
    found = look(history)
    assert (found.undelivered, counts(found)["Bosses"].given_up) == (1, 1)
    assert repair(found).resent == 1
    deliver_these([history.instance.pk])
    assert receiver.events() == [("UPDATED", "5")]
    assert look(history).whole


def test_what_retention_forgot_is_not_lost(history: PolledInstance) -> None:
    old = timezone.now() - timedelta(days=settings.RETENTION_DAYS)
    judged(history, "All", 2).delete()
    Event.objects.filter(record_id=2).update(polled_at=old)
    everything = counts(look(history))["All"]
    assert (everything.lost, everything.no_longer_kept) == (0, 1)
    Subscription.objects.filter(name="All").update(retention_days=settings.RETENTION_DAYS + 1)
    everything = counts(look(history))["All"]
    assert (everything.lost, everything.no_longer_kept) == (1, 0)


def test_what_retention_forgot_is_not_lost_once_it_is_to_be_kept_longer(
    history: PolledInstance, receiver: Receiver
) -> None:
    now, everything = timezone.now(), named(history, "All")
    change_subscription(everything, {"retention_days": 7}, now)
    prune(now + timedelta(days=8))
    assert not judged(history, "All").exists()
    assert Event.objects.count() == 5
    change_subscription(named(history, "All"), {"retention_days": 90}, now)
    found = counts(look(history))["All"]
    assert (found.events, found.lost) == (0, 0)
    assert repair(look(history)).resent == 0
    deliver_these([history.instance.pk])
    assert receiver.got == []
    history.change(6, "Chief")
    history.poll()
    deliver_these([history.instance.pk])
    judged(history, "All", 6).delete()
    found = counts(look(history))["All"]  # what comes from now on is accounted for
    assert (found.events, found.lost) == (1, 1)


def test_of_one_that_is_off_or_deleted_nothing_is_asked(history: PolledInstance, receiver: Receiver) -> None:
    change_subscription(named(history, "All"), {"enabled": False}, timezone.now())
    history.change(6, "Boss")
    history.poll()
    deliver_these([history.instance.pk])
    found = look(history)
    assert found.whole
    assert counts(found)["All"].events == 5
    judged(history, "All", 2).delete()
    assert counts(look(history))["All"].lost == 1
    assert repair(look(history)).resent == 0  # once it is on again
    Subscription.objects.filter(name="All").update(deleted_at=timezone.now())
    assert look(history).whole
    assert counts(look(history)).keys() == {"Main", "Bosses"}


def test_one_whose_filter_cannot_be_read_holds_up_no_other(history: PolledInstance) -> None:
    judged(history, "All", 2).delete()
    judged(history, "Bosses", 2).delete()
    Subscription.objects.filter(name="All").update(mapping="gone")
    assert repair(look(history)).resent == 1
    assert {each.name: each.lost for each in look(history).subscriptions} == {"Main": 0, "All": 1, "Bosses": 0}


def test_counts_and_search_mean_the_same(history: PolledInstance) -> None:
    poll, now = history.state.resource_poll, timezone.now()
    judged(history, "Bosses", 1, 4).delete()
    lost = lost_of(named(history, "Bosses"), poll, now)
    assert list(lost.values_list("record_id", flat=True)) == [1, 4]
    assert {each.name: each.lost for each in account_for(poll, now)} == {"Main": 0, "All": 0, "Bosses": 2}


def test_the_workers_repair_it(history: PolledInstance, receiver: Receiver) -> None:
    judged(history, "All", 2).delete()
    PollState.objects.update(next_poll_at=None, next_sweep_at=timezone.now() + timedelta(days=1))
    poll = history.state.resource_poll
    found = {"status": Verification.Status.COMPLETE, "finding": look(history).as_json()}
    Verification.objects.create(resource_poll=poll, asked_at=timezone.now(), **found)
    start_repair(poll, timezone.now())
    poll_due(deadline=float("inf"), stopping=lambda: False)
    assert Repair.objects.get().resent == 1
    deliver_these([history.instance.pk])
    assert receiver.events() == [("UPDATED", "2")]
    assert look(history).whole


def test_command_page_and_api_show_it(history: PolledInstance, api: Api) -> None:
    judged(history, "Bosses", 3).delete()
    out = StringIO()
    with pytest.raises(CommandError, match="Something is missing"):
        call_command("verify", history.instance.pk, stdout=out, verbosity=0)
    row = next(line for line in out.getvalue().splitlines() if "Bosses" in line)
    assert row.replace("│", " ").split()[-9:] == ["5", "1", "0", "0", "0", "3", "0", "0", "1"]
    poll, now = history.state.resource_poll, timezone.now()
    verification = Verification.objects.create(
        resource_poll=poll,
        asked_at=now,
        finished_at=now,
        status=Verification.Status.COMPLETE,
        finding=look(history).as_json(),
    )
    html = text_of(sign_in("olga", history.tenant.organization).get(f"/app/instances/{history.instance.pk}/verify"))
    said = words_of(html)
    assert "Bosses: 5 events, 1 delivered, 3 held back, 1 lost" in said
    assert "incomplete" in said
    assert 'aria-label="Repair contacts"' in html
    path = f"/v1/instances/{history.instance.pk}/polls/{poll.pk}/verifications/{verification.pk}"
    found = api("GET", path).json()["finding"]
    assert found["whole"] is False
    assert [(each["name"], each["lost"]) for each in found["subscriptions"]] == [("Main", 0), ("All", 0), ("Bosses", 1)]


def test_with_one_receiver_nothing_more_is_said(history: PolledInstance, client: Client) -> None:
    Subscription.objects.filter(pk__gt=history.instance.pk).update(deleted_at=timezone.now())
    found = look(history)
    assert not found.is_several
    out = StringIO()
    call_command("verify", history.instance.pk, stdout=out, verbosity=0)
    assert "subscription" not in out.getvalue()
