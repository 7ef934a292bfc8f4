"""The admin's actions: each does what it says, says what it skipped, and is for those alone who may change things."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from instances.models import AuditEntry, Instance, Organization
from polling.models import (
    Alert,
    DeliveryState,
    Event,
    Health,
    MissingRecord,
    Notification,
    PollState,
    Receiver,
    Replay,
    Subscription,
)
from polling.models.subscriptions import FURTHER_FROM
from tests.support.filled_service import HELD, Filled, fill

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def filled(organization: Organization) -> Filled:
    """Ten instances: the fourth's contacts hold deletes, the fifth's delivery is paused."""
    return fill(organization, instances=10, events=200, now=NOW)


def act(client: Client, model: str, action: str, *rows: Any) -> list[str]:
    """Choose rows and an action; give what is said about it."""
    path = f"/admin/{model.replace('.', '/')}/"
    answer = client.post(path, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)
    assert answer.status_code == 200
    found = re.findall(r'<li class="(?:success|warning|error)">(.*?)</li>', answer.content.decode(), re.DOTALL)
    return [re.sub(r"\s+", " ", text).strip() for text in found]


def health(state: PollState, word: Health) -> None:
    PollState.objects.filter(pk=state.pk).update(health=word)


def test_polls_are_made_due_but_for_those_paused(admin_client: Client, filled: Filled) -> None:
    first, second = PollState.objects.order_by("pk")[:2]
    health(second, Health.PAUSED)
    assert act(admin_client, "polling.pollstate", "poll_selected_now", first, second) == [
        "1 poll is due now.",
        f"Skipped 1, paused: incidents of {filled.busiest}.",
    ]
    first.refresh_from_db()
    assert first.next_poll_at is not None
    assert first.next_poll_at <= timezone.now()


def test_sweeps_are_made_due_where_deletes_are_looked_for(admin_client: Client, filled: Filled) -> None:
    first, second, third = PollState.objects.order_by("pk")[:3]
    filled.polls[1].configuration = {}
    filled.polls[1].save()
    health(third, Health.PAUSED)
    said = act(admin_client, "polling.pollstate", "sweep_selected_now", first, second, third)
    assert said[0] == "1 sweep is due now."
    assert said[1].startswith("Skipped 1, for detectDeletes is off: incidents")
    assert said[2].startswith("Skipped 1, paused: organizations")
    assert PollState.objects.exclude(next_sweep_at=None).get() == first


@pytest.mark.parametrize(
    ("action", "status"), [("release_held_deletes", "released"), ("dismiss_held_deletes", "dismissed")]
)
def test_held_deletes_are_decided_on(admin_client: Client, filled: Filled, action: str, status: str) -> None:
    holding, other = PollState.objects.get(health=Health.HELD), PollState.objects.order_by("pk")[0]
    page = admin_client.get(f"/admin/polling/pollstate/{holding.pk}/change/").content.decode()
    assert "17, 18, 19 and 10 more" in page
    said = act(admin_client, "polling.pollstate", action, holding, other)
    assert said[0].startswith(f"{HELD} deletes are {status}")
    assert said[1].startswith("Skipped 1, since they hold none: contacts of Company 0000")
    assert set(MissingRecord.objects.values_list("status", flat=True)) == {status}
    holding.refresh_from_db()
    assert holding.health == Health.HEALTHY
    assert AuditEntry.objects.filter(action="held deletes decided").count() == 1


def test_events_are_replayed_by_their_notifications(admin_client: Client, filled: Filled) -> None:
    lost, discarded, good = Event.objects.order_by("pk")[0], Event.objects.order_by("pk")[5], Event.objects.get(pk=50)
    Event.objects.filter(pk=lost.pk).update(notification=None)
    Notification.objects.filter(events=discarded).update(state="discarded")
    said = act(admin_client, "polling.event", "replay_selected", lost, discarded, good)
    assert said[0] == "1 notification is sent again."
    assert said[1] == f"Skipped 1, for no notification carries them: {lost}."
    assert said[2] == f"Skipped 1, for their notification was discarded: {discarded}."
    assert Notification.objects.get(replay__isnull=False).pk == good.notification_id


def test_notifications_are_replayed_but_for_those_discarded(admin_client: Client, filled: Filled) -> None:
    first, second = Notification.objects.filter(state="delivered").order_by("pk")[:2]
    Notification.objects.filter(pk=second.pk).update(state="discarded")
    assert act(admin_client, "polling.notification", "replay_selected", first, second) == [
        "1 notification is sent again.",
        f"Skipped 1, discarded: {second.webhook_id}.",
    ]
    replay = Replay.objects.order_by("-pk")[0]
    page = admin_client.get(f"/admin/polling/notification/{first.pk}/change/").content.decode()
    assert f"/admin/polling/replay/{replay.pk}/change/" in page


def test_deliveries_are_paused_and_released(admin_client: Client, filled: Filled) -> None:
    paused, other = DeliveryState.objects.get(paused_at__isnull=False), DeliveryState.objects.order_by("pk")[0]
    assert act(admin_client, "polling.deliverystate", "pause_selected", paused, other) == [
        "1 delivery is paused.",
        f"Skipped 1, paused already: {paused.subscription}.",
    ]
    other.refresh_from_db()
    assert other.paused_at is not None
    assert other.pause_reason == "Paused by hand: account admin."
    assert Alert.objects.filter(instance=other.subscription.instance, kind="paused", resolved_at=None).exists()
    assert AuditEntry.objects.filter(action="delivery paused").get().actor == "account admin"
    third = DeliveryState.objects.order_by("pk")[1]
    said = act(admin_client, "polling.deliverystate", "release_selected", paused, other, third)
    assert said[0].startswith("2 deliveries are released;")
    assert said[1] == f"Skipped 1, not paused: {third.subscription}."
    assert not DeliveryState.objects.filter(paused_at__isnull=False).exists()


def test_an_instance_to_which_nothing_was_sent_is_paused_too(admin_client: Client, filled: Filled) -> None:
    DeliveryState.objects.all().delete()
    Subscription.objects.filter(pk__gt=FURTHER_FROM).update(deleted_at=NOW)
    assert act(admin_client, "instances.instance", "pause_selected", filled.busiest) == ["1 delivery is paused."]
    assert DeliveryState.objects.get().pk == filled.busiest.pk
    assert act(admin_client, "instances.instance", "release_selected", filled.busiest)[0].startswith(
        "1 delivery is released; 1 notification is"
    )


def test_an_instance_is_polled_now(admin_client: Client, filled: Filled) -> None:
    first, second = filled.instances[:2]
    PollState.objects.filter(resource_poll=filled.polls[0]).update(health=Health.PAUSED)
    PollState.objects.filter(resource_poll__instance=second).delete()
    assert act(admin_client, "instances.instance", "poll_selected_now", first, second) == [
        "2 polls are due now.",
        f"Skipped 1, paused: contacts of {first}.",
        f"Skipped 1, since watching has not begun: {second}.",
    ]


def test_who_may_only_look_is_offered_no_action(client: Client, filled: Filled) -> None:
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(looker)
    state = PollState.objects.order_by("pk")[0]
    assert "Poll now" not in client.get("/admin/polling/pollstate/").content.decode()
    client.post("/admin/polling/pollstate/", {"action": "poll_selected_now", "_selected_action": [state.pk]})
    assert PollState.objects.get(pk=state.pk).next_poll_at == NOW + timedelta(minutes=15)
    looker.user_permissions.add(Permission.objects.get(codename="change_pollstate"))
    client.post("/admin/polling/pollstate/", {"action": "poll_selected_now", "_selected_action": [state.pk]})
    assert PollState.objects.get(pk=state.pk).next_poll_at != NOW + timedelta(minutes=15)
    assert client.post(f"/admin/polling/pollstate/{state.pk}/change/", {"failures": 3}).status_code == 403


def test_rows_link_to_one_another(admin_client: Client, filled: Filled) -> None:
    event = Event.objects.select_related("notification", "run").get(pk=150)
    assert event.notification is not None
    attempt = event.notification.attempts.get()
    alert = Alert.objects.order_by("pk")[0]
    Alert.objects.filter(pk=alert.pk).update(notification=event.notification)
    ways = {
        f"event/{event.pk}": [
            f"pollrun/{event.run_id}/change",
            f"notification/{event.notification_id}/change",
            f"deliveryattempt/?notification={event.notification_id}",
            f"instances/instance/{event.instance_id}/change",
        ],
        f"pollrun/{event.run_id}": [f"event/?run={event.run_id}", f"pollstate/{event.resource_poll_id}/change"],
        f"notification/{event.notification_id}": [
            f"event/{event.pk}/change",
            f"deliveryattempt/{attempt.pk}/change",
            f"alert/{alert.pk}/change",
        ],
        f"deliveryattempt/{attempt.pk}": [f"notification/{event.notification_id}/change"],
        f"alert/{alert.pk}": [f"notification/{event.notification_id}/change", f"instance/{alert.instance_id}/change"],
        f"pollstate/{event.resource_poll_id}": [f"pollrun/?resource_poll={event.resource_poll_id}"],
    }
    for page, links in ways.items():
        html = admin_client.get(f"/admin/polling/{page}/change/").content.decode()
        for link in links:
            assert link in html, (page, link)
    html = admin_client.get(f"/admin/instances/instance/{event.instance_id}/change/").content.decode()
    for model in ("pollstate", "pollrun", "event", "notification", "deliveryattempt", "replay", "alert"):
        link = f"/admin/polling/{model}/?instance={event.instance_id}"
        assert link in html
        assert admin_client.get(link).status_code == 200


def test_no_page_shows_a_secret_of_a_callback_url(admin_client: Client, filled: Filled) -> None:
    instance = Instance.objects.get(pk=filled.busiest.pk)
    assert "hush" in instance.callback_url
    receiver, attempt = Receiver.objects.filter(organization__instances=instance).earliest("pk").pk, 1
    pages = ["receiver/", f"receiver/{receiver}/change/", f"deliverystate/{instance.pk}/change/", "deliveryattempt/"]
    attempt = Notification.objects.order_by("pk")[0].attempts.get().pk
    for page in (*pages, f"deliveryattempt/{attempt}/change/", f"../instances/instance/{instance.pk}/change/"):
        html = admin_client.get(f"/admin/polling/{page}".replace("polling/../", "")).content.decode()
        assert "example.com" in html or page == "deliveryattempt/"
        assert "hush" not in html
