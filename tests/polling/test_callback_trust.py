"""What is said of an instance's callbacks: `/v1`, `/metrics`, its page and the overview."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from pytest_django.fixtures import DjangoAssertNumQueries

from cwconnect.site.metrics import DatabaseCollector
from instances.models import Instance, ResourcePoll
from instances.provisioning import delete_instance
from polling.callbacks.counts import add_counts
from polling.maintenance.retention import prune
from polling.models import CallbackCount, CallbackEndpoint, CallbackRegistration
from polling.reports import callback_totals, event_hours
from polling.reports.callback_trust import trust_of
from polling.reports.overview import overview_of
from polling.workers.heartbeats import Part, beat
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of
from tests.support.callbacks import Announcer
from tests.support.polled_instance import PolledInstance

HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)


@pytest.fixture(autouse=True)
def reached(settings: Settings) -> None:
    """ConnectWise reaches this service."""
    settings.CALLBACK_URL = "https://events.example"


def counted(
    instance: Instance, name: str, count: int, *, ago: timedelta = timedelta(0), type_: str = "contact"
) -> None:
    """Have something be counted at a time."""
    add_counts(Counter({(instance.pk, type_, name): count}), timezone.now() - ago)


@pytest.fixture
def good(watched: PolledInstance, announcer: Announcer) -> Instance:
    """An instance whose contacts have been registered for a week, in which callbacks announced 24 changes."""
    CallbackRegistration.objects.update(active_since=timezone.now() - WEEK)
    counted(watched.instance, "announced", 20, ago=6 * timedelta(days=1))
    counted(watched.instance, "announced", 4)
    counted(watched.instance, "milliseconds", 6000)
    watched.instance.refresh_from_db()
    return watched.instance


def test_counts_go_by_type_day_and_week(watched: PolledInstance, announcer: Announcer) -> None:
    instance = watched.instance
    for days, count in ((0, 1), (2, 10), (8, 100)):
        for name in ("received", "verified", "woken", "announced", "unannounced"):
            counted(instance, name, count, ago=timedelta(days=days))
        counted(instance, "milliseconds", 1500 * count, ago=timedelta(days=days))
    counted(instance, "refused: wrong signature", 3, type_="")
    counted(instance, "received", 3, type_="")
    contact, unknown = trust_of(instance, timezone.now()).types
    assert (contact.type, unknown.type) == ("contact", "")
    assert [contact.day.verified, contact.week.verified] == [1, 11]
    assert [contact.day.announced, contact.week.unannounced] == [1, 11]
    assert [contact.day.seconds, unknown.day.seconds] == [1.5, None]
    assert unknown.week.refused == {"wrong signature": 3}
    assert unknown.week.reasons == "wrong signature: 3"
    assert contact.registration is not None
    assert unknown.registration is None


def test_a_good_week_says_what_a_longer_interval_saves(good: Instance) -> None:
    stretch = trust_of(good, timezone.now()).stretch
    assert stretch is not None
    assert (stretch.minutes, stretch.to_minutes, stretch.changes) == (15, 60, 24)
    assert stretch.requests == 96 - 24
    assert stretch.share == pytest.approx(100 * 72 / 1_440_000)


NOT_GOOD: dict[str, Any] = {
    "one change was not announced": lambda good: counted(good, "unannounced", 1, ago=5 * timedelta(days=1)),
    "too few changes": lambda good: CallbackCount.objects.filter(count=20).update(count=15),
    "registered too late": lambda good: CallbackRegistration.objects.update(active_since=timezone.now() - WEEK + HOUR),
    "one type is refused": lambda good: CallbackRegistration.objects.create(
        instance=good, type="ticket", status="refused", active_since=None
    ),
    "a resource has no callbacks": lambda good: ResourcePoll.objects.create(instance=good, name="campaigns"),
    "polled seldom already": lambda good: Instance.objects.update(refresh_interval=60),
    "switched off": lambda good: Instance.objects.update(callbacks_enabled=False),
    "no key": lambda good: CallbackEndpoint.objects.update(key_error="It can't be had."),
}


@pytest.mark.parametrize("because", NOT_GOOD)
def test_a_week_that_is_not_good_says_nothing(good: Instance, because: str) -> None:
    assert trust_of(Instance.objects.get(), timezone.now()).stretch is not None
    NOT_GOOD[because](good)
    assert trust_of(Instance.objects.get(), timezone.now()).stretch is None


def read(watched: PolledInstance) -> Any:
    return Client().get(
        f"/v1/instances/{watched.instance.pk}/callbacks", headers={"Authorization": watched.tenant.auth}
    )


def test_v1_says_it_all(good: Instance, announcer: Announcer, watched: PolledInstance) -> None:
    answer = read(watched)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found["enabled"] is True
    (contact,) = found["types"]
    assert (contact["type"], contact["resources"]) == ("contact", ["contacts"])
    assert contact["registration"]["status"] == "active"
    assert contact["registration"]["silent_since"] is None
    assert (contact["day"]["announced"], contact["week"]["announced"]) == (4, 24)
    assert contact["day"]["seconds"] == 1.5
    assert found["stretch"] == {
        "refresh_interval": 15,
        "to": 60,
        "changes": 24,
        "requests_a_day": 72,
        "share_of_budget": pytest.approx(0.00005),
    }


def test_v1_of_an_instance_without_callbacks(watched: PolledInstance) -> None:
    found = read(watched).json()
    assert (found["enabled"], found["types"], found["stretch"]) == (False, [], None)


def metrics() -> dict[tuple[str, ...], float]:
    families = DatabaseCollector(timezone.now()).collect()
    samples = [sample for family in families for sample in family.samples if "callback" in family.name]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_metrics_never_shrink(watched: PolledInstance, announcer: Announcer) -> None:
    counted(watched.instance, "verified", 7, ago=9 * timedelta(days=1))
    counted(watched.instance, "verified", 1)
    counted(watched.instance, "refused: wrong signature", 2, type_="")
    counted(watched.instance, "announced", 3)
    counted(watched.instance, "unannounced", 1)
    counted(watched.instance, "milliseconds", 4500)
    before = metrics()
    assert before["cwconnect_callbacks_total", "contact", "verified"] == 8
    assert before["cwconnect_callbacks_total", "", "wrong_signature"] == 2
    assert before["cwconnect_callback_changes_total", "contact", "no"] == 1
    assert (before["cwconnect_callback_seconds_count",], before["cwconnect_callback_seconds_sum",]) == (3, 4.5)
    assert before["cwconnect_callback_registrations", "active"] == 1
    callback_totals.advance(timezone.now())
    assert metrics() == before
    prune(timezone.now())
    callback_totals.advance(timezone.now())
    delete_instance(Instance.objects.get())
    CallbackRegistration.objects.all().delete()
    Instance.objects.all().delete()
    callback_totals.advance(timezone.now() + 3 * HOUR)
    after = metrics()
    assert {key: after[key] for key in before if "registrations" not in key[0]} == {
        key: value for key, value in before.items() if "registrations" not in key[0]
    }


def fall_silent() -> None:
    CallbackRegistration.objects.update(silent_since=timezone.now() - HOUR)


def test_a_silent_type_is_an_item_of_the_overview_until_it_is_heard(
    watched: PolledInstance, announcer: Announcer, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    organization = watched.tenant.organization
    beat(Part.CLUSTER, "here")
    assert overview_of(organization, timezone.now()).action_items == []
    fall_silent()
    event_hours.advance(timezone.now())
    with django_assert_num_queries(2):
        (item,) = overview_of(organization, timezone.now()).action_items
    assert (item.action, item.instance_id) == ("silent", watched.instance.pk)
    assert "contact" in item.text
    CallbackRegistration.objects.update(silent_since=None)
    assert overview_of(organization, timezone.now()).action_items == []


@pytest.mark.parametrize("because", ["switched off", "refused", "disabled"])
def test_what_is_not_registered_is_not_silent(watched: PolledInstance, announcer: Announcer, because: str) -> None:
    fall_silent()
    if because == "switched off":
        Instance.objects.update(callbacks_enabled=False)
    elif because == "disabled":
        Instance.objects.update(disabled=True)
    else:
        CallbackRegistration.objects.update(status=CallbackRegistration.Status.REFUSED)
    assert overview_of(watched.tenant.organization, timezone.now()).action_items == []


@pytest.fixture
def operator(tenant: Tenant) -> Client:
    beat(Part.CLUSTER, "here")
    return sign_in("somebody", tenant.organization)


def page(operator: Client) -> str:
    return unescape(text_of(operator.get(f"/app/instances/{Instance.objects.get().pk}")))


def test_the_page_says_how_callbacks_stand(good: Instance, operator: Client) -> None:
    html = page(operator)
    for words in ("Callbacks", "registered", "every 15 to every 60 minutes", "72 requests a day", "0.005 %"):
        assert words in html
    assert "fallen silent" not in html
    fall_silent()
    assert "fallen silent" in page(operator)


def test_the_page_says_what_callbacks_bring_where_they_are_off(watched: PolledInstance, operator: Client) -> None:
    html = page(operator)
    assert "Callbacks are off" in html
    assert "settings#notify" in html


def test_the_page_says_why_a_type_is_refused(watched: PolledInstance, announcer: Announcer, operator: Client) -> None:
    CallbackRegistration.objects.update(status="refused", error="No rights to callbacks.", active_since=None)
    CallbackEndpoint.objects.update(error="It can't be compared.", key_error="It can't be had.")
    html = page(operator)
    for words in ("No rights to callbacks.", "It can't be compared.", "It can't be had."):
        assert words in html
