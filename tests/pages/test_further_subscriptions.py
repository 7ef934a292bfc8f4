"""What pages, API and admin show of notifications that were made of the log, beside those made with their events."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from instances.models import Organization
from polling.delivery.carried import carried_by, events_of, first_events_of
from polling.models import Alert, DeliveryAttempt, Event, Notification, Subscription
from tests.api.conftest import Watched
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of, words_of
from tests.support.api_caller import Api
from tests.support.subscriptions import carry, make_subscription

pytestmark = pytest.mark.django_db
BATCH = "application/cloudevents-batch+json"


@dataclass
class Heard:
    """An instance with three events, each notified of by a notification of its own, and by two to a further one."""

    watched: Watched
    events: list[Event]
    further: Subscription
    pair: Notification
    one: Notification

    @property
    def own(self) -> list[Notification]:
        """Those of the first subscription."""
        return [event.notification for event in self.events if event.notification is not None]


@pytest.fixture
def heard(tenant: Tenant) -> Heard:
    watched = Watched(tenant)
    events = [watched.changed(number, title=f"Record {number}")[0] for number in (1, 2, 3)]
    further = make_subscription(watched.instance, "http://127.0.0.1:9/closed", "Closed tickets")
    pair, one = carry(further, [events[:2], events[2:]], content_type=BATCH)
    return Heard(watched, events, further, pair, one)


def attempt_of(notification: Notification, **columns: object) -> DeliveryAttempt:
    now = timezone.now()
    return DeliveryAttempt.objects.create(
        notification=notification, url="http://127.0.0.1:9/closed", started_at=now, finished_at=now, **columns
    )


def test_what_a_notification_carries_is_known_of_either_kind(heard: Heard) -> None:
    first, second, third = heard.events
    keys = [first.pk, heard.pair.pk, heard.one.pk]
    to, further = heard.watched.instance.pk, heard.further.pk
    assert carried_by(keys, "object_id") == [
        (first.pk, to, "1"),
        (heard.pair.pk, further, "1"),
        (heard.pair.pk, further, "2"),
        (heard.one.pk, further, "3"),
    ]
    assert events_of(keys) == {first.pk: [first], heard.pair.pk: [first, second], heard.one.pk: [third]}
    assert first_events_of(keys) == {first.pk: first, heard.pair.pk: first, heard.one.pk: third}


def test_a_shared_body_is_shown_wherever_a_body_is(heard: Heard, api: Api, operator: Client) -> None:
    text = heard.pair.sent
    assert text == f"[{heard.events[0].pk}, {heard.events[1].pk}]"
    shown = api("GET", f"/v1/deliveries/{heard.pair.pk}").json()
    assert shown["body"] == [event.pk for event in heard.events[:2]]
    assert shown["events"] == shown["body"]
    assert shown["content_type"] == BATCH
    attempt = attempt_of(heard.pair, request_headers={"Content-Type": BATCH})
    command = words_of(text_of(operator.get(f"/app/attempts/{attempt.pk}/curl")))
    assert f"'{text}'" in command
    assert f"'Content-Type: {BATCH}'" in command
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    page = text_of(root.get(f"/admin/polling/notification/{heard.pair.pk}/change/"))
    assert all(str(event.pk) in page.split("What is sent")[1] for event in heard.events[:2])


def test_a_body_of_ones_own_is_shown_as_ever(heard: Heard, api: Api) -> None:
    shown = api("GET", f"/v1/deliveries/{heard.events[0].pk}").json()
    assert shown["body"]["message"]["eventId"] == str(heard.events[0].pk)
    assert shown["content_type"] == "application/json"


def test_lists_name_the_record_that_a_notification_carries_first(heard: Heard, operator: Client) -> None:
    attempt_of(heard.pair, error_kind="refused", error="no")
    html = text_of(operator.get("/app/deliveries"))
    assert html.count("Record 1") == 3  # of either subscription in the list, and the attempt that failed
    assert html.count("Record 3") == 2
    assert "and 1 more" in html
    page = text_of(operator.get(f"/app/instances/{heard.watched.instance.pk}/delivery"))
    assert page.count("Record 1") == 2


def test_a_webhook_id_leads_to_the_first_event(heard: Heard, operator: Client) -> None:
    for path in ("/app/search?q=", "/app/events?object="):
        answer = operator.get(f"{path}{heard.pair.webhook_id}")
        assert answer.headers["Location"] == f"/app/events/{heard.events[0].pk}?to={heard.further.pk}"


def test_an_alert_names_the_record(heard: Heard, operator: Client, organization: Organization) -> None:
    Alert.objects.create(
        kind=Alert.Kind.LAST_TRY,
        organization=organization,
        instance=heard.watched.instance,
        subscription=heard.further,
        notification=heard.one,
        text="One try is left.",
        created_at=timezone.now(),
    )
    html = text_of(operator.get("/"))
    assert "Record 3 · contacts/3" in html
    assert f"/app/events/{heard.events[2].pk}" in html


def test_nobody_elses_are_shown(heard: Heard, other_tenant: Tenant) -> None:
    stranger = sign_in("otto", other_tenant.organization)
    attempt = attempt_of(heard.pair)
    assert stranger.get(f"/app/attempts/{attempt.pk}/curl").status_code == 404
    assert stranger.get(f"/app/events?object={heard.pair.webhook_id}").status_code == 200


def test_an_attempt_of_a_deleted_one_is_shown_to_nobody(heard: Heard, operator: Client) -> None:
    attempt = attempt_of(heard.pair)
    assert operator.get(f"/app/attempts/{attempt.pk}/curl").status_code == 200
    Subscription.objects.filter(pk=heard.further.pk).update(deleted_at=timezone.now())
    assert operator.get(f"/app/attempts/{attempt.pk}/curl").status_code == 404
