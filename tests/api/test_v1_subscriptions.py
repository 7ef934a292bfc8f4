"""`/v1/instances/{id}/subscriptions`: further receivers of an instance, made, listed, changed and deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cwconnect import __version__
from instances.models import AuditEntry, Instance, Transformation
from instances.provisioning import delete_instance
from instances.secrets import MASK, Secret
from polling.models import (
    Alert,
    DeliveryState,
    Heartbeat,
    Notification,
    Replay,
    Subscription,
)
from polling.models.subscriptions import FURTHER_FROM
from tests.api.conftest import NOON, Watched
from tests.api.subscriptions import URL, Subscriptions
from tests.support.api_caller import Api
from tests.support.rows import make_notification

pytestmark = pytest.mark.django_db
WHOLE: dict[str, Any] = {
    "name": "Closed tickets",
    "url": URL,
    "headers": {"X-Token": "the token"},
    "basic": {"username": "user", "password": "the password"},
    "signature_key": "the key",
    "filter": {"resources": ["contacts"], "where": "id = 17"},
    "form": "cloudevents",
    "fields": ["id"],
    "retry_schedule": [0, 5, 60.5],
    "retention_days": 7,
}


@pytest.fixture
def ours(api: Api, watched: Watched) -> Subscriptions:
    return Subscriptions(api, watched)


def entries() -> list[tuple[str, Any]]:
    """Return the entries about instances, each with its action and its details."""
    rows = AuditEntry.objects.filter(instance_number__isnull=False)
    return list(rows.order_by("pk").values_list("action", "details"))


def last_entry() -> tuple[str, Any]:
    return entries()[-1]


def test_an_instance_has_its_first_one_which_shows_its_own_keys(ours: Subscriptions) -> None:
    instance = ours.watched.instance
    instance.callback_headers, instance.basic_username = Secret.of('{"X-A": "the token"}'), "user"
    instance.basic_password, instance.signature_key = Secret.of("the password"), Secret.of("the key")
    instance.save()
    (first,) = ours.ask("GET")["items"]
    assert first == ours.ask("GET", f"/{instance.pk}")
    assert {**first, "created_at": "", "updated_at": ""} == {
        "id": instance.pk,
        "instance_id": instance.pk,
        "name": "Main",
        "first": True,
        "enabled": True,
        "url": "http://127.0.0.1:9/",
        "headers": {"X-A": MASK},
        "basic": {"username": "user", "password": MASK},
        "signature_key": MASK,
        "previous_key_until": None,
        "filter": None,
        "form": "elements",
        "fields": None,
        "mapping": None,
        "retry_schedule": None,
        "retention_days": None,
        "paused": False,
        "pause_reason": None,
        "waiting": 0,
        "held": 0,
        "passed": 0,
        "catch_up": None,
        "last_delivered_at": None,
        "created_at": "",
        "updated_at": "",
    }
    Instance.objects.update(events_enabled=False)
    assert ours.ask("GET")["items"][0]["enabled"] is False


def test_a_further_one_is_made_shown_listed_and_deleted(ours: Subscriptions) -> None:
    made = ours.made(**WHOLE)
    assert made["id"] > FURTHER_FROM
    shown = {name: made[name] for name in WHOLE}
    masked = {"headers": {"X-Token": MASK}, "basic": {"username": "user", "password": MASK}, "signature_key": MASK}
    assert shown == WHOLE | masked
    assert (made["first"], made["enabled"], made["instance_id"]) == (False, True, ours.watched.instance.pk)
    assert ours.ask("GET", f"/{made['id']}") == made
    assert [row["name"] for row in ours.ask("GET")["items"]] == ["Main", "Closed tickets"]
    assert last_entry() == ("subscription created", {"subscription": "Closed tickets"})

    assert ours.ask("DELETE", f"/{made['id']}", status=204) is None
    ours.ask("GET", f"/{made['id']}", status=404)
    assert [row["name"] for row in ours.ask("GET")["items"]] == ["Main"]
    assert last_entry() == ("subscription deleted", {"subscription": "Closed tickets"})


def test_its_secrets_are_stored_sealed_and_gone_once_it_is_deleted(ours: Subscriptions) -> None:
    key = ours.made(**WHOLE)["id"]
    row = Subscription.objects.get(pk=key)
    assert row.signature_key is not None
    assert row.callback_headers is not None
    assert (row.signature_key.reveal(), row.callback_headers.reveal()) == ("the key", '{"X-Token": "the token"}')
    assert "the key" not in str(Subscription.objects.filter(pk=key).values_list("signature_key").query)
    ours.ask("DELETE", f"/{key}", status=204)
    row = Subscription.objects.get(pk=key)
    assert (row.signature_key, row.callback_headers, row.basic_password, row.callback_url) == (None, None, None, "")
    assert row.deleted_at is not None


def test_each_instance_and_organization_sees_its_own(ours: Subscriptions, foreign: Watched, other_api: Api) -> None:
    key = ours.made()["id"]
    theirs = Subscriptions(other_api, foreign)
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        theirs.ask(method, f"/{key}", body, status=404)  # of another instance
        ours.ask(method, f"/{key}", body, auth=other_api.tenant.auth, status=404)
    ours.ask("GET", "", auth=other_api.tenant.auth, status=404)
    ours.ask("POST", "", {"name": "x", "url": URL}, auth=other_api.tenant.auth, status=404)
    ours.ask("GET", f"/{foreign.instance.pk}", status=404)  # the first one of another instance
    assert Subscription.objects.get(pk=key).name == "Further"


class TestChanging:
    """PATCH: what is left out stays, an empty value takes away, and each change is in the audit log."""

    def test_what_is_sent_back_as_it_was_shown_changes_nothing(self, ours: Subscriptions) -> None:
        made = ours.made(**WHOLE)
        before, stored = entries(), Subscription.objects.values().get(pk=made["id"])
        sent = {name: made[name] for name in WHOLE} | {"enabled": True, "mapping": None}
        assert ours.ask("PATCH", f"/{made['id']}", sent) == made
        assert (entries(), Subscription.objects.values().get(pk=made["id"])) == (before, stored)

    def test_each_change_is_recorded_and_no_secret(self, ours: Subscriptions) -> None:
        key = ours.made(**WHOLE)["id"]
        Transformation.objects.create(instance=ours.watched.instance, name="people", vendor_name="contacts", fields=[])
        changes = {
            "name": "Others",
            "url": "https://receiver.example/other",
            "headers": {"X-Token": "another token"},
            "basic": {"username": "another", "password": "another password"},
            "signature_key": "another key",
            "filter": {},
            "form": "thin",
            "fields": [],
            "mapping": "people",
            "retry_schedule": [],
            "retention_days": 0,
        }
        changed = ours.ask("PATCH", f"/{key}", changes)
        assert changed["previous_key_until"] is not None
        assert [changed[name] for name in ("filter", "fields", "retry_schedule", "retention_days")] == [None] * 4
        action, details = last_entry()
        assert (action, details) == (
            "subscription changed",
            {
                "subscription": "Others",
                "name": ["Closed tickets", "Others"],
                "form": ["cloudevents", "thin"],
                "filter": ['{"resources":["contacts"],"where":"id = 17"}', ""],
                "fields": [["id"], []],
                "mapping": ["", "people"],
                "retry_schedule": [[0, 5, 60.5], []],
                "retention_days": [7, 0],
                **dict.fromkeys(("callback_url", "callback_headers", "basic_username"), "changed"),
                **dict.fromkeys(("basic_password", "signature_key"), "changed"),
            },
        )
        assert not any(secret in str(entries()) for secret in ("token", "another password", "another key", URL))

    def test_a_secret_goes_to_no_other_host(self, ours: Subscriptions) -> None:
        key = ours.made(**WHOLE)["id"]
        words = ours.refused("PATCH", f"/{key}", {"url": "https://elsewhere.example/"})
        assert "headers must be given anew" in words
        assert "basic.password must be given anew" in words
        assert ours.ask("GET", f"/{key}")["url"] == URL

    def test_every_mistake_names_its_member_and_changes_nothing(self, ours: Subscriptions) -> None:
        key = ours.made()["id"]
        for body, words in (
            ({"fields": ["id", "a.b"]}, "fields.1 must be a top field"),
            ({"filter": {"where": "id ="}}, "filter.where"),
            ({"mapping": "nobody"}, "mapping names no transformation"),
            ({"url": "http://10.0.0.1/"}, "url can't be used"),
            ({"retry_schedule": [-1]}, "retry_schedule.0: "),
            ({"colour": "red"}, "colour: is not known here"),
            ({"begin": "now"}, "begin: goes with a subscription that is switched on"),
            ({"basic": {"user": "x"}}, "basic.user: is not known here"),
        ):
            assert words in ours.refused("PATCH", f"/{key}", body)
        assert words in ours.refused("POST", "", {"name": "x", "url": URL, "basic": {"user": "x"}})
        assert [action for action, _ in entries()] == ["subscription created"]

    def test_a_name_is_there_once_in_an_instance(self, ours: Subscriptions, foreign: Watched, other_api: Api) -> None:
        key = ours.made()["id"]
        assert "name: another subscription" in ours.refused("POST", "", {"name": "Further", "url": URL}, status=409)
        assert "name: another subscription" in ours.refused("PATCH", f"/{key}", {"name": "Main"}, status=409)
        assert ours.ask("PATCH", f"/{key}", {"name": "Further"})["name"] == "Further"
        Subscriptions(other_api, foreign).made()
        ours.ask("DELETE", f"/{key}", status=204)
        ours.made()

    def test_there_are_no_more_than_may_be(self, ours: Subscriptions, settings: Settings) -> None:
        settings.MOST_SUBSCRIPTIONS = 2
        key = ours.made()["id"]
        words = ours.refused("POST", "", {"name": "Third", "url": URL}, status=409)
        assert words == "An instance has 2 subscriptions at most, its first included."
        ours.ask("DELETE", f"/{key}", status=204)
        ours.made(name="Third")


class TestFirst:
    """Of the first one this changes what the instance has no key for."""

    def test_what_has_a_key_is_refused_in_words_that_name_it(self, ours: Subscriptions) -> None:
        first = f"/{ours.watched.instance.pk}"
        for member, value in (("url", URL), ("headers", {}), ("signature_key", "x"), ("enabled", False)):
            words = ours.refused("PATCH", first, {member: value})
            assert f"{member} is the instance's own" in words
            assert "event.notification." in words
        assert "event.notification.basic" in ours.refused("PATCH", first, {"basic": {"username": "x"}})
        assert "event.notification.enabled" in ours.refused("DELETE", first, None, status=409)
        assert entries() == []

    def test_name_schedule_and_retention_leave_its_notifications_as_they_are(self, ours: Subscriptions) -> None:
        first = f"/{ours.watched.instance.pk}"
        ours.ask("PATCH", first, {"name": "Everything", "retry_schedule": [0, 60], "retention_days": 3})
        row = Subscription.objects.get()
        assert (row.name, row.retry_schedule, row.retention_days, row.reads_log) == ("Everything", [0, 60], 3, False)

    @pytest.mark.parametrize("change", [{"filter": {"kinds": ["DELETED"]}}, {"form": "thin"}, {"fields": ["id"]}])
    def test_what_changes_its_notifications_has_it_read_the_log_from_now(
        self, ours: Subscriptions, change: dict[str, Any]
    ) -> None:
        (event,) = ours.watched.changed(17)
        ours.ask("PATCH", f"/{ours.watched.instance.pk}", change)
        row = Subscription.objects.get()
        assert (row.reads_log, row.reached_id, row.catching_up_to) == (True, event.pk, None)

    def test_it_is_made_where_it_is_missing(self, ours: Subscriptions) -> None:
        Subscription.objects.all().delete()  # as processes of the version before make instances
        assert [row["first"] for row in ours.ask("GET")["items"]] == [True]


class TestBeginning:
    """Where in the log a subscription begins."""

    def test_a_new_one_begins_now(self, ours: Subscriptions) -> None:
        last = ours.watched.changed(17, 18)[-1].pk
        row = Subscription.objects.get(pk=ours.made()["id"])
        assert row.began_id == row.reached_id >= last
        assert (row.reads_log, row.catching_up_to) == (True, None)
        assert ours.watched.changed(19)[0].pk > row.reached_id

    def test_or_with_what_was_recorded_from_a_time_on(self, ours: Subscriptions) -> None:
        now = timezone.now().replace(microsecond=0)
        before, *later = (ours.watched.changed(n, at=now - timedelta(hours=3 - n))[0].pk for n in (1, 2, 3))
        begin = (now - timedelta(hours=1)).isoformat()
        made = ours.made(begin=begin)
        assert made["catch_up"]["upto"] >= later[-1]
        assert (made["catch_up"]["reached"], made["catch_up"]["left"]) == (before, 2)
        assert "since" in last_entry()[1]
        assert ours.made(name="Later", begin=(now + timedelta(minutes=-1)).isoformat())["catch_up"]["left"] == 1

    def test_a_time_without_events_behind_it_is_now(self, ours: Subscriptions) -> None:
        last = ours.watched.changed(17)[0].pk
        made = ours.made(begin=timezone.now().isoformat())
        assert made["catch_up"] is None
        assert Subscription.objects.get(pk=made["id"]).reached_id >= last

    @pytest.mark.parametrize(
        ("begin", "words"),
        [
            ("yesterday", "begin must be a time like"),
            ("2999-01-01T00:00:00Z", "begin: is in the future"),
            ("2020-01-01T00:00:00Z", "begin: lies before the log, which is kept for 30 days"),
            ("", "begin: "),
        ],
    )
    def test_other_times_are_refused(self, ours: Subscriptions, begin: str, words: str) -> None:
        assert words in ours.refused("POST", "", {"name": "x", "url": URL, "begin": begin})
        assert Subscription.objects.count() == 1

    def test_the_log_is_as_long_as_one_of_them_keeps_it(self, ours: Subscriptions) -> None:
        month_ago = (timezone.now() - timedelta(days=31)).isoformat()
        ours.ask("PATCH", f"/{ours.watched.instance.pk}", {"retention_days": 3})
        new = {"name": "x", "url": URL, "begin": (timezone.now() - timedelta(days=4)).isoformat()}
        assert "kept for 3 days" in ours.refused("POST", "", new)
        ours.made(name="Long", retention_days=40)
        ours.made(begin=month_ago)

    def test_switched_on_again_it_goes_on_from_now_or_where_it_was(self, ours: Subscriptions) -> None:
        key = ours.made()["id"]
        began = Subscription.objects.get(pk=key).reached_id
        assert ours.ask("PATCH", f"/{key}", {"enabled": False})["enabled"] is False
        last = ours.watched.changed(17)[0].pk
        ours.ask("PATCH", f"/{key}", {"enabled": True, "begin": "where_it_was"})
        assert Subscription.objects.get(pk=key).reached_id == began
        assert last_entry()[1] == {"subscription": "Further", "enabled": [False, True], "begin": "where_it_was"}
        ours.ask("PATCH", f"/{key}", {"enabled": False})
        ours.ask("PATCH", f"/{key}", {"enabled": True})
        assert Subscription.objects.get(pk=key).reached_id >= last
        assert last_entry()[1]["begin"] == "now"


class TestOldProcesses:
    """Workers of an earlier version send what they find to the first one's URL."""

    def test_while_they_run_no_further_one_is_made(self, ours: Subscriptions) -> None:
        sign = Heartbeat.objects.create(part="cluster", name="host", seen_at=timezone.now(), version="0.1.9")
        words = ours.refused("POST", "", {"name": "x", "url": URL}, status=409)
        assert words.startswith("Workers of another version still run (host, of 0.1.9)")
        first = f"/{ours.watched.instance.pk}"
        assert "still run" in ours.refused("PATCH", first, {"form": "thin"}, status=409)
        assert ours.ask("PATCH", first, {"name": "Everything"})["name"] == "Everything"
        for change in (
            {"version": __version__},
            {"version": "0.1.9", "seen_at": timezone.now() - timedelta(minutes=2)},
        ):
            Heartbeat.objects.filter(pk=sign.pk).update(**change)
            ours.made(name=str(change))

    def test_one_that_says_no_version_is_old(self, ours: Subscriptions) -> None:
        Heartbeat.objects.create(part="cluster", name="host", seen_at=timezone.now())
        assert "(host, of an early version)" in ours.refused("POST", "", {"name": "x", "url": URL}, status=409)


class TestDeleting:
    """What ends with a subscription, and what does not."""

    def test_what_is_not_delivered_is_discarded_and_what_is_others_stays(self, ours: Subscriptions) -> None:
        instance, now = ours.watched.instance, timezone.now()
        key, other = ours.made()["id"], ours.made(name="Other")["id"]
        of: Any = {"subscription_id": key, "next_attempt_at": now}
        for number, columns in {
            101: of,
            102: of | {"state": "exhausted"},
            103: of | {"state": "delivered", "next_attempt_at": None},
            104: of | {"lease_token": "theirs", "lease_until": now + timedelta(minutes=1)},
            105: {"subscription_id": other, "next_attempt_at": now},
            106: {"next_attempt_at": now},
        }.items():
            make_notification(instance, number, now, **columns)
        assert ours.ask("GET", f"/{key}")["waiting"] == 3
        ours.ask("DELETE", f"/{key}", status=204)
        states = dict(Notification.objects.values_list("pk", "state"))
        assert states == dict(zip(range(101, 107), [*["discarded"] * 2, "delivered", *["pending"] * 3], strict=True))
        due = Notification.objects.filter(next_attempt_at__isnull=False).values_list("pk", flat=True)
        assert set(due) == {104, 105, 106}
        assert [row["waiting"] for row in ours.ask("GET")["items"]] == [1, 1]

    def test_what_is_sent_again_is_taken_out_of_its_replays(self, ours: Subscriptions) -> None:
        instance, now = ours.watched.instance, timezone.now()
        key = ours.made()["id"]
        of_all = Replay.objects.create(instance=instance, asked_at=now, queued_at=now, what="all", total=2, queued=2)
        of_it = Replay.objects.create(
            instance=instance, asked_at=now, what="its", total=9, selection={"subscription": key}
        )
        again: Any = {"state": "delivered", "replay": of_all, "next_attempt_at": now}
        make_notification(instance, 101, now, subscription_id=key, **again)
        make_notification(instance, 102, now, **again)
        ours.ask("DELETE", f"/{key}", status=204)
        assert dict(Notification.objects.values_list("pk", "replay")) == {101: None, 102: of_all.pk}
        of_all.refresh_from_db()
        of_it.refresh_from_db()
        assert (of_all.total, of_all.left, of_all.stage) == (1, 1, "sending")
        assert (of_it.total, of_it.stage) == (0, "ended")

    def test_warnings_of_it_and_its_pause_go_with_it(self, ours: Subscriptions) -> None:
        instance, key = ours.watched.instance, ours.made()["id"]
        DeliveryState.objects.create(pk=key, paused_at=timezone.now(), pause_reason="The receiver answered 410.")
        assert instance.organization is not None
        Alert.objects.create(
            organization=instance.organization,
            instance=instance,
            subscription_id=key,
            kind="paused",
            text="x",
            created_at=timezone.now(),
        )
        shown = ours.ask("GET", f"/{key}")
        assert (shown["paused"], shown["pause_reason"]) == (True, "The receiver answered 410.")
        ours.ask("DELETE", f"/{key}", status=204)
        assert (Alert.objects.count(), DeliveryState.objects.filter(pk=key).count()) == (0, 0)

    def test_with_its_instance_its_secrets_go(self, ours: Subscriptions) -> None:
        key = ours.made(**WHOLE)["id"]
        delete_instance(ours.watched.instance)
        row = Subscription.objects.get(pk=key)
        assert (row.signature_key, row.callback_headers, row.basic_password, row.enabled) == (None, None, None, False)


class TestSubscriptionStatus:
    """How it stands: bounded counts, by the same statements however many there are."""

    def test_a_list_costs_the_same_however_many_there_are(self, ours: Subscriptions) -> None:
        ours.made(**WHOLE)
        ours.ask("GET")
        with CaptureQueriesContext(connection) as one:
            ours.ask("GET")
        for number in range(10):
            ours.made(**WHOLE | {"name": f"Further {number}"})
        with CaptureQueriesContext(connection) as many:
            assert len(ours.ask("GET")["items"]) == 12
        assert len(many) == len(one)

    def test_counts_end_at_their_bound(self, ours: Subscriptions, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("polling.subscriptions.status.MOST_COUNTED", 3)
        now = timezone.now()
        ours.watched.changed(*range(1, 6), at=now - timedelta(minutes=1))
        made = ours.made(begin=(now - timedelta(hours=1)).isoformat())
        for number in range(1001, 1006):
            make_notification(ours.watched.instance, number, now, subscription_id=made["id"])
        shown = ours.ask("GET", f"/{made['id']}")
        assert (shown["waiting"], shown["catch_up"]["left"]) == (3, 3)

    def test_what_was_delivered_last_is_said(self, ours: Subscriptions) -> None:
        DeliveryState.objects.create(pk=ours.watched.instance.pk, last_delivered_at=NOON)
        assert ours.ask("GET")["items"][0]["last_delivered_at"] == "2026-03-01T12:00:00Z"


def test_a_request_that_comes_twice_makes_one(ours: Subscriptions) -> None:
    headers = {"Authorization": ours.api.tenant.auth, "Idempotency-Key": "once"}
    answers = [
        ours.api.client.post(ours.at, {"name": "x", "url": URL}, content_type="application/json", headers=headers)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert Subscription.objects.count() == 2
