"""What became of events for each subscription of their instance: in lists, on an event's page, in the API's routes."""

from __future__ import annotations

import csv
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from instances.models import Instance
from polling.delivery.first_subscriptions import first_subscription
from polling.models import DeliveryAttempt, Event, Notification, Subscription, SubscriptionEvent
from polling.reports.event_search import Search, search_events
from polling.reports.event_states import SHOWN_STATES, state_of
from polling.reports.history import STATUSES
from tests.api.conftest import Watched
from tests.conftest import Tenant
from tests.pages.conftest import text_of, words_of
from tests.support.api_caller import Api
from tests.support.subscriptions import carry, make_subscription

pytestmark = pytest.mark.django_db
State = Notification.State


@pytest.fixture
def watched(tenant: Tenant) -> Watched:
    return Watched(tenant)


@pytest.fixture
def foreign(other_tenant: Tenant) -> Watched:
    return Watched(other_tenant)


def recorded(watched: Watched, *numbers: int, own: bool = True, **options: Any) -> list[Event]:
    """Record an event for each record, with a notification of its own each, or without any."""
    events = [watched.changed(number, title=f"Record {number}", at=timezone.now(), **options)[0] for number in numbers]
    if not own:
        Notification.objects.filter(pk__in=[event.pk for event in events]).delete()
    return [Event.objects.get(pk=event.pk) for event in events]


def tell(subscription: Subscription, event: Event, state: str = State.PENDING, **columns: Any) -> Notification:
    """Make the notification that carries an event to a subscription."""
    (made,) = carry(subscription, [[event]], state=state, **columns)
    if subscription.is_first:
        Notification.objects.filter(pk=made.pk).update(subscription=None)
    reached(subscription, event)
    return made


def hold(subscription: Subscription, event: Event, by: str = "where: status.name = 'Closed'") -> None:
    """Have an event held back from a subscription."""
    SubscriptionEvent.objects.create(subscription=subscription, event=event, held_by=by)
    reached(subscription, event)


def reached(subscription: Subscription, event: Event) -> None:
    """Have the log looked at up to an event."""
    Subscription.objects.filter(pk=subscription.pk).update(reached_id=event.pk)


def switch(instance: Instance) -> Subscription:
    """Have the first subscription read the log from the beginning."""
    first = first_subscription(instance)
    Subscription.objects.filter(pk=first.pk).update(reads_log=True)
    first.refresh_from_db()
    return first


def further(watched: Watched, name: str = "Closed tickets", **given: Any) -> Subscription:
    return make_subscription(watched.instance, "http://127.0.0.1:9/closed", name, **given)


def shown(watched: Watched, **search: Any) -> dict[str, tuple[str, int, int]]:
    """Return the list's state of each event, by object, with how many were delivered of how many."""
    found = search_events(watched.tenant.organization, Search(**search)).rows
    states = {event.object_id: state_of(event) for event in found}
    return {name: (state.word, state.delivered, state.sent) for name, state in states.items()}


def lines(api: Api, event: Event) -> dict[str, str]:
    return {row["subscription"]: row["state"] for row in api("GET", f"/v1/events/{event.pk}").json()["deliveries"]}


@pytest.mark.parametrize(
    ("own", "other", "state"),
    [
        (State.DELIVERED, State.DELIVERED, ("delivered", 2, 2)),
        (State.DELIVERED, State.PENDING, ("waiting", 1, 2)),
        (State.PENDING, State.FAILED, ("given up", 0, 2)),
        (State.EXHAUSTED, State.DELIVERED, ("given up", 1, 2)),
        (State.DISCARDED, State.DELIVERED, ("discarded", 1, 2)),
        (State.DELIVERED, None, ("delivered", 1, 1)),
        (State.DISCARDED, None, ("discarded", 0, 1)),
    ],
)
def test_a_list_shows_the_state_that_matters_most(
    watched: Watched, own: str, other: str | None, state: tuple[str, int, int]
) -> None:
    (event,) = recorded(watched, 1)
    Notification.objects.update(state=own)
    subscription = further(watched)
    if other is None:
        hold(subscription, event)
    else:
        tell(subscription, event, other)
    assert shown(watched) == {"1": state}


def test_one_that_was_not_looked_at_yet_waits(watched: Watched) -> None:
    first, second = recorded(watched, 1, 2)
    Notification.objects.update(state=State.DELIVERED)
    subscription = further(watched)
    hold(subscription, first)
    assert shown(watched) == {"1": ("delivered", 1, 1), "2": ("waiting", 1, 1)}
    assert shown(watched, delivery_state="waiting").keys() == {"2"}
    for idle in ({"enabled": False}, {"deleted_at": timezone.now()}, {"callback_url": ""}, {"reached_id": second.pk}):
        Subscription.objects.filter(pk=subscription.pk).update(**idle)
        assert shown(watched)["2"] == ("delivered", 1, 1), idle
        fresh = {"enabled": True, "deleted_at": None, "callback_url": "http://127.0.0.1:9/", "reached_id": first.pk}
        Subscription.objects.filter(pk=subscription.pk).update(**fresh)
        assert shown(watched)["2"] == ("waiting", 1, 1)


def test_what_a_deleted_subscription_left_counts_no_more(watched: Watched, api: Api) -> None:
    (event,) = recorded(watched, 1)
    Notification.objects.update(state=State.DELIVERED)
    tell(gone := further(watched), event, State.DISCARDED)
    Subscription.objects.filter(pk=gone.pk).update(deleted_at=timezone.now(), enabled=False)
    assert shown(watched) == {"1": ("delivered", 1, 1)}
    assert shown(watched, delivery_state="given up") == {}
    assert lines(api, event) == {"Main": "delivered"}


def test_a_first_one_that_reads_the_log_is_as_any(watched: Watched, api: Api) -> None:
    first = switch(watched.instance)
    made, held, late = recorded(watched, 1, 2, 3, own=False)
    notification = tell(first, made, State.DELIVERED, delivered_at=timezone.now())
    hold(first, held)
    assert shown(watched) == {"1": ("delivered", 1, 1), "2": ("held back", 0, 0), "3": ("waiting", 0, 0)}
    assert [lines(api, event)["Main"] for event in (made, held, late)] == ["delivered", "held back", "not judged yet"]
    items = api("GET", "/v1/events").json()["items"]
    assert [item["delivery_id"] for item in items] == [notification.pk, None, None]
    assert api("GET", f"/v1/events/{made.pk}").json()["delivery_id"] == notification.pk
    rows = api("GET", f"/instances/{watched.instance.pk}/events").json()
    assert {row["id"]: row["status"] for row in rows} == {
        str(made.pk): "NOTIFIED",
        str(held.pk): "CONSUMED",
        str(late.pk): "NEW",
    }


def test_events_are_searched_by_what_became_of_them_for_any(watched: Watched) -> None:
    given_up, waiting, delivered, held, unsent = recorded(watched, 1, 2, 3, 4, 5, own=False)
    subscription = further(watched)
    tell(subscription, given_up, State.FAILED)
    tell(subscription, waiting, State.EXHAUSTED)
    Notification.objects.update(state=State.PENDING)
    Notification.objects.filter(carried__event=given_up).update(state=State.FAILED)
    tell(subscription, delivered, State.DELIVERED)
    hold(subscription, held)
    reached(subscription, unsent)
    found = {state: set(shown(watched, delivery_state=state)) for state in SHOWN_STATES}
    assert found == {"delivered": {"3"}, "waiting": {"2"}, "given up": {"1"}, "held back": {"4"}}
    assert set(shown(watched, object_id="4", delivery_state="held back")) == {"4"}
    assert set(shown(watched, object_id="4", delivery_state="delivered")) == set()
    assert set(shown(watched, text="Record", delivery_state="held back")) == {"4"}


def test_the_statuses_of_the_history_are_each_events_one(watched: Watched, api: Api) -> None:
    """Of the first subscription alone, whichever way it was notified; a further one changes nothing on that wire."""
    states: dict[str, dict[str, Any]] = {
        "NEW": {"state": State.PENDING, "next_attempt_at": None},
        "RECEIVED": {"state": State.PENDING, "next_attempt_at": timezone.now()},
        "DISPATCHED": {"state": State.EXHAUSTED, "next_attempt_at": None},
        "CONSUMED": {"state": State.FAILED},
        "NOTIFIED": {"state": State.DELIVERED},
    }
    before = recorded(watched, *range(len(states)))
    first, other = switch(watched.instance), further(watched)
    expected: dict[str, set[str]] = {}
    for own, read, (status, columns) in zip(
        before, recorded(watched, *range(len(states))), states.items(), strict=True
    ):
        Notification.objects.filter(pk=own.pk).update(**columns)
        Notification.objects.filter(pk=tell(first, read).pk).update(**columns)
        tell(other, own, State.PENDING)
        expected[status] = {str(own.pk), str(read.pk)}
    path = f"/instances/{watched.instance.pk}/events"
    rows = {row["id"]: row["status"] for row in api("GET", path).json()}
    assert {status: {key for key, of in rows.items() if of == status} for status in STATUSES} == expected
    for status in STATUSES:
        assert {row["id"] for row in api("GET", f"{path}?status={status}").json()} == expected[status], status


def test_the_page_has_a_line_for_each_subscription(watched: Watched, operator: Client, api: Api) -> None:
    (event,) = recorded(watched, 1)
    Notification.objects.update(state=State.DELIVERED)
    everything, held, late = (further(watched, name) for name in ("All of it", "Closed", "Late"))
    sent = tell(everything, event, State.FAILED)
    SubscriptionEvent.objects.filter(notification=sent).update(not_judged="status: the earlier content is not known")
    hold(held, event, "to: status.name = 'Closed'")
    expected = {"Main": "delivered", "All of it": "given up", "Closed": "held back", "Late": "not judged yet"}
    assert lines(api, event) == expected
    said = words_of(text_of(operator.get(f"/app/events/{event.pk}")))
    for name, word in expected.items():
        assert f"{name} ● {word}" in said or f"{name} ■ {word}" in said or f"{name} ○ {word}" in said, name
    assert "It did not meet to: status.name = 'Closed'." in said
    assert "since this could not be judged: status: the earlier content is not known" in said
    assert "Sent to Main in notification" in said
    Subscription.objects.filter(pk=late.pk).update(enabled=False)
    assert lines(api, event)["Late"] == "not sent"
    assert "The subscription is off." in words_of(text_of(operator.get(f"/app/events/{event.pk}")))


def test_a_line_leads_to_what_that_subscription_was_sent(watched: Watched, operator: Client) -> None:
    (event,) = recorded(watched, 1)
    subscription = further(watched)
    sent = tell(subscription, event, State.DELIVERED)
    DeliveryAttempt.objects.create(
        notification=sent, url="http://127.0.0.1:9/closed", started_at=timezone.now(), status=204
    )
    page = f"/app/events/{event.pk}?to={subscription.pk}"
    html = text_of(operator.get(f"/app/events/{event.pk}"))
    assert f'href="?to={subscription.pk}#sent"' in html
    html = text_of(operator.get(page))
    assert sent.webhook_id in html
    assert "Sent to Closed tickets in notification" in words_of(html)
    assert "http://127.0.0.1:9/closed" in html
    assert f'href="/app/events/{event.pk}?to={subscription.pk}"' in text_of(operator.get("/app/deliveries"))
    operator.post(f"/app/events/{event.pk}/replay", {"to": subscription.pk})
    assert set(Notification.objects.filter(replay__isnull=False)) == {sent}
    operator.post(f"/app/events/{event.pk}/replay")
    assert Notification.objects.filter(replay__isnull=False).count() == 2


def test_what_nothing_is_noted_of_says_why(watched: Watched, api: Api) -> None:
    (event,) = recorded(watched, 1)
    subscription = further(watched, reached_id=event.pk)
    assert lines(api, event)["Closed tickets"] == "lost"
    old = timezone.now() - timedelta(days=settings.RETENTION_DAYS + 1)
    Event.objects.update(polled_at=old)
    assert lines(api, event)["Closed tickets"] == "no longer kept"
    Subscription.objects.filter(pk=subscription.pk).update(retention_days=settings.RETENTION_DAYS + 2)
    assert lines(api, event)["Closed tickets"] == "lost"
    Subscription.objects.filter(pk=subscription.pk).update(began_id=event.pk)
    assert lines(api, event)["Closed tickets"] == "not sent"
    Subscription.objects.filter(pk=subscription.pk).update(callback_url="", reached_id=0, began_id=0)
    assert lines(api, event)["Closed tickets"] == "not sent"


def test_the_csv_has_all_that_were_notified(watched: Watched, operator: Client) -> None:
    (event,) = recorded(watched, 1)
    at = timezone.now()
    Notification.objects.update(state=State.DELIVERED, delivered_at=at)
    sent = tell(further(watched), event)
    path = "/app/events.csv"

    def row() -> dict[str, str]:
        answer = operator.get(path)
        text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]  # it streams
        (found,) = csv.DictReader(text.splitlines())
        return found

    assert row()["state"] == "waiting"
    assert row()["delivered"] == ""
    assert row()["webhook-id"].split() == [Notification.objects.get(pk=event.pk).webhook_id, sent.webhook_id]
    Notification.objects.update(state=State.DELIVERED, delivered_at=at)
    assert row()["state"] == "delivered"
    assert row()["delivered"].startswith(f"{at:%Y-%m-%d}")


def test_lists_say_how_many_of_several_were_delivered(watched: Watched, operator: Client) -> None:
    (event,) = recorded(watched, 1)
    Notification.objects.update(state=State.DELIVERED)
    tell(further(watched), event)
    for path in ("/app/events", f"/app/instances/{watched.instance.pk}/stream"):
        assert "waiting 1 of 2 delivered" in words_of(text_of(operator.get(path)))
    assert "Replay these 2…" in words_of(text_of(operator.get("/app/events?resource=contacts")))
    assert "Replay these 1…" in words_of(text_of(operator.get("/app/events?state=delivered")))
    assert "Replay" not in words_of(text_of(operator.get("/app/events?state=held+back")))


def test_others_events_say_nothing(foreign: Watched, api: Api) -> None:
    (event,) = recorded(foreign, 1)
    assert api("GET", f"/v1/events/{event.pk}").status_code == 404
