"""What is the matter with one of several subscriptions: said by its name, and counted once for its instance."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import Instance, Organization
from polling.alerts import delivery_alerts
from polling.delivery.first_subscriptions import first_subscription
from polling.models import Alert, DeliveryState, Event, Notification, Receiver, Subscription
from polling.reports.delivery_issues import instance_issues
from polling.reports.instance_list import InstanceFilter, instance_page, listed_instances
from polling.reports.overview import overview_of
from polling.reports.waiting import waiting_rows
from polling.workers.heartbeats import Part, beat
from tests.pages.conftest import text_of, words_of
from tests.support.page_rows import add_events, add_instances
from tests.support.subscriptions import carry, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def alive() -> None:
    beat(Part.CLUSTER, "here")


@pytest.fixture
def instance(organization: Organization) -> Instance:
    (made,) = add_instances(organization, 1)
    return made


def events_of(instance: Instance, count: int) -> list[Event]:
    add_events(instance, count, at=timezone.now())
    return list(Event.objects.filter(instance=instance).order_by("pk"))


def further(instance: Instance, name: str) -> Subscription:
    return make_subscription(instance, f"https://example.com/{name}", name)


def pause(subscription: Subscription, why: str = "The receiver answered 410.") -> None:
    DeliveryState.objects.update_or_create(
        subscription_id=subscription.pk, defaults={"paused_at": timezone.now(), "pause_reason": why}
    )


def fail(subscription: Subscription, organization: Organization) -> None:
    receiver = Receiver.objects.create(
        organization=organization,
        url_hash=str(subscription.pk),
        url="https://example.com/closed",
        failures=7,
        opened_at=timezone.now(),
        open_until=timezone.now() + timedelta(minutes=1),
    )
    DeliveryState.objects.update_or_create(subscription_id=subscription.pk, defaults={"receiver": receiver})


def why(instance: Instance) -> tuple[str, str]:
    issue = instance_issues([instance.pk])[instance.pk]
    return issue.word, issue.why


def test_an_instance_is_counted_once_however_many_of_its_are_paused(
    organization: Organization, instance: Instance, operator: Client
) -> None:
    events = events_of(instance, 2)
    closed, everything = further(instance, "Closed"), further(instance, "Everything")
    for subscription in (closed, everything):
        pause(subscription)
    carry(closed, [[event] for event in events], next_attempt_at=None)
    overview = overview_of(organization, timezone.now())
    ((group),) = overview.groups
    assert (overview.needing, group.instances, group.waiting) == (1, 1, 2)  # those of the first one are on their way
    (item,) = group.items
    assert (item.text, item.count, item.subscription_id) == ("Delivery to 2 subscriptions is paused.", 2, 0)
    (row,) = overview.rows
    assert row.undelivered == 4
    (waits,) = waiting_rows(organization)
    assert (waits.undelivered, waits.paused) == (4, True)
    listed = listed_instances(organization, InstanceFilter())
    assert [each.state for each in listed] == ["delivery paused"]
    assert [row.fares.undelivered for row in instance_page(listed, "name", 1, timezone.now(), 10).rows] == [4]
    assert "1 instance needs you" in words_of(text_of(operator.get("/")))


def test_what_is_paused_is_named_and_leads_to_it(
    organization: Organization, instance: Instance, operator: Client
) -> None:
    closed = further(instance, "Closed")
    fail(first_subscription(instance), organization)
    pause(closed)
    assert why(instance) == ("delivery paused", "Closed: The receiver answered 410.")
    page = text_of(operator.get("/"))
    assert "Delivery to Closed is paused." in words_of(page)
    assert f"/app/instances/{instance.pk}/release?subscription={closed.pk}" in page
    assert "Delivery is paused since" in words_of(text_of(operator.get(f"/app/instances/{instance.pk}")))
    assert "Closed: The receiver answered 410." in words_of(text_of(operator.get("/app/deliveries")))
    pause(first_subscription(instance), "Its tries are used up.")
    assert why(instance) == ("delivery paused", "Its tries are used up. So is it with 1 other subscription.")


def test_a_receiver_that_fails_is_named_and_tried(
    organization: Organization, instance: Instance, operator: Client
) -> None:
    closed = further(instance, "Closed")
    fail(closed, organization)
    assert why(instance) == ("delivery failing", "Closed: The receiver failed 7 times in a row.")
    page = text_of(operator.get("/"))
    assert "The receiver of Closed failed 7 times in a row." in words_of(page)
    assert f"/app/instances/{instance.pk}/subscriptions/{closed.pk}/test" in page


def test_tries_that_run_out_are_named(organization: Organization, instance: Instance, operator: Client) -> None:
    (event,) = events_of(instance, 1)
    closed = further(instance, "Closed")
    (sent,) = carry(closed, [[event]])
    delivery_alerts.warn_of_tries(sent, closed, [1, 2, 3, 4], 3, "The receiver answered 500.", timezone.now())
    page = text_of(operator.get("/"))
    assert "that does not arrive at Closed." in words_of(page)
    assert f"/app/events/{event.pk}?to={closed.pk}" in page
    assert "of Closed of Company 0" in why(instance)[1]


@pytest.mark.parametrize("over", [{"enabled": False}, {"deleted_at": timezone.now(), "enabled": False}])
def test_what_is_off_needs_nobody(organization: Organization, instance: Instance, over: dict[str, object]) -> None:
    (event,) = events_of(instance, 1)
    closed, other = further(instance, "Closed"), further(instance, "Other")
    pause(closed)
    fail(other, organization)
    (sent,) = carry(other, [[event]])
    delivery_alerts.warn_of_tries(sent, other, [1, 2, 3, 4], 3, "The receiver answered 500.", timezone.now())
    assert overview_of(organization, timezone.now()).needing == 1
    Subscription.objects.filter(instance=instance, pk__gt=instance.pk).update(**over)
    assert overview_of(organization, timezone.now()).needing == 0
    assert instance_issues([instance.pk]) == {}
    assert [each.state for each in listed_instances(organization, InstanceFilter())] == ["healthy"]


def test_warnings_name_the_subscription(organization: Organization, instance: Instance, operator: Client) -> None:
    closed = further(instance, "Closed")
    delivery_alerts.warn_of_pause(closed, f"Delivery of {closed} is paused: so.", timezone.now())
    said = words_of(text_of(operator.get("/app/alerts")))
    assert said.count("Closed of Company 0") >= 1
    assert "Delivery is paused Company 0 Closed" in said
    assert Alert.objects.get().subscription == closed


def test_given_up_notifications_of_a_deleted_one_are_counted_no_more(
    organization: Organization, instance: Instance
) -> None:
    (event,) = events_of(instance, 1)
    closed = further(instance, "Closed")
    carry(closed, [[event]], state=Notification.State.FAILED, given_up_at=timezone.now(), next_attempt_at=None)
    given_up = overview_of(organization, timezone.now()).given_up
    assert given_up is not None
    assert given_up.count == 1
    Subscription.objects.filter(pk=closed.pk).update(deleted_at=timezone.now())
    assert overview_of(organization, timezone.now()).given_up is None
