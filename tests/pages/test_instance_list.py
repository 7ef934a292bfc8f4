"""The list of instances: narrowed, counted, sorted, page by page; what many are changed by."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import Instance, Organization, ResourcePoll
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.pausing import pause_delivery
from polling.models import CallbackRegistration, DeliveryState, Health, PollState, Receiver
from polling.pages import instances as instances_page
from polling.reports.instance_list import GROUP_OF, InstanceFilter, count_states, listed_instances
from polling.reports.instance_rows import instance_rows
from polling.workers.heartbeats import Part, beat
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.page_rows import add_events, add_instances

pytestmark = pytest.mark.django_db
LIST = "/app/instances"
STATES = (
    ("healthy", "unauthorized", "rejected", "held", "rate limited", "retrying"),
    ("off", "disabled", "events off", "delivery paused", "delivery failing", "callbacks silent"),
)


@pytest.fixture(autouse=True)
def alive(db: None) -> None:
    """Have a worker live: states are known."""
    beat(Part.CLUSTER, "here")


@pytest.fixture
def one_of_each(organization: Organization) -> dict[str, Instance]:
    """An instance in each state, called by it."""
    made = {}
    for word in (word for words in STATES for word in words):
        health = Health(word) if word in Health.values else Health.HEALTHY
        (made[word],) = add_instances(organization, 1, health=health)
        Instance.objects.filter(pk=made[word].pk).update(name=f"is {word}")
    polls = PollState.objects.filter(resource_poll__instance=made["off"])
    polls.update(health=Health.PAUSED)
    Instance.objects.filter(pk=made["disabled"].pk).update(disabled=True)
    Instance.objects.filter(pk=made["events off"].pk).update(events_enabled=False)
    pause_delivery(first_subscription(made["delivery paused"]), "The receiver is gone.", timezone.now())
    fail(made["delivery failing"])
    fall_silent(made["callbacks silent"])
    return made


def fail(instance: Instance) -> None:
    """Have its receiver fail."""
    now = timezone.now()
    receiver = Receiver.objects.create(
        organization=Organization.objects.get(instances=instance),
        url_hash="h",
        url="u",
        failures=9,
        opened_at=now,
        open_until=now,
    )
    DeliveryState.objects.create(subscription=first_subscription(instance), receiver=receiver)


def fall_silent(instance: Instance) -> None:
    """Have its callbacks of a type fall silent."""
    Instance.objects.filter(pk=instance.pk).update(callbacks_enabled=True)
    CallbackRegistration.objects.create(
        instance=instance, type="contact", status=CallbackRegistration.Status.ACTIVE, silent_since=timezone.now()
    )


def listed(client: Client, query: str = "") -> list[str]:
    """Return the names of the instances on a page, in their order."""
    page = html.unescape(text_of(client.get(f"{LIST}?{query}")))
    return re.findall(r'<a href="/app/instances/\d+">(.*?)</a>', page)


def tabs(client: Client, query: str = "") -> dict[str, int]:
    page = text_of(client.get(f"{LIST}?{query}"))
    nav = page.partition('aria-label="By state"')[2].partition("</nav>")[0]
    return {word.strip(): int(n) for word, n in re.findall(r'">([^<]+)<span class="count">(\d+)</span>', nav)}


def test_every_state_is_counted_in_one_group_and_found_by_its_word(
    operator: Client, organization: Organization, one_of_each: dict[str, Instance]
) -> None:
    found = listed_instances(organization, InstanceFilter())
    assert {each.name: each.state for each in found} == {f"is {word}": word for word in one_of_each}
    rows = instance_rows([each.pk for each in found], timezone.now())
    assert [row.state for row in rows] == [each.state for each in found], "as everywhere else"
    assert set(GROUP_OF) == set(one_of_each)
    for word in one_of_each.keys() - {"off"}:
        assert listed(operator, f"state={word}") == [f"is {word}"]
    assert tabs(operator) == {"All": 12, "Well": 1, "Needs you": 6, "Waiting": 2, "Off": 3}
    for group, count in (("well", 1), ("needs you", 6), ("waiting", 2), ("off", 3)):
        assert len(listed(operator, f"state={group}")) == count == count_states(found)[group]
    assert len(listed(operator, "state=no+such+state")) == 12


def test_what_narrows_the_list_stands_as_chips_and_each_is_taken_off_by_itself(
    operator: Client, organization: Organization
) -> None:
    instances = add_instances(organization, 4)
    for instance, tags in zip(instances, (["east"], ["east", "vip"], ["a & b"], []), strict=True):
        Instance.objects.filter(pk=instance.pk).update(tags=tags)
    ResourcePoll.objects.create(instance=instances[1], name="tickets")
    assert listed(operator, "tag=east") == ["Company 0", "Company 1"]
    assert listed(operator, "tag=east&tag=vip") == ["Company 1"]
    assert listed(operator, "tag=a+%26+b") == ["Company 2"]
    assert listed(operator, "resource=tickets") == ["Company 1"]
    assert listed(operator, "resource=contacts&tag=east&q=pany+0") == ["Company 0"]
    assert listed(operator, f"q={instances[3].pk}") == ["Company 3"]
    query = "state=well&tag=east&tag=vip&resource=tickets&q=company&sort=-lag"
    page = html.unescape(text_of(operator.get(f"{LIST}?{query}")))
    chips = dict(re.findall(r'<bdi>([^<]+)</bdi><a href="([^"]+)" aria-label="Take off', page))
    assert chips == {
        "State: well": "?tag=east&tag=vip&resource=tickets&q=company&sort=-lag",
        "Tag: east": "?state=well&tag=vip&resource=tickets&q=company&sort=-lag",
        "Tag: vip": "?state=well&tag=east&resource=tickets&q=company&sort=-lag",
        "Resource: tickets": "?state=well&tag=east&tag=vip&q=company&sort=-lag",
        "“company”": "?state=well&tag=east&tag=vip&resource=tickets&sort=-lag",
    }
    assert 'href="?tag=a+%26+b"' in text_of(operator.get(LIST)), "the menu of tags"
    assert "No instance matches all of this." in text_of(operator.get(f"{LIST}?tag=nobody"))


def test_tabs_count_what_the_other_filters_leave(operator: Client, organization: Organization) -> None:
    add_instances(organization, 2)
    add_instances(organization, 1, health=Health.REJECTED)
    assert tabs(operator, "q=company+2") == {"All": 1, "Well": 0, "Needs you": 1, "Off": 0}
    assert tabs(operator, "state=well") == {"All": 3, "Well": 2, "Needs you": 1, "Off": 0}


def test_the_list_is_sorted_by_each_of_its_columns(operator: Client, organization: Organization) -> None:
    first, second, third = add_instances(organization, 3)
    now = timezone.now()
    Instance.objects.filter(pk=first.pk).update(name="b")
    Instance.objects.filter(pk=second.pk).update(name="A")
    Instance.objects.filter(pk=third.pk).update(name="c")
    states = {each.pk: PollState.objects.filter(resource_poll__instance=each) for each in (first, second, third)}
    states[first.pk].update(last_good_at=now, cursor=now - timedelta(hours=1))
    states[second.pk].update(last_good_at=None, cursor=None)
    states[third.pk].update(health=Health.REJECTED, last_good_at=now - timedelta(hours=2), cursor=now)
    add_events(first, 2)
    add_events(third, 5, delivered=True)
    for sort, order in {
        "": "A b c",
        "name": "A b c",
        "-name": "c b A",
        "state": "c A b",
        "-good": "b c A",
        "lag": "A c b",
        "-lag": "b c A",
        "-waiting": "b A c",
        "-events": "c b A",
        "organization": "A b c",
    }.items():
        assert listed(operator, f"sort={sort}") == order.split(), sort
    page = text_of(operator.get(f"{LIST}?sort=-waiting"))
    assert page.count("aria-sort") == 1
    assert re.search(r'aria-sort="descending"\s*>\s*<a href="\?sort=waiting">Waiting</a>', page)


def test_pages_say_their_place_and_the_total(
    operator: Client, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances_page, "PER_PAGE", 2)
    add_instances(organization, 5)
    first, last = (html.unescape(text_of(operator.get(f"{LIST}?q=c{more}"))) for more in ("", "&page=3"))
    assert "1–2 of 5" in first
    assert 'rel="next" href="?q=c&page=2"' in first
    assert "Previous" not in first
    assert "5–5 of 5" in last
    assert 'rel="prev" href="?q=c&page=2"' in last
    assert "Next" not in last
    assert listed(operator, "page=2") == ["Company 2", "Company 3"]
    for beyond in ("99", "0", "x", "9" * 30):
        assert operator.get(f"{LIST}?page={beyond}").status_code == 200
    assert listed(operator, "page=99") == ["Company 4"]


def test_the_form_sends_the_filter_along_for_all_that_match(operator: Client, organization: Organization) -> None:
    add_instances(organization, 3)
    page = text_of(operator.get(f"{LIST}?state=well&q=company&resource=contacts"))
    form = page.partition("data-choosing")[2].partition("</form>")[0]
    assert "All 3 that match" in form
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    assert {name: hidden[name] for name in ("state", "q", "resource")} == {
        "state": "well",
        "q": "company",
        "resource": "contacts",
    }
    operator.post("/app/jobs/start", {"action": "disable", "every": "1", **hidden})
    assert "of 3" in text_of(operator.get(LIST)), "the job is shown above the list while it runs"


def test_a_viewer_chooses_nothing_and_another_organization_sees_nothing(
    viewer: Client, organization: Organization, other_tenant: Tenant
) -> None:
    (instance,) = add_instances(organization, 1)
    Instance.objects.filter(pk=instance.pk).update(tags=["secret tag"])
    page = text_of(viewer.get(LIST))
    assert "Company 0" in page
    assert "Poll now" not in page
    assert 'type="checkbox"' not in page
    stranger = sign_in("sven", other_tenant.organization)
    for query in ("", "tag=secret+tag", "resource=contacts", "state=well", f"q={instance.pk}"):
        page = text_of(stranger.get(f"{LIST}?{query}"))
        assert "Company 0" not in page
    assert "secret tag" not in text_of(stranger.get(LIST))
