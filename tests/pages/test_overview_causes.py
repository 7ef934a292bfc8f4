"""What needs somebody, by cause: all of it counted, each instance once, and what was given up until it is seen to."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from instances.models import AuditEntry, Instance, Organization
from polling.alerts import delivery_alerts
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.given_up import DAYS
from polling.delivery.pausing import pause_delivery
from polling.models import (
    Alert,
    BulkJob,
    CallbackRegistration,
    DeliveryState,
    Health,
    MissingRecord,
    Notification,
    PollState,
    Receiver,
    Replay,
)
from polling.reports import action_items
from polling.reports.action_causes import CAUSES
from polling.reports.instance_list import GROUPS, InstanceFilter, in_state, listed_instances
from polling.reports.overview import overview_of
from polling.workers.heartbeats import Part, beat
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.page_rows import add_events, add_instances

pytestmark = pytest.mark.django_db
State = Notification.State
ISSUES = ("paused", "receiver", "alert", "silent")
SWITCHES: tuple[dict[str, bool], ...] = ({}, {"disabled": True}, {"events_enabled": False})


@pytest.fixture(autouse=True)
def alive() -> None:
    beat(Part.CLUSTER, "here")


def add_issue(instance: Instance, kind: str, organization: Organization) -> None:
    """Have something be the matter with an instance's delivery or callbacks."""
    now = timezone.now()
    state, _ = DeliveryState.objects.get_or_create(subscription=first_subscription(instance))
    if kind == "paused":
        DeliveryState.objects.filter(pk=state.pk).update(paused_at=now, pause_reason="So.")
    elif kind == "receiver":
        receiver = Receiver.objects.create(
            organization=organization, url_hash=f"h{instance.pk}", url="https://example.com/", open_until=now
        )
        DeliveryState.objects.filter(pk=state.pk).update(receiver=receiver)
    elif kind == "alert":
        delivery_alerts.warn(Alert.Kind.HALF_USED, instance, "It failed.", now)
    else:
        Instance.objects.filter(pk=instance.pk).update(callbacks_enabled=True)
        CallbackRegistration.objects.create(
            instance=instance, type="contact", status=CallbackRegistration.Status.ACTIVE, silent_since=now
        )


def test_every_mix_of_issues_counts_as_the_list_of_instances_says(organization: Organization) -> None:
    mixes = list(product(Health, product((False, True), repeat=len(ISSUES)), SWITCHES))
    made = add_instances(organization, len(mixes))
    # By their keys: where other tests have left many dead rows, PostgreSQL looks through all of them for each join.
    states = dict(PollState.objects.values_list("resource_poll__instance_id", "pk"))
    for instance, (health, on, switches) in zip(made, mixes, strict=True):
        PollState.objects.filter(pk=states[instance.pk]).update(health=health)
        for kind, is_on in zip(ISSUES, on, strict=True):
            if is_on:
                add_issue(instance, kind, organization)
        Instance.objects.filter(pk=instance.pk).update(**switches)
    # What is switched off is polled by nobody.
    off = Instance.objects.exclude(disabled=False, events_enabled=True)
    PollState.objects.filter(resource_poll__instance__in=off.values("pk")).update(health=Health.PAUSED)
    listed = listed_instances(organization, InstanceFilter())
    shown = overview_of(organization, timezone.now())
    assert {group.cause: group.instances for group in shown.groups} == {
        cause: len(in_state(listed, cause)) for cause in CAUSES
    }
    assert shown.needing == len(in_state(listed, "needs you"))
    assert set(CAUSES) == set(GROUPS["needs you"])
    by_key = {each.pk: each.state for each in listed}
    for group in shown.groups:
        assert [by_key[item.instance_id] for item in group.items] == [group.cause] * action_items.MOST_OF_A_CAUSE


def test_fifty_refused_are_fifty_and_three_of_them_are_named(organization: Organization, operator: Client) -> None:
    add_instances(organization, 50, health=Health.UNAUTHORIZED)
    html = text_of(operator.get("/"))
    assert "50 instances need you, for 1 reason" in html
    assert 'href="/app/instances?state=unauthorized"' in html
    assert html.count(">Edit keys</a>") == 3
    assert html.count("ConnectWise refuses the keys") == 1
    assert "The first 3 of 50 instances." in html
    for number in range(2):
        PollState.objects.filter(resource_poll__instance__name=f"Company {number}").update(health=Health.REJECTED)
    assert "50 instances need you, for 2 reasons" in text_of(operator.get("/"))


def test_one_instance_has_no_head_of_a_group(organization: Organization, operator: Client) -> None:
    add_instances(organization, 1, health=Health.UNAUTHORIZED)
    html = text_of(operator.get("/"))
    assert "1 instance needs you</h1>" in html
    assert "/app/jobs/start" not in html


def test_an_instance_with_several_rejected_polls_is_one_thing(organization: Organization, operator: Client) -> None:
    instance = add_instances(organization, 1, health=Health.REJECTED)[0]
    for name in ("tickets", "companies"):
        poll = instance.resource_polls.create(name=name, since=timezone.now())
        PollState.objects.create(resource_poll=poll, site="s", host="h", health=Health.REJECTED)
    html = text_of(operator.get("/"))
    assert "1 instance needs you" in html
    assert "rejects the poll of contacts and 2 other resources." in html


def test_held_deletes_of_several_resources_are_one_thing(organization: Organization, operator: Client) -> None:
    instance = add_instances(organization, 1, health=Health.HELD)[0]
    poll = instance.resource_polls.create(name="tickets", since=timezone.now())
    PollState.objects.create(resource_poll=poll, site="s", host="h", health=Health.HELD)
    MissingRecord.objects.create(resource_poll=poll, record_id=7, status=MissingRecord.Status.HELD)
    assert "So are deletes of 1 other resource." in text_of(operator.get("/"))


@pytest.mark.parametrize(("cause", "action"), [("paused", "release"), (Health.UNAUTHORIZED, "poll")])
def test_the_button_of_a_group_starts_a_job_for_all_of_it(
    organization: Organization, operator: Client, viewer: Client, cause: str, action: str
) -> None:
    made = add_instances(organization, 5)
    for instance in made[:4]:
        add_events(instance, 2)
        if cause == "paused":
            pause_delivery(first_subscription(instance), "It answered 410.", timezone.now())
        else:
            PollState.objects.filter(resource_poll__instance=instance).update(health=cause)
    html = text_of(operator.get("/"))
    assert ("Release all 8" if cause == "paused" else "Poll all 4 now") in html
    form = re.search(r'<form method="post" action="/app/jobs/start".*?</form>', html)
    assert form
    given = dict(re.findall(r'type="hidden" name="(every|state)" value="([^"]*)"', form[0]))
    assert f'name="action" value="{action}"' in form[0]
    answer = operator.post("/app/jobs/start", {**given, "action": action})
    job = BulkJob.objects.get()
    assert answer.headers["Location"] == f"/app/jobs/{job.pk}"
    assert sorted(job.instances) == [instance.pk for instance in made[:4]]
    assert "/app/jobs/start" not in text_of(viewer.get("/"))


def test_more_than_can_be_counted_is_said_so(
    organization: Organization, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action_items, "MOST_COUNTED", 7)
    for instance in add_instances(organization, 2):
        add_events(instance, 5)
        pause_delivery(first_subscription(instance), "It answered 410.", timezone.now())
    assert [group.is_many for group in overview_of(organization, timezone.now()).groups] == [True]


def give_up(instance: Instance, count: int, ago: timedelta = timedelta(minutes=5)) -> list[int]:
    """Have an instance give notifications up; return their ids."""
    add_events(instance, count)
    keys = list(Notification.objects.filter(instance=instance).order_by("-pk").values_list("pk", flat=True)[:count])
    Notification.objects.filter(pk__in=keys).update(state=State.FAILED, given_up_at=timezone.now() - ago)
    return keys


def test_what_was_given_up_is_on_the_overview_and_where_deliveries_are(
    organization: Organization, operator: Client
) -> None:
    one, other, well = add_instances(organization, 3)
    give_up(one, 3)
    give_up(other, 2)
    html = text_of(operator.get("/"))
    assert "<h1>5 notifications were given up</h1>" in html
    assert "2 instances" in html
    assert re.search(r'href="/app/deliveries\?state=given\+up&amp;from=20[^"]+"', html)
    assert "5 notifications were given up" in text_of(operator.get("/app/deliveries"))
    own = text_of(operator.get(f"/app/instances/{one.pk}/delivery"))
    assert "3 notifications were given up" in own
    assert f"&amp;instance={one.pk}" in own
    assert "given up since" not in text_of(operator.get(f"/app/instances/{well.pk}/delivery"))
    assert "healthy" in text_of(operator.get("/app/instances"))


SEEN_TO: dict[str, Callable[[list[int]], object]] = {
    "delivered by a replay": lambda keys: Notification.objects.update(state=State.DELIVERED),
    "discarded": lambda keys: Notification.objects.update(state=State.DISCARDED),
    "sent again just now": lambda keys: Notification.objects.update(
        replay=Replay.objects.create(instance=Instance.objects.get(), asked_at=timezone.now(), what="all", total=3)
    ),
    "older than some days": lambda keys: Notification.objects.update(given_up_at=timezone.now() - DAYS),
    "deleted with its instance": lambda keys: Instance.objects.update(organization=None),
}


@pytest.mark.parametrize("how", SEEN_TO)
def test_what_was_seen_to_is_counted_no_more(organization: Organization, operator: Client, how: str) -> None:
    keys = give_up(add_instances(organization, 1)[0], 3)
    assert "given up" in text_of(operator.get("/"))
    SEEN_TO[how](keys)
    for path in ("/", "/app/deliveries"):
        assert "were given up" not in text_of(operator.get(path))


def test_what_was_dismissed_is_counted_no_more_and_what_follows_is(
    organization: Organization, operator: Client, viewer: Client, other_tenant: Tenant
) -> None:
    instance = add_instances(organization, 1)[0]
    give_up(instance, 3)
    theirs = add_instances(other_tenant.organization, 1)[0]
    give_up(theirs, 1)
    path = "/app/deliveries/dismiss"
    assert viewer.post(path).status_code == 403
    assert operator.get(path).status_code == 405
    assert "Dismiss" not in text_of(viewer.get("/"))
    answer = operator.post(path, follow=True)
    assert "3 given up notifications dismissed" in text_of(answer)
    assert "Everything is well" in text_of(answer)
    entry = AuditEntry.objects.get(action="given up notifications dismissed")
    assert (entry.organization, entry.details) == (organization, {"notifications": 3})
    assert "1 notification was given up" in text_of(sign_in("stranger", other_tenant.organization).get("/"))
    give_up(instance, 1, -timedelta(seconds=5))
    assert "1 notification was given up" in text_of(operator.get("/"))


def test_to_dismiss_nothing_leaves_no_trace(organization: Organization, operator: Client) -> None:
    operator.post("/app/deliveries/dismiss")
    assert not AuditEntry.objects.filter(action="given up notifications dismissed").exists()


def test_the_overview_asks_two_statements_whatever_is_the_matter(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for instance in add_instances(organization, 8, health=Health.HELD)[:4]:
        give_up(instance, 3)
        add_issue(instance, "paused", organization)
    overview_of(organization, timezone.now())
    from polling.reports import event_hours

    event_hours.advance(timezone.now())
    with django_assert_num_queries(2):
        overview_of(organization, timezone.now())
