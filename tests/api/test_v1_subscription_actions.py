"""`/v1/instances/{id}/subscriptions/{subscription}/…`: tried, rotated, paused, released, replayed, looked at."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from instances.models import AuditEntry, Instance, Transformation
from instances.secrets import MASK, Secret
from polling.delivery.delivery_loop import deliver_these
from polling.delivery.test_notification import TEST_HEADER
from polling.models import DeliveryState, Event, Notification, Replay, Subscription, SubscriptionEvent
from tests.api.conftest import Watched
from tests.api.subscriptions import Subscriptions
from tests.support.api_caller import Api
from tests.support.read_log import read_log
from tests.support.receivers import Receiver
from tests.support.rows import make_notification

pytestmark = pytest.mark.django_db
KEYS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")


@pytest.fixture
def ours(api: Api, watched: Watched) -> Subscriptions:
    return Subscriptions(api, watched)


def tried(ours: Subscriptions, key: int) -> Any:
    return ours.ask("POST", f"/{key}/test", {"resource": "contacts"})


def test_what_it_wants_arrives_and_the_rest_is_held_counted_and_listed(ours: Subscriptions, receiver: Receiver) -> None:
    wanted = {"filter": {"where": "id > 1"}, "form": "thin", "signature_key": KEYS[0]}
    key = ours.made(url=receiver.url, **wanted)["id"]

    def delivered(*records: int) -> list[str]:
        """Have records change, be judged and delivered; return what has arrived of them."""
        before = len(receiver.got)
        ours.watched.changed(*records)
        read_log()
        deliver_these([ours.watched.instance.pk])
        for got in receiver.got[before:]:
            Webhook(KEYS[0]).verify(got.body, got.headers)
        return [event["objectId"] for got in receiver.got[before:] for event in got.json["events"]]

    assert delivered(1, 2, 3) == ["2", "3"]
    shown = ours.ask("GET", f"/{key}")
    assert (shown["passed"], shown["held"], shown["waiting"]) == (2, 1, 0)
    assert shown["last_delivered_at"] is not None
    assert [item["object_id"] for item in ours.ask("GET", f"/{key}/held")["items"]] == ["1"]

    ours.ask("PATCH", f"/{key}", {"enabled": False})
    assert delivered(4) == []
    shown = ours.ask("PATCH", f"/{key}", {"enabled": True, "begin": "where_it_was"})
    assert shown["catch_up"]["left"] == 1
    assert delivered(5) == ["4", "5"]
    ours.ask("PATCH", f"/{key}", {"enabled": False})
    assert delivered(6) == []
    ours.ask("PATCH", f"/{key}", {"enabled": True, "filter": {"where": "id = 8"}})
    assert delivered(7, 8) == ["8"]
    ours.ask("DELETE", f"/{key}", status=204)
    assert delivered(8) == []


def test_a_mapping_that_a_subscription_goes_by_is_not_deleted(ours: Subscriptions) -> None:
    fields = [{"path": "givenName", "vendorPath": "firstName"}]
    at = f"/instances/{ours.watched.instance.pk}/transformations/people"
    assert ours.api("PUT", at, {"vendorName": "contacts", "fields": fields}).status_code == 200
    key = ours.made(mapping="people")["id"]
    refused = ours.api("DELETE", at)
    assert (refused.status_code, refused.json()["message"]) == (
        409,
        "The subscription Further goes by it; change that first.",
    )
    ours.ask("DELETE", f"/{key}", status=204)
    assert ours.api("DELETE", at).status_code == 200


class TestTrying:
    """A sample goes to the subscription's own URL, with its own headers and key, in its form."""

    def test_it_goes_out_as_its_notifications_do_and_is_kept_nowhere(
        self, ours: Subscriptions, receiver: Receiver
    ) -> None:
        (event,) = ours.watched.changed(17)
        basic = {"username": "user", "password": "the password"}
        own = {"headers": {"X-Token": "hidden"}, "signature_key": KEYS[0], "basic": basic}
        key = ours.made(url=receiver.url, **own)["id"]
        shown, (got,) = tried(ours, key), receiver.got
        assert (shown["delivered"], shown["request"]["url"]) == (True, receiver.url)
        assert shown["request"]["headers"]["X-Token"] == shown["request"]["headers"]["Authorization"] == MASK
        assert (got.headers["x-token"], got.headers[TEST_HEADER.lower()]) == ("hidden", "true")
        assert got.headers["authorization"].startswith("Basic ")
        assert got.json["message"]["raw"]["contacts"] == [{"id": 17}]
        assert shown["request"]["body"] == got.json
        Webhook(KEYS[0]).verify(got.body, got.headers)
        assert list(Notification.objects.values_list("pk", flat=True)) == [event.notification_id]

    @pytest.mark.parametrize(
        ("form", "content_type", "member"),
        [
            ("cloudevents", "application/cloudevents+json", "specversion"),
            ("thin", "application/json", "instanceId"),
            ("elements", "application/json", "message"),
        ],
    )
    def test_in_its_form(
        self, ours: Subscriptions, receiver: Receiver, form: str, content_type: str, member: str
    ) -> None:
        tried(ours, ours.made(url=receiver.url, form=form)["id"])
        (got,) = receiver.got
        assert got.headers["content-type"] == content_type
        assert member in got.json

    def test_with_its_fields_or_by_its_mapping(self, ours: Subscriptions, receiver: Receiver) -> None:
        ours.watched.changed(17)
        Event.objects.update(record='{"id":17,"firstName":"Ada","lastName":"King"}')
        fields = [{"path": "givenName", "vendorPath": "firstName"}]
        Transformation.objects.create(
            instance=ours.watched.instance, name="people", vendor_name="contacts", fields=fields
        )
        tried(ours, ours.made(url=receiver.url, name="One", fields=["lastname"])["id"])
        tried(ours, ours.made(url=receiver.url, name="Two", mapping="people")["id"])
        records = [got.json["message"]["raw"]["contacts"] for got in receiver.got]
        assert records == [[{"id": 17, "lastName": "King"}], [{"id": 17, "givenName": "Ada"}]]

    def test_of_the_first_one_it_goes_where_the_instance_says_in_its_form(
        self, ours: Subscriptions, receiver: Receiver
    ) -> None:
        instance = ours.watched.instance
        Instance.objects.update(callback_url=receiver.url)
        ours.ask("PATCH", f"/{instance.pk}", {"form": "thin"})
        tried(ours, instance.pk)
        path = f"/v1/instances/{instance.pk}/test-notification"
        assert ours.api("POST", path, {"resource": "contacts"}).json()["delivered"] is True
        assert [list(got.json) for got in receiver.got] == [["instanceId", "events"]] * 2

    def test_one_that_is_off_or_paused_may_be_tried(self, ours: Subscriptions, receiver: Receiver) -> None:
        key = ours.made(url=receiver.url, enabled=False)["id"]
        ours.ask("POST", f"/{key}/pause")
        assert tried(ours, key)["delivered"] is True

    def test_what_cannot_be_sent_is_refused(self, ours: Subscriptions, receiver: Receiver) -> None:
        key = ours.made(url=receiver.url)["id"]
        assert "no resource members is polled" in ours.refused("POST", f"/{key}/test", {"resource": "members"})
        Instance.objects.update(disabled=True)
        assert "disabled" in ours.refused("POST", f"/{key}/test", {"resource": "contacts"}, status=409)
        assert receiver.got == []


class TestRotating:
    """The signature key is a subscription's own, and the former one signs beside it for a while."""

    def test_the_new_key_is_shown_once_and_signs_beside_the_former(
        self, ours: Subscriptions, receiver: Receiver
    ) -> None:
        key = ours.made(url=receiver.url, signature_key=KEYS[0])["id"]
        rotated = ours.ask("POST", f"/{key}/rotate", {"key": KEYS[1]})
        assert rotated["key"] == KEYS[1]
        assert rotated["previous_key_until"] == ours.ask("GET", f"/{key}")["previous_key_until"] is not None
        tried(ours, key)
        for each in KEYS:
            Webhook(each).verify(receiver.got[0].body, receiver.got[0].headers)
        entry = AuditEntry.objects.latest("pk")
        assert (entry.action, entry.details["subscription"]) == ("signature key rotated", "Further")
        assert KEYS[1] not in str(entry.details)

    def test_one_is_made_where_none_is_given_and_others_keep_theirs(self, ours: Subscriptions) -> None:
        key, other = ours.made()["id"], ours.made(name="Other", signature_key=KEYS[0])["id"]
        made = ours.ask("POST", f"/{key}/rotate")
        assert (made["key"].startswith("whsec_"), made["previous_key_until"]) == (True, None)
        row = Subscription.objects.get(pk=other)
        assert row.signature_key is not None
        assert row.signature_key.reveal() == KEYS[0]

    def test_of_the_first_one_it_is_the_instances(self, ours: Subscriptions) -> None:
        instance = ours.watched.instance
        instance.signature_key = Secret.of(KEYS[0])
        instance.save()
        rotated = ours.ask("POST", f"/{instance.pk}/rotate", {"key": KEYS[1]})
        stored = Instance.objects.get()
        assert stored.signature_key is not None
        assert stored.signature_key.reveal() == rotated["key"] == KEYS[1]
        assert rotated["previous_key_until"] is not None

    @pytest.mark.parametrize("body", [{"key": ""}, {"until": "2020-01-01T00:00:00Z"}, {"x": 1}])
    def test_what_makes_no_sense_is_400(self, ours: Subscriptions, body: Any) -> None:
        ours.ask("POST", f"/{ours.made()['id']}/rotate", body, status=400)


class TestPausing:
    """A pause is a subscription's own, and so is its release."""

    def test_one_is_paused_and_released_and_the_others_go_on(self, ours: Subscriptions) -> None:
        instance, now = ours.watched.instance, timezone.now()
        key = ours.made()["id"]
        make_notification(instance, 101, now, subscription_id=key, next_attempt_at=now)
        make_notification(instance, 102, now, next_attempt_at=now)
        paused = ours.ask("POST", f"/{key}/pause")
        assert paused["paused"] is True
        assert paused["pause_reason"].startswith("Paused by hand: API user ")
        due = Notification.objects.filter(next_attempt_at__isnull=False)
        assert list(due.values_list("pk", flat=True)) == [102]
        assert [row["paused"] for row in ours.ask("GET")["items"]] == [False, True]
        assert ours.ask("POST", f"/{key}/release") == {"released": 1}
        assert due.count() == 2
        assert not DeliveryState.objects.filter(paused_at__isnull=False).exists()
        entries = AuditEntry.objects.filter(action__startswith="delivery ").order_by("pk")
        assert [entry.details for entry in entries] == [
            {"subscription": "Further"},
            {"subscription": "Further", "to send": 1},
        ]

    def test_switched_off_nothing_is_sent_and_switched_on_it_is(self, ours: Subscriptions) -> None:
        now, key = timezone.now(), ours.made()["id"]
        make_notification(ours.watched.instance, 101, now, subscription_id=key, next_attempt_at=now)
        ours.ask("PATCH", f"/{key}", {"enabled": False})
        assert Notification.objects.get(pk=101).next_attempt_at is None
        ours.ask("PATCH", f"/{key}", {"enabled": True})
        assert Notification.objects.get(pk=101).next_attempt_at is not None


class TestReplaying:
    """A replay of one subscription is of its notifications alone."""

    @pytest.fixture
    def key(self, ours: Subscriptions) -> int:
        now, key = timezone.now(), ours.made()["id"]
        for number, columns in {101: {"subscription_id": key}, 102: {}, 103: {"subscription_id": key}}.items():
            state = {"state": "failed" if number == 103 else "delivered"}
            make_notification(ours.watched.instance, number, now, **columns, **state)
        return int(key)

    def test_of_a_further_one(self, ours: Subscriptions, key: int) -> None:
        counted = ours.ask("POST", f"/{key}/replay", {"count_only": True})
        assert (counted["total"], counted["what"]) == (2, f"notifications to subscription {key}")
        replay = ours.ask("POST", f"/{key}/replay", {"failed": True}, status=202)
        assert (replay["total"], replay["queued"]) == (1, 1)
        assert list(Notification.objects.filter(replay=replay["id"]).values_list("pk", flat=True)) == [103]
        path = f"/v1/instances/{ours.watched.instance.pk}/replays/{replay['id']}"
        assert ours.api("GET", path).json()["id"] == replay["id"]
        assert Replay.objects.get().selection == {"failed": True, "subscription": key}

    def test_of_the_first_one(self, ours: Subscriptions, key: int) -> None:
        first = ours.watched.instance.pk
        replay = ours.ask("POST", f"/{first}/replay", {}, status=202)
        assert list(Notification.objects.filter(replay=replay["id"]).values_list("pk", flat=True)) == [102]

    def test_of_all_it_leaves_out_what_was_deleted(self, ours: Subscriptions, key: int) -> None:
        path = f"/v1/instances/{ours.watched.instance.pk}/replays"
        assert ours.api("POST", path, {"count_only": True}).json()["total"] == 3
        ours.ask("DELETE", f"/{key}", status=204)
        assert ours.api("POST", path, {"count_only": True}).json()["total"] == 1


class TestFilters:
    """What a filter makes of the log, and what it held back."""

    def test_its_own_filter_is_tried_unless_another_is_given(self, ours: Subscriptions) -> None:
        ours.watched.changed(1, 2, 3)
        key = ours.made(filter={"where": "id > 1"})["id"]
        assert ours.ask("GET", f"/{key}/try-filter")["passed"] == 2
        another = quote(json.dumps({"where": "id > 2"}))
        report = ours.ask("GET", f"/{key}/try-filter?filter={another}&limit=2")
        assert (report["judged"], report["passed"]) == (2, 1)
        assert ours.ask("GET", f"/{ours.watched.instance.pk}/try-filter")["passed"] == 3
        assert "filter: where" in ours.refused("GET", f"/{key}/try-filter?filter=%7B%22where%22:1%7D", None)

    def test_what_was_held_back_is_listed_newest_first_page_by_page(self, ours: Subscriptions) -> None:
        events = ours.watched.changed(*range(1, 8))
        key, other = ours.made()["id"], ours.made(name="Other")["id"]
        carries = make_notification(ours.watched.instance, 10**6, timezone.now(), subscription_id=key)
        for event in events:
            passes = event.record_id == 4
            SubscriptionEvent.objects.create(
                subscription_id=key,
                event=event,
                notification=carries if passes else None,
                held_by="" if passes else "where: id = 4",
            )
        SubscriptionEvent.objects.create(subscription_id=other, event=events[0], held_by="kinds: UPDATED")
        found: list[Any] = []
        cursor = ""
        while True:
            page = ours.ask("GET", f"/{key}/held?limit=2{cursor}")
            found += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert [item["object_id"] for item in found] == ["7", "6", "5", "3", "2", "1"]
        assert found[0] == {
            "id": events[-1].pk,
            "resource": "contacts",
            "object_id": "7",
            "title": "",
            "kind": "UPDATED",
            "polled_at": "2026-03-01T12:00:00Z",
            "held_by": "where: id = 4",
        }
        ours.ask("GET", f"/{key}/held?cursor=!", status=400)

    def test_an_event_that_is_gone_is_not_listed(self, ours: Subscriptions) -> None:
        events, key = ours.watched.changed(1, 2), ours.made()["id"]
        for event in events:
            SubscriptionEvent.objects.create(subscription_id=key, event=event, held_by="where: id = 4")
        Event.objects.filter(pk=events[1].pk).delete()
        assert [item["id"] for item in ours.ask("GET", f"/{key}/held")["items"]] == [events[0].pk]


ROUTES: tuple[tuple[str, str, Any], ...] = (
    *(("POST", "test", {"resource": "contacts"}), ("POST", "rotate", {}), ("POST", "pause", {})),
    *(("POST", "release", {}), ("POST", "replay", {}), ("GET", "try-filter", None), ("GET", "held", None)),
)


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_others_subscriptions_and_deleted_ones_do_not_exist(
    ours: Subscriptions, foreign: Watched, other_api: Api, method: str, path: str, body: Any
) -> None:
    key = ours.made()["id"]
    theirs = Subscriptions(other_api, foreign)
    theirs.ask(method, f"/{key}/{path}", body, status=404)
    ours.ask(method, f"/{key}/{path}", body, auth=other_api.tenant.auth, status=404)
    ours.ask("DELETE", f"/{key}", status=204)
    ours.ask(method, f"/{key}/{path}", body, status=404)
