"""The overview's tag: another as soon as anything that the page shows is another, and cheap as long as nothing is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from instances.models import ApiUser, Instance, Membership, Organization, ResourcePoll, Role
from polling.alerts import delivery_alerts
from polling.delivery.first_subscriptions import first_subscription
from polling.models import (
    Alert,
    DeliveryState,
    Event,
    Health,
    Heartbeat,
    MissingRecord,
    Notification,
    PollState,
    Receiver,
)
from polling.pages.refreshing import PASSING
from polling.reports import event_hours
from polling.reports.action_items import ActionGroup, ActionItem
from polling.reports.engine import Engine
from polling.reports.event_hours import HourCount
from polling.reports.expiring import Expiring
from polling.reports.given_up import GivenUp
from polling.reports.instance_rows import InstanceRow
from polling.reports.overview import Overview, overview_of
from polling.workers.heartbeats import Part, beat
from tests.conftest import Tenant
from tests.support.page_rows import add_events, add_instances
from tests.support.subscriptions import make_subscription

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
HTMX = {"HX-Request": "true"}
AUTHENTICATION = 3  # statements: the session, the account, its memberships
Change = Callable[[], object]


@pytest.fixture(params=["counted", "not counted yet"])
def busy(request: pytest.FixtureRequest, organization: Organization) -> Iterator[Organization]:
    """Return an organization with one of everything that the overview shows, at a time that stands still.

    Of its instances the first is refused, the second rejected, the third holds deletes back, the fourth is paused, the
    fifth's receiver fails, the sixth's tries run out, and the seventh is well, though it gave a notification up. An API
    key expires soon.
    """
    with time_machine.travel(NOW, tick=False):
        beat(Part.CLUSTER, "here")
        made = add_instances(organization, 7)
        for instance, health in zip(made, (Health.UNAUTHORIZED, Health.REJECTED, Health.HELD), strict=False):
            PollState.objects.filter(resource_poll__instance=instance).update(
                health=health, last_error="ConnectWise says so."
            )
        poll = made[2].resource_polls.get()
        MissingRecord.objects.create(resource_poll=poll, record_id=1, status=MissingRecord.Status.HELD)
        DeliveryState.objects.create(pk=made[3].pk, paused_at=NOW, pause_reason="Its tries are used up.")
        url = "https://example.com/?code=hush"
        receiver = Receiver.objects.create(
            organization=organization, url_hash="h", url=url, failures=12, opened_at=NOW, open_until=NOW
        )
        DeliveryState.objects.create(pk=made[4].pk, receiver=receiver)
        for instance in made:
            add_events(instance, 2, at=NOW - timedelta(minutes=40))
        give_up(made[6], NOW - timedelta(minutes=10))
        organization.api_users.update(expires_at=NOW + timedelta(days=3))
        event = Event.objects.filter(instance=made[5]).values_list("pk", flat=True)[0]
        alerted = Notification.objects.get(pk=event)
        delivery_alerts.warn(Alert.Kind.HALF_USED, made[5], "It failed: 500.", NOW, notification=alerted)
        if request.param == "counted":
            event_hours.advance(NOW)
        yield organization


def give_up(instance: Instance, at: datetime) -> None:
    """Have an instance's oldest pending notification given up."""
    waiting = Notification.objects.filter(instance=instance, state=Notification.State.PENDING).order_by("pk")
    oldest = waiting.values_list("pk", flat=True)[:1]
    Notification.objects.filter(pk__in=list(oldest)).update(state=Notification.State.FAILED, given_up_at=at)


def nth(number: int) -> Instance:
    """Return an instance, the first being 0."""
    return Instance.objects.order_by("pk")[number]


def state(number: int, **changes: object) -> Change:
    """Return a change of where an instance's poll stands."""
    return lambda: PollState.objects.filter(resource_poll__instance=nth(number)).update(**changes)


def paused(**changes: object) -> Change:
    return lambda: DeliveryState.objects.filter(paused_at__isnull=False).update(**changes)


def paused_for_another() -> None:
    further = make_subscription(nth(3), "https://example.com/", "Closed tickets")
    DeliveryState.objects.filter(paused_at__isnull=False).update(subscription=further)


def instance(number: int, **changes: object) -> Change:
    return lambda: Instance.objects.filter(pk=nth(number).pk).update(**changes)


def silent() -> None:
    Heartbeat.objects.update(seen_at=NOW - timedelta(minutes=2))


def one_delivered() -> None:
    newest = Notification.objects.order_by("-pk")[0]
    Notification.objects.filter(pk=newest.pk).update(state=Notification.State.DELIVERED)


LATER = NOW - timedelta(seconds=5)
# A change of each thing that the page shows, by the field that it is shown by.
NEWS: dict[str, Change] = {
    "Engine.problem": lambda: Heartbeat.objects.all().delete(),
    "Engine.worker_seen_at": silent,
    "Engine.remedy": lambda: Heartbeat.objects.all().delete(),
    "Engine.known_until": silent,
    "ActionItem.action": state(0, health=Health.REJECTED),
    "ActionItem.instance_id": state(0, health=Health.HEALTHY),
    "ActionItem.instance_name": instance(0, name="Another name"),
    "ActionItem.text": lambda: Receiver.objects.update(failures=13),
    "ActionItem.since": paused(paused_at=LATER),
    "ActionItem.words": paused(pause_reason="410 Gone."),
    "ActionItem.count": lambda: MissingRecord.objects.create(
        resource_poll=nth(2).resource_polls.get(), record_id=2, status=MissingRecord.Status.HELD
    ),
    "ActionItem.resource": lambda: ResourcePoll.objects.filter(instance=nth(1)).update(name="tickets"),
    "ActionItem.poll_id": state(1, health=Health.HEALTHY),
    "ActionItem.event_id": lambda: Alert.objects.update(notification=None),
    "ActionItem.subscription_id": paused_for_another,
    "ActionItem.also": lambda: DeliveryState.objects.create(pk=nth(0).pk, paused_at=NOW),
    "ActionGroup.cause": state(0, health=Health.HELD),
    "ActionGroup.instances": state(6, health=Health.REJECTED),
    "ActionGroup.waiting": lambda: add_events(nth(3), 1, at=NOW - timedelta(minutes=5)),
    "GivenUp.count": lambda: give_up(nth(6), NOW),
    "GivenUp.instances": lambda: give_up(nth(5), NOW),
    "GivenUp.since": lambda: Notification.objects.filter(state="failed").update(given_up_at=LATER),
    "GivenUp.made_at": lambda: Notification.objects.filter(state="failed").update(created_at=LATER),
    "Expiring.name": lambda: ApiUser.objects.update(name="another name"),
    "Expiring.ends": lambda: ApiUser.objects.update(expires_at=NOW + timedelta(days=4)),
    "Expiring.instance_id": instance(6, token_expires_at=NOW + timedelta(days=5)),
    "InstanceRow.pk": lambda: nth(6).delete(),
    "InstanceRow.name": instance(6, name="Another name"),
    "InstanceRow.state": instance(6, events_enabled=False),
    "InstanceRow.last_good_at": state(6, last_good_at=LATER),
    "InstanceRow.known_to": state(6, cursor=LATER),
    "InstanceRow.undelivered": one_delivered,
    "InstanceRow.next_retry_at": lambda: Notification.objects.update(next_attempt_at=NOW + timedelta(minutes=5)),
    "InstanceRow.events": lambda: add_events(nth(6), 1, at=NOW),
    "HourCount.counts": lambda: add_events(nth(6), 1, at=NOW - timedelta(minutes=20)),
    "Overview.instances": lambda: add_instances(Organization.objects.get(name="Alpha"), 1),
    "Overview.resources": lambda: ResourcePoll.objects.create(instance=nth(6), name="tickets"),
}
SHOWN_BY = (Engine, ActionGroup, ActionItem, GivenUp, Expiring, InstanceRow, HourCount, Overview)
BY_TIME_ALONE = {"HourCount.start"}
MADE_OF_OTHERS = {
    *(
        "Overview.engine",
        "Overview.groups",
        "Overview.given_up",
        "Overview.expiring",
        "Overview.rows",
        "Overview.hours",
    ),
    "ActionGroup.items",
}


def ask(client: Client, tag: str = "") -> tuple[int, str, str]:
    """Return status, tag, and what is shown, without the words of lengths of time."""
    answer = client.get("/", headers=HTMX | ({"If-None-Match": tag} if tag else {}))
    return answer.status_code, answer["ETag"], PASSING.sub(r"\1", answer.content.decode())


def test_every_field_that_is_shown_has_its_news() -> None:
    shown = {f"{each.__name__}.{field.name}" for each in SHOWN_BY for field in fields(each)}
    assert NEWS.keys() == shown - MADE_OF_OTHERS - BY_TIME_ALONE


@pytest.mark.parametrize("what", NEWS)
def test_whatever_is_shown_is_news_once_it_changes(what: str, busy: Organization, operator: Client) -> None:
    _, tag, before = ask(operator)
    assert ask(operator, tag)[0] == 304
    NEWS[what]()
    status, other, after = ask(operator, tag)
    assert status == 200
    assert other != tag
    assert _without_tag(after) != _without_tag(before), "the page itself shows it"


def _without_tag(html: str) -> str:
    return re.sub(r'data-tag="[^"]*"', "", html)


def test_who_looks_and_from_where_is_part_of_it(busy: Organization, operator: Client) -> None:
    _, tag, _ = ask(operator)
    operator.cookies["cwconnect_zone"] = "America/New_York"
    status, of_zone, _ = ask(operator, tag)
    assert status == 200
    Membership.objects.update(role=Role.VIEWER)
    assert ask(operator, of_zone)[0] == 200


def test_the_tag_of_another_organization_is_none_of_ours(
    busy: Organization, operator: Client, other_tenant: Tenant
) -> None:
    _, tag, _ = ask(operator)
    add_instances(other_tenant.organization, 1)
    assert ask(operator, tag)[0] == 304, "what others have is no news"
    Membership.objects.update(organization=other_tenant.organization)
    assert ask(operator, tag)[0] == 200


def test_signs_of_life_and_the_passing_of_time_are_no_news(busy: Organization, operator: Client) -> None:
    _, tag, _ = ask(operator)
    with time_machine.travel(NOW + timedelta(seconds=50), tick=False):
        beat(Part.CLUSTER, "here")
        assert ask(operator, tag)[0] == 304


def test_a_new_hour_is_news(busy: Organization, operator: Client) -> None:
    _, tag, _ = ask(operator)
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        beat(Part.CLUSTER, "here")
        assert ask(operator, tag)[0] == 200


def test_no_secret_of_a_url_is_in_what_is_tagged(busy: Organization) -> None:
    assert "hush" not in repr(overview_of(busy, NOW))


@pytest.mark.parametrize("instances", [1, 60])
def test_the_page_takes_two_statements_however_many_there_are(
    busy: Organization, operator: Client, instances: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    add_instances(busy, instances, health=Health.UNAUTHORIZED)
    event_hours.advance(NOW)
    with django_assert_max_num_queries(AUTHENTICATION + 2):
        _, tag, _ = ask(operator)
    with django_assert_max_num_queries(AUTHENTICATION + 2):
        assert ask(operator, tag)[0] == 304


def test_the_whole_page_says_which_tag_its_part_has(busy: Organization, operator: Client) -> None:
    found = re.search(r'data-tag="W/&quot;(\w+)&quot;"', operator.get("/").content.decode())
    assert found
    assert ask(operator, f'W/"{found[1]}"')[0] == 304


def around(client: Client, tag: str) -> int:
    """Ask for the whole page; give the status."""
    return client.get("/", headers={"If-None-Match": tag}).status_code


def test_the_whole_page_is_news_when_what_stands_around_its_part_is(
    busy: Organization, operator: Client, other_tenant: Tenant
) -> None:
    tag = operator.get("/")["ETag"]
    assert around(operator, tag) == 304
    assert ask(operator, tag)[0] == 304, "whoever has the page has its part"
    assert around(operator, ask(operator)[1]) == 200, "but not the other way round"
    operator.cookies["cwconnect_theme"] = "dark"
    assert around(operator, tag) == 200
    del operator.cookies["cwconnect_theme"]
    assert around(operator, tag) == 304
    operator.cookies["csrftoken"] = "b" * 32
    assert around(operator, tag) == 200
    tag = operator.get("/")["ETag"]
    membership = Membership.objects.get()
    Membership.objects.create(account=membership.account, organization=other_tenant.organization, role=Role.VIEWER)
    assert around(operator, tag) == 200
    User.objects.update(username="oskar")
    assert around(operator, operator.get("/")["ETag"]) == 304


def test_a_message_is_shown_once_and_is_news(busy: Organization, operator: Client) -> None:
    tag = operator.get("/")["ETag"]
    operator.post(f"/app/instances/{nth(6).pk}/polls/{nth(6).resource_polls.get().pk}/run")
    whole = operator.get("/", headers={"If-None-Match": tag})
    assert whole.status_code == 200
    assert "is polled now" in whole.content.decode()
    assert "is polled now" not in operator.get("/").content.decode()


def test_what_is_paused_besides_what_is_worse_is_said_where_that_is(organization: Organization) -> None:
    made = add_instances(organization, 25, health=Health.UNAUTHORIZED)
    late = made[-1]
    add_events(late, 3)
    DeliveryState.objects.create(subscription=first_subscription(late), paused_at=NOW)
    shown = overview_of(organization, NOW)
    assert [(group.cause, group.instances) for group in shown.groups] == [("unauthorized", 25)]
    Instance.objects.exclude(pk=late.pk).update(disabled=True)
    assert [item.also for item in overview_of(organization, NOW).action_items] == [("delivery paused",)]
