"""What `/metrics` says of subscriptions: their states are those of the pages, and counts only grow."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cwconnect.site.subscription_metrics import subscription_families
from instances.models import Instance, Organization
from instances.provisioning import delete_instance
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_by_hand
from polling.maintenance.purge import purge_deleted
from polling.models import Alert, DeliveryState, Receiver, Subscription
from polling.reports.subscription_cards import cards_of
from polling.reports.subscription_states import STATES, WORD, count_subscriptions
from polling.subscriptions.changes import delete_subscription
from tests.site.test_metrics import scrape
from tests.support.read_log import Log, read_log, subscribe
from tests.support.rows import further_subscription, make_instance

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
NOTHING_HELD = {"kinds": ["CREATED", "UPDATED", "DELETED"]}
ALL_HELD = {"kinds": ["DELETED"]}


@pytest.fixture
def log(organization: Organization) -> Log:
    return Log(organization)


def lag() -> float:
    return scrape()["cwconnect_fan_out_lag_seconds",]


def held() -> int:
    return count_subscriptions().held


def state_of(subscription: Subscription) -> str:
    """Return the one state that counts this subscription, as far as no other is in it."""
    return str(Subscription.objects.annotate(word=WORD).values_list("word", flat=True).get(pk=subscription.pk))


class TestStates:
    """Which subscriptions count as what."""

    OFF = ("", "enabled", "events_enabled", "disabled")

    def made(self, organization: Organization, number: int, off: str, *flags: bool) -> Instance:
        """Make an instance whose two subscriptions are both so."""
        paused, pulled, failing, warned, behind = flags
        now, url = timezone.now(), "" if pulled else f"https://example.com/{number}"
        switches = {off: off == "disabled"} if off in self.OFF[2:] else {}
        instance = make_instance(organization, callback_url=url, **switches)
        further = further_subscription(instance, number, callback_url=url)
        receiver = Receiver.objects.create(
            organization=organization, url_hash=str(number), url=url, open_until=now if failing else None
        )
        for each in (first_subscription(instance), further):
            DeliveryState.objects.create(subscription=each, receiver=receiver, paused_at=now if paused else None)
            of = None if each.is_first else each
            about: Any = {"organization": organization, "instance": instance, "subscription": of}
            about |= {"created_at": now, "text": "Its tries run out."}
            kind = (Alert.Kind.LAST_TRY, Alert.Kind.HALF_USED)[number % 2]
            Alert.objects.create(**about, kind=kind, resolved_at=None if warned else now)
            Alert.objects.create(**about, kind=Alert.Kind.PAUSED)
        columns = {"reached_id": 5, "catching_up_to": 9 if behind else 5, "enabled": off != "enabled"}
        Subscription.objects.filter(instance=instance).update(**columns)
        return instance

    def test_each_subscription_counts_as_its_card_says(self, organization: Organization) -> None:
        asked = product(self.OFF, product((False, True), repeat=5))
        instances = [self.made(organization, number, off, *flags) for number, (off, flags) in enumerate(asked)]
        now = timezone.now()
        words = {
            card.subscription.pk: card.word
            for instance in Instance.objects.filter(pk__in=[each.pk for each in instances])
            for card in cards_of(instance, now)
        }
        assert len(words) == 2 * len(instances) == 256
        assert dict(Subscription.objects.annotate(word=WORD).values_list("pk", "word")) == words
        assert set(words.values()) == set(STATES)
        counted = {word: list(words.values()).count(word) for word in STATES}
        assert count_subscriptions().states == counted
        found = scrape()
        assert {word: found["cwconnect_subscriptions", word.replace(" ", "_")] for word in STATES} == counted

    def test_what_is_deleted_is_in_no_state(self, organization: Organization) -> None:
        instance, other = make_instance(organization), make_instance(organization)
        gone = further_subscription(instance)
        assert sum(count_subscriptions().states.values()) == 3
        delete_subscription(gone, timezone.now())
        assert sum(count_subscriptions().states.values()) == 2
        delete_instance(other)
        assert sum(count_subscriptions().states.values()) == 1
        assert Subscription.objects.count() == 3

    def test_all_states_are_there_where_there_is_no_subscription(self) -> None:
        assert count_subscriptions().states == dict.fromkeys(STATES, 0)
        assert held() == 0
        assert lag() == 0


class TestFanOutLag:
    """For how long events wait to be read."""

    def test_it_is_that_of_the_oldest_event_that_somebody_has_still_to_come_to(self, log: Log) -> None:
        now = timezone.now()
        subscribe(log.instance)
        assert lag() == 0
        log.record(1, at=now - 3 * MINUTE)
        log.record(2, at=now - MINUTE)
        assert lag() == pytest.approx(180, abs=20)
        assert read_log() == 2
        assert lag() == 0
        log.record(3, at=now - 2 * MINUTE)
        assert lag() == pytest.approx(120, abs=20)

    def test_each_instance_has_its_own_and_the_longest_counts(self, log: Log, organization: Organization) -> None:
        now, other = timezone.now(), Log(organization)
        subscribe(log.instance)
        subscribe(other.instance)
        other.record(1, at=now - 5 * MINUTE)
        read_log()
        log.record(1, at=now - MINUTE)
        other.record(1, at=now - 2 * MINUTE)
        assert lag() == pytest.approx(120, abs=20)

    def test_what_nobody_reads_has_no_lag(self, log: Log) -> None:
        off, pulls = subscribe(log.instance), subscribe(log.instance)
        Subscription.objects.filter(pk=off.pk).update(enabled=False)
        Subscription.objects.filter(pk=pulls.pk).update(callback_url="")
        log.record(1, at=timezone.now() - MINUTE)
        assert lag() == 0
        Subscription.objects.filter(pk=off.pk).update(enabled=True)
        assert lag() == pytest.approx(60, abs=20)
        delete_instance(log.instance)
        assert lag() == 0

    def test_one_that_is_paused_is_read_for_all_the_same(self, log: Log) -> None:
        pause_by_hand(subscribe(log.instance), timezone.now())
        log.record(1, at=timezone.now() - MINUTE)
        assert lag() == pytest.approx(60, abs=20)
        read_log()
        assert lag() == 0

    def test_a_catch_up_is_none_and_what_waits_behind_it_is(self, log: Log) -> None:
        now = timezone.now()
        log.record(1, 2, at=now - timedelta(days=20))
        behind = subscribe(log.instance, since=now - timedelta(days=30))
        assert state_of(behind) == "catching up"
        assert lag() == 0
        log.record(3, at=now - MINUTE)
        assert lag() == pytest.approx(60, abs=20)
        assert read_log() == 3
        assert lag() == 0
        assert state_of(behind) == "delivering"

    def test_one_whose_filter_can_not_be_read_lags_until_somebody_mends_it(self, log: Log) -> None:
        subscribe(log.instance, filter='{"kinds":["NONE"]}')
        log.record(1, at=timezone.now() - MINUTE)
        assert read_log() == 0
        assert lag() == pytest.approx(60, abs=20)
        assert scrape()["cwconnect_subscriptions", "delivery_paused"] == 1


class TestHeldBack:
    """How many events filters held back."""

    def test_it_grows_by_what_filters_hold_and_whatever_goes_it_never_falls(
        self, log: Log, organization: Organization
    ) -> None:
        first, _ = (subscribe(log.instance, filter=ALL_HELD) for _ in range(2))
        subscribe(log.instance, filter=NOTHING_HELD)
        other = Log(organization)
        subscribe(other.instance, filter=ALL_HELD)
        log.record(1, 2, 3)
        other.record(4)
        assert held() == 0
        read_log()
        assert held() == 7
        delete_subscription(first, timezone.now())
        assert held() == 7
        assert purge_deleted(timezone.now()) == 1
        assert not Subscription.objects.filter(pk=first.pk).exists()
        assert held() == 7
        log.record(5)
        read_log()
        assert held() == 8
        for instance in (log.instance, other.instance):
            delete_instance(instance)
        assert held() == 8
        while Instance.objects.exists():
            assert purge_deleted(timezone.now())
        assert not Subscription.objects.exists()
        assert scrape()["cwconnect_held_back_total",] == 8


def test_no_label_names_a_receiver_its_url_or_its_instance(log: Log) -> None:
    made = subscribe(log.instance, name="Closed tickets", callback_url="https://receiver.example/hook")
    text = Client().get("/metrics").content.decode()
    assert "cwconnect_subscriptions" in text
    for word in ("Closed", "receiver.example", str(made.pk), log.instance.name):
        assert word not in text


def test_it_is_two_statements_however_many_there_are(log: Log, organization: Organization) -> None:
    for number in range(5):
        further_subscription(make_instance(organization), 10 * number)
        subscribe(log.instance, filter=ALL_HELD)
    log.record(*range(1, 20))
    with CaptureQueriesContext(connection) as captured:
        assert len(list(subscription_families(timezone.now()))) == 3
    assert len(captured) == 2
