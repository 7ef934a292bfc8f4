"""Subscriptions in the admin: looked at without their secrets, paused and released; what became of events for each."""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import Instance
from instances.secrets import MASK, Secret
from polling.models import Alert, DeliveryState, Event, Notification, Subscription, SubscriptionEvent
from tests.api.conftest import Watched
from tests.conftest import Tenant
from tests.pages.conftest import words_of
from tests.polling.test_admin_actions import act
from tests.support.subscriptions import carry, make_subscription

pytestmark = pytest.mark.django_db
SECRETS = ("signed with this", "Bearer of a header", "a basic password", "hush")


@pytest.fixture
def events(tenant: Tenant) -> list[Event]:
    watched = Watched(tenant)
    return [watched.changed(number, title=f"Record {number}")[0] for number in (1, 2, 3)]


@pytest.fixture
def further(events: list[Event]) -> Subscription:
    """One with all secrets there are; the third event is held back from it."""
    made = make_subscription(
        events[0].instance,
        f"https://example.com/closed?code={SECRETS[3]}",
        "Closed tickets",
        key=SECRETS[0],
        headers={"Authorization": SECRETS[1]},
        filter='{"kinds":["CREATED"]}',
        basic_username="olga",
    )
    made.basic_password, made.previous_signature_key = Secret.of(SECRETS[2]), Secret.of(f"once {SECRETS[0]}")
    made.save()
    SubscriptionEvent.objects.create(subscription=made, event=events[2], held_by="kinds: UPDATED")
    return made


@pytest.fixture
def sent(further: Subscription, events: list[Event]) -> Notification:
    (made,) = carry(further, [events[:2]], content_type="application/cloudevents-batch+json")
    return made


def page(client: Client, path: str) -> str:
    answer = client.get(f"/admin/polling/{path}")
    assert answer.status_code == 200
    return str(answer.content.decode())


def shown(client: Client, path: str) -> set[int]:
    """Return the keys of the rows that a list shows."""
    model = path.partition("/")[0]
    return {int(key) for key in re.findall(rf"/admin/polling/{model}/(\d+)/change/", page(client, path))}


def exported(client: Client, path: str) -> list[dict[str, str]]:
    answer: Any = client.get(f"/admin/polling/{path}")
    return list(csv.DictReader(b"".join(answer.streaming_content).decode().splitlines()))


def test_no_secret_is_shown(admin_client: Client, further: Subscription) -> None:
    instance: Instance = further.instance
    instance.signature_key, instance.callback_url = Secret.of(SECRETS[0]), f"https://example.com/?code={SECRETS[3]}"
    instance.save()
    pages = [
        page(admin_client, "subscription/"),
        *(page(admin_client, f"subscription/{key}/change/") for key in (further.pk, instance.pk)),
    ]
    assert not [secret for html in pages for secret in SECRETS if secret in html]
    for html in pages[1:]:
        assert not re.search(r"v\d:[A-Za-z0-9_-]{40}", html)  # nor a ciphertext
    said = words_of(pages[1])
    assert f"olga · {MASK}" in said
    assert said.count(MASK) == 3
    assert "https://example.com/closed" in said
    assert '"kinds": [' in said


def test_first_ones_show_what_stands_in_their_instance(admin_client: Client, further: Subscription) -> None:
    said = words_of(page(admin_client, f"subscription/{further.instance_id}/change/"))
    assert "http://127.0.0.1:9/" in said
    assert "Main" in said


@pytest.mark.parametrize("query", ["q=closed+tickets", "enabled__exact=1&instance={instance}", "form__exact=elements"])
def test_they_are_found_by_name_and_by_filters(admin_client: Client, further: Subscription, query: str) -> None:
    assert further.pk in shown(admin_client, f"subscription/?{query.format(instance=further.instance_id)}")
    assert further.pk not in shown(admin_client, "subscription/?form__exact=thin")


def test_they_are_paused_and_released(admin_client: Client, further: Subscription) -> None:
    gone = make_subscription(further.instance, "https://example.com/", "Gone", deleted_at=timezone.now())
    assert act(admin_client, "polling.subscription", "pause_selected", further, gone) == ["1 delivery is paused."]
    assert DeliveryState.objects.get(paused_at__isnull=False).pk == further.pk
    said = act(admin_client, "polling.subscription", "release_selected", further)
    assert said[0].startswith("1 delivery is released;")
    assert not DeliveryState.objects.filter(paused_at__isnull=False).exists()


def test_what_hangs_on_one_is_a_click_away(
    admin_client: Client, further: Subscription, sent: Notification, events: list[Event]
) -> None:
    DeliveryState.objects.create(subscription=further)
    instance = further.instance_id
    html = page(admin_client, f"subscription/{further.pk}/change/")
    for link in (
        f"/admin/polling/notification/?subscription={further.pk}",
        f"/admin/polling/subscriptionevent/?subscription={further.pk}",
        f"/admin/polling/alert/?subscription={further.pk}",
        f"/admin/polling/deliverystate/{further.pk}/change/",
    ):
        assert link in html
    state = page(admin_client, f"deliverystate/{further.pk}/change/")
    assert f"/admin/polling/notification/?subscription={further.pk}" in state
    assert f"/admin/polling/replay/?instance={instance}" in state
    of_instance = admin_client.get(f"/admin/instances/instance/{instance}/change/").content.decode()
    for model in ("subscription", "subscriptionevent"):
        assert f"/admin/polling/{model}/?instance={instance}" in of_instance
    assert f"/admin/polling/subscriptionevent/?event={events[0].pk}" in page(
        admin_client, f"event/{events[0].pk}/change/"
    )


def test_notifications_are_those_of_one(
    admin_client: Client, further: Subscription, sent: Notification, events: list[Event]
) -> None:
    assert shown(admin_client, f"notification/?subscription={further.pk}") == {sent.pk}
    own = {event.pk for event in events}
    assert shown(admin_client, f"notification/?subscription={further.instance_id}") == own
    assert shown(admin_client, f"notification/?q={events[0].pk}") == {sent.pk, events[0].pk}
    html = words_of(page(admin_client, f"notification/{sent.pk}/change/"))
    assert "Closed tickets of API_Polling" in html
    assert "UPDATED Record 1 · contacts/1" in html
    assert "application/cloudevents-batch+json" in html
    assert "contacts 2" in words_of(page(admin_client, f"notification/{events[1].pk}/change/"))
    rows = {row["id"]: row["subscription id"] for row in exported(admin_client, "notification/export/")}
    assert rows[str(sent.pk)] == str(further.pk)
    assert rows[str(events[0].pk)] == str(further.instance_id)


def test_what_became_of_events_is_listed_searched_and_exported(
    admin_client: Client, further: Subscription, sent: Notification, events: list[Event]
) -> None:
    carried, held = (
        SubscriptionEvent.objects.filter(notification=sent),
        SubscriptionEvent.objects.get(notification=None),
    )
    keys = set(carried.values_list("pk", flat=True))
    path = "subscriptionevent/"
    assert shown(admin_client, path) == {*keys, held.pk}
    assert shown(admin_client, f"{path}?outcome=held+back") == {held.pk}
    assert shown(admin_client, f"{path}?outcome=carried&subscription={further.pk}") == keys
    assert shown(admin_client, f"{path}?q={sent.pk}") == keys
    assert shown(admin_client, f"{path}?q={events[2].pk}") == {held.pk}
    assert shown(admin_client, f"{path}?q=closed+tickets") == {*keys, held.pk}
    assert shown(admin_client, f"{path}?q=nobody") == set()
    assert shown(admin_client, f"{path}?instance={further.instance_id}&event={events[0].pk}") < keys
    rows = exported(admin_client, f"{path}export/?outcome=held+back")
    assert [(row["event id"], row["held by"], row["subscription"]) for row in rows] == [
        (str(events[2].pk), "kinds: UPDATED", "Closed tickets")
    ]
    assert "kinds: UPDATED" in page(admin_client, f"{path}{held.pk}/change/")


def test_events_say_how_all_notifications_fare(
    admin_client: Client, further: Subscription, sent: Notification, events: list[Event]
) -> None:
    Notification.objects.filter(pk=events[0].pk).update(state="delivered")
    Event.objects.filter(pk=events[2].pk).update(notification=None)
    Subscription.objects.filter(pk=further.pk).update(reached_id=events[2].pk)
    states = {row["id"]: row["delivery"] for row in exported(admin_client, "event/export/")}
    assert states[str(events[0].pk)] == "Waiting, 1 of 2 delivered"
    assert states[str(events[2].pk)] == "Held back"
    said = act(admin_client, "polling.event", "replay_selected", events[0], events[2])
    assert said[0] == "2 notifications are sent again."
    assert said[1].startswith("Skipped 1, for no notification carries them")
    assert set(Notification.objects.filter(replay__isnull=False).values_list("pk", flat=True)) == {
        events[0].pk,
        sent.pk,
    }


def test_warnings_link_what_they_are_about(admin_client: Client, further: Subscription) -> None:
    given = {"organization": further.instance.organization, "instance": further.instance, "created_at": timezone.now()}
    about = Alert.objects.create(kind=Alert.Kind.PAUSED, subscription=further, text="So.", **given)
    other = Alert.objects.create(kind=Alert.Kind.PAUSED, text="So.", **given)
    assert shown(admin_client, f"alert/?subscription={further.pk}") == {about.pk}
    assert shown(admin_client, f"alert/?subscription={further.instance_id}") == {other.pk}
    assert shown(admin_client, "alert/") == {about.pk, other.pk}
    assert f"/admin/polling/subscription/{further.pk}/change/" in page(admin_client, "alert/")
