"""Events of the last day by hour: counted as they come, they are what a count of the log gives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from instances.models import Instance, Organization
from polling.models import Event, InstanceHour, OrganizationHour, StoredCounter
from polling.reports import event_hours, overview
from polling.reports.event_hours import HourCount, advance
from polling.reports.hours import hours_of
from polling.reports.instance_rows import instance_rows
from polling.reports.overview import overview_of
from tests.conftest import Tenant
from tests.support.page_rows import add_events, add_instances

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def at_that_time() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def instances(organization: Organization) -> list[Instance]:
    """Return three instances with events in the first and last hour of the day, around noon, and before the day."""
    made = add_instances(organization, 3)
    for number, instance in enumerate(made):
        for back in (timedelta(0), HOUR / 2, HOUR * 0.51, 5 * HOUR, 23 * HOUR, 23.6 * HOUR, 25 * HOUR, 40 * HOUR):
            add_events(instance, 3 + number, at=NOW - back)
    return made


def shown(organization: Organization, now: datetime = NOW) -> tuple[list[HourCount], dict[int, int]]:
    """Return what the overview shows: by hour, and by instance."""
    found = overview_of(organization, now)
    return found.hours, {row.pk: row.events for row in found.rows}


def counted_from_the_log(organization: Organization, now: datetime = NOW) -> tuple[list[HourCount], dict[int, int]]:
    first = now.replace(minute=0, second=0) - 23 * HOUR
    events = Event.objects.filter(polled_at__gte=first)
    of = {
        pk: events.filter(instance=pk).count()
        for pk in Instance.objects.filter(organization=organization).values_list("pk", flat=True)
    }
    return hours_of(organization, now), of


def test_what_is_counted_is_what_the_log_holds(instances: list[Instance], organization: Organization) -> None:
    log = counted_from_the_log(organization)
    assert shown(organization) == log, "before the job has run"
    advance(NOW)
    assert shown(organization) == log
    assert [row.events for row in instance_rows(sorted(log[1]), NOW)] == [log[1][key] for key in sorted(log[1])]


def test_what_comes_later_is_added_at_once_and_counted_once(
    instances: list[Instance], organization: Organization
) -> None:
    for minutes in range(0, 120, 25):
        now = NOW + timedelta(minutes=minutes)
        advance(now)
        add_events(instances[minutes % 3], 3, at=now)
        assert shown(organization, now) == counted_from_the_log(organization, now)
        advance(now)
        assert shown(organization, now) == counted_from_the_log(organization, now)


def test_much_is_counted_step_by_step(
    instances: list[Instance], organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hours, "STEP", 7)
    advance(NOW)
    assert shown(organization) == counted_from_the_log(organization)
    assert StoredCounter.objects.get(name="hours").upto >= Event.objects.order_by("-pk")[0].pk


def test_what_a_transaction_still_open_records_is_not_passed(
    instances: list[Instance], organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = Event.objects.order_by("-pk")[0].pk
    monkeypatch.setattr(event_hours, "complete_upto", lambda: last - 5)
    advance(NOW)
    assert StoredCounter.objects.get(name="hours").upto == last - 5
    assert shown(organization) == counted_from_the_log(organization)


def test_what_is_counted_between_two_statements_is_not_counted_twice(
    instances: list[Instance], organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = counted_from_the_log(organization)
    advance(NOW)
    read_before = StoredCounter.objects.get(name="hours").upto - 20
    monkeypatch.setattr(overview, "_upto", lambda found: read_before)
    assert shown(organization) == log


def test_hours_of_the_past_are_forgotten(instances: list[Instance], organization: Organization) -> None:
    advance(NOW)
    advance(NOW + 30 * HOUR)
    assert not InstanceHour.objects.exists()
    assert not OrganizationHour.objects.exists()
    assert shown(organization, NOW + 30 * HOUR) == counted_from_the_log(organization, NOW + 30 * HOUR)


def test_an_instance_that_is_deleted_takes_its_counts_along(
    instances: list[Instance], organization: Organization
) -> None:
    advance(NOW)
    gone = instances[0].pk
    instances[0].delete()
    assert not InstanceHour.objects.filter(instance=gone).exists()
    assert gone not in shown(organization)[1]


def test_each_organization_has_its_own(
    instances: list[Instance], organization: Organization, other_tenant: Tenant
) -> None:
    advance(NOW)
    assert not any(hour.total for hour in shown(other_tenant.organization)[0])


def test_events_of_nobody_are_counted_for_nobody(instances: list[Instance], organization: Organization) -> None:
    Instance.objects.update(organization=None)
    advance(NOW)
    assert not OrganizationHour.objects.exists()
