"""The overview: what is well, what needs a person, and what is dead."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import DjangoAssertNumQueries

from instances.models import Instance, Organization
from polling.alerts import delivery_alerts
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery
from polling.models import Alert, DeliveryState, Event, Health, MissingRecord, Notification, PollState, Receiver
from polling.reports.event_hours import KINDS, HourCount
from polling.reports.hours import chart_of, hours_of, round_up
from polling.workers.heartbeats import Part, beat
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.page_rows import add_events, add_instances

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


@pytest.fixture
def instance(organization: Organization) -> Instance:
    beat(Part.CLUSTER, "here")
    add_instances(organization, 1)
    return Instance.objects.get()


def health(word: Health, error: str = "") -> None:
    """Have the one poll fare like that."""
    PollState.objects.update(health=word, last_error=error)


def test_everything_is_well(instance: Instance, operator: Client) -> None:
    html = text_of(operator.get("/"))
    assert "Everything is well" in html
    assert "1 instance · 1 resource" in html


def test_refused_keys_need_a_person(instance: Instance, operator: Client) -> None:
    health(Health.UNAUTHORIZED, "Incorrect public/private key")
    html = text_of(operator.get("/"))
    for words in ("1 instance needs you", "refuses the keys", "Incorrect public/private key", "Edit keys", "Poll now"):
        assert words in html
    assert "Everything is well" not in html


def test_a_rejected_poll_needs_a_person(instance: Instance, operator: Client) -> None:
    health(Health.REJECTED, "No such column")
    html = text_of(operator.get("/"))
    assert "No such column" in html
    assert "Edit the poll" in html


def test_held_deletes_are_decided_on(instance: Instance, operator: Client) -> None:
    health(Health.HELD)
    poll = instance.resource_polls.get()
    MissingRecord.objects.create(resource_poll=poll, record_id=7, status=MissingRecord.Status.HELD)
    assert "Decide on 1 delete" in text_of(operator.get("/"))
    operator.post(f"/app/instances/{instance.pk}/polls/{poll.pk}/held", {"decision": "dismiss"})
    assert MissingRecord.objects.get().status == MissingRecord.Status.DISMISSED


def test_a_paused_delivery_is_released(instance: Instance, operator: Client) -> None:
    add_events(instance, 3)
    pause_delivery(first_subscription(instance), "Its tries are used up.", timezone.now())
    html = text_of(operator.get("/"))
    assert "Release 3" in html
    assert "Its tries are used up." in html
    asked = text_of(operator.get(f"/app/instances/{instance.pk}/release"))
    assert "Release 3 notifications" in asked
    assert "hush" not in asked
    progress = operator.post(f"/app/instances/{instance.pk}/release", follow=True)
    assert "0 of 3 delivered" in text_of(progress)
    assert not DeliveryState.objects.filter(paused_at__isnull=False).exists()


def test_a_failing_receiver_is_named(instance: Instance, operator: Client) -> None:
    receiver = Receiver.objects.create(
        organization=Organization.objects.get(),
        url_hash="h",
        url="https://example.com/?code=hush",
        failures=12,
        opened_at=timezone.now(),
        open_until=timezone.now(),
    )
    DeliveryState.objects.create(subscription=first_subscription(instance), receiver=receiver)
    html = text_of(operator.get("/"))
    assert "failed 12 times in a row" in html
    assert "hush" not in html
    delivery_alerts.warn_of_breaker(receiver, "It answered 500.", timezone.now())
    assert "https://example.com/?… of Alpha failed 12 times" in Alert.objects.get().text
    assert "failing" in text_of(operator.get("/app/deliveries"))


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ([Alert.Kind.HALF_USED], "Half of the retry schedule is used up"),
        ([Alert.Kind.HALF_USED, Alert.Kind.LAST_TRY], "One try is left"),
    ],
)
def test_tries_that_run_out_need_a_person(
    instance: Instance, operator: Client, kinds: list[Alert.Kind], words: str
) -> None:
    add_events(instance, 1)
    for kind in kinds:
        delivery_alerts.warn(kind, instance, "It failed: 500.", timezone.now(), notification=Notification.objects.get())
    html = text_of(operator.get("/"))
    for text in ("1 instance needs you", words, "It failed: 500.", 'href="/app/events/1"', "Send test"):
        assert text in html
    delivery_alerts.resolve(Alert.objects.all(), timezone.now())
    assert "Everything is well" in text_of(operator.get("/"))


def states_shown(operator: Client, instance: Instance) -> set[str]:
    """Return the states in which the pages show an instance: overview, list, its own, its settings, Deliveries."""
    own = f"/app/instances/{instance.pk}"
    paths = ("/", "/app/instances", own, f"{own}/delivery", f"{own}/settings", "/app/deliveries")
    states = re.compile(r'<span class="state \w+"><span aria-hidden="true">.</span> ([\w ]+)</span>')
    return {states.findall(text_of(operator.get(path)))[0] for path in paths}


@pytest.mark.parametrize(
    ("issue", "state"),
    [("half used", "delivery failing"), ("receiver", "delivery failing"), ("paused", "delivery paused")],
)
def test_what_needs_a_person_is_no_healthy_instance_on_any_page(
    instance: Instance, operator: Client, issue: str, state: str
) -> None:
    add_events(instance, 1)
    now = timezone.now()
    if issue == "half used":
        delivery_alerts.warn(
            Alert.Kind.HALF_USED, instance, "It failed: 500.", now, notification=Notification.objects.get()
        )
        assert "It failed: 500." in text_of(operator.get(f"/app/instances/{instance.pk}/delivery"))
        assert "It failed: 500." in text_of(operator.get("/app/deliveries"))
    elif issue == "receiver":
        receiver = Receiver.objects.create(
            organization=Organization.objects.get(),
            url_hash="h",
            url="https://example.com/",
            failures=12,
            open_until=now,
        )
        DeliveryState.objects.create(subscription=first_subscription(instance), receiver=receiver)
    else:
        pause_delivery(first_subscription(instance), "Its tries are used up.", now)
    assert states_shown(operator, instance) == {state}
    health(Health.UNAUTHORIZED)
    assert "unauthorized" in states_shown(operator, instance)  # what stops all goes before


def test_a_paused_delivery_is_one_thing_not_two(instance: Instance, operator: Client) -> None:
    add_events(instance, 1)
    delivery_alerts.warn(Alert.Kind.LAST_TRY, instance, "It failed: 500.", timezone.now())
    pause_delivery(first_subscription(instance), "Its tries are used up.", timezone.now())
    assert "1 instance needs you" in text_of(operator.get("/"))


def test_tries_that_run_out_are_shown_with_the_record_by_name(instance: Instance, operator: Client) -> None:
    add_events(instance, 1)
    Event.objects.update(title="Ruth Lindqvist", object_id="17")
    delivery_alerts.warn(
        Alert.Kind.LAST_TRY, instance, "It failed: 500.", timezone.now(), notification=Notification.objects.get()
    )
    assert "a notification of Ruth Lindqvist · contacts/17 that does not arrive" in text_of(operator.get("/"))
    Event.objects.update(title="")
    assert "a notification of contacts/17 that does not arrive" in text_of(operator.get("/"))
    Event.objects.all().delete()
    assert "a notification that does not arrive" in text_of(operator.get("/"))


def test_tries_that_run_out_elsewhere_are_not_shown_here(instance: Instance, other_tenant: Tenant) -> None:
    delivery_alerts.warn(Alert.Kind.HALF_USED, instance, "It failed: 500.", timezone.now())
    assert "It failed" not in text_of(sign_in("stranger", other_tenant.organization).get("/"))


def test_without_a_worker_the_page_is_red(organization: Organization, operator: Client) -> None:
    add_instances(organization, 1)
    assert "No worker has been seen" in text_of(operator.get("/"))


def test_a_worker_that_fell_silent_turns_the_page_red(instance: Instance, operator: Client) -> None:
    beat(Part.CLUSTER, "here", at=timezone.now() - timedelta(minutes=2))
    assert "No worker shows life any more" in text_of(operator.get("/", headers={"HX-Request": "true"}))


def test_polls_that_nobody_runs_turn_the_page_red(instance: Instance, operator: Client) -> None:
    long_ago = timezone.now() - timedelta(minutes=10)
    PollState.objects.update(next_poll_at=long_ago, last_good_at=long_ago)
    assert "Polls are due and none is run" in text_of(operator.get("/"))


def test_some_late_polls_beside_others_that_run_leave_it_green(
    instance: Instance, organization: Organization, operator: Client
) -> None:
    long_ago = timezone.now() - timedelta(minutes=10)
    PollState.objects.update(next_poll_at=long_ago, last_good_at=long_ago)
    add_instances(organization, 1)
    PollState.objects.exclude(resource_poll__instance=instance).update(last_good_at=timezone.now())
    assert "Polls are due" not in text_of(operator.get("/"))
    assert "No worker" not in text_of(operator.get("/"))


def test_others_are_not_shown(instance: Instance, other_tenant: Tenant) -> None:
    health(Health.UNAUTHORIZED)
    html = text_of(sign_in("stranger", other_tenant.organization).get("/"))
    assert "Company" not in html
    assert "Welcome" in html


def test_a_viewer_is_offered_nothing_to_do(instance: Instance, viewer: Client) -> None:
    health(Health.UNAUTHORIZED)
    html = text_of(viewer.get("/"))
    assert "refuses the keys" in html
    assert "Edit keys" not in html


def test_the_number_of_queries_does_not_grow(
    instance: Instance, operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    add_instances(Organization.objects.get(), 60, health=Health.UNAUTHORIZED)
    for path in ("/", "/app/instances", "/app/deliveries"):
        with django_assert_max_num_queries(20):
            assert operator.get(path).status_code == 200


@pytest.mark.parametrize("part", ["", "/events", "/stream", "/delivery", "/verify", "/release", "/settings", "/replay"])
def test_an_instance_of_which_nothing_was_sent_has_all_its_pages(
    instance: Instance, operator: Client, part: str
) -> None:
    assert operator.get(f"/app/instances/{instance.pk}{part}").status_code == 200


@pytest.mark.django_db
def test_hours_are_counted_by_kind(instance: Instance) -> None:
    add_events(instance, 5, at=NOW - timedelta(hours=2))
    hours = hours_of(Organization.objects.get(), NOW)
    assert len(hours) == 24
    assert [hour.counts for hour in hours if hour.total] == [(2, 3, 0)]
    assert hours[-3].start == NOW.replace(hour=10, minute=0)


def test_an_hour_that_is_over_is_counted_once(instance: Instance) -> None:
    organization = Organization.objects.get()
    add_events(instance, 3, at=NOW - timedelta(hours=2))
    hours_of(organization, NOW)
    Event.objects.all().delete()
    Notification.objects.all().delete()
    add_events(instance, 4, at=NOW)
    assert [hour.total for hour in hours_of(organization, NOW) if hour.total] == [3, 4]


@given(st.lists(st.tuples(*[st.integers(0, 10**7)] * 3), min_size=24, max_size=24))
def test_bars_stay_inside_the_drawing(counts: list[tuple[int, int, int]]) -> None:
    start = NOW.replace(minute=0)
    chart = chart_of([HourCount(start + timedelta(hours=n), each) for n, each in enumerate(counts)])
    assert chart.total == sum(map(sum, counts))
    assert [kind for kind, _ in chart.kinds] == list(KINDS)
    for bar in chart.bars:
        assert 0 <= bar.x <= 720 - 20
        assert all(part.height >= 0 and 11.9 <= part.y <= 132 for part in bar.segments)


@given(st.integers(0, 10**9))
def test_the_top_line_is_the_next_round_number(value: int) -> None:
    top = round_up(value)
    assert top >= value
    assert top % 2 == 0
    assert value <= 2 or top <= 2 * value
