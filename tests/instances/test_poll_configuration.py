"""One resource's configuration: spellings, types, errors with their path, and the plan it makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from instances.configuration.polls import PollConfigurationError, plan_of, read_poll
from tests.seed import example_body

SEED: dict[str, Any] = example_body("http://127.0.0.1")["configuration"]["event.poller.configuration"]["contacts"]


def test_the_seeds_configuration_is_kept_as_it_was_given() -> None:
    assert read_poll("contacts", SEED) == SEED


def test_the_seeds_plan_has_no_created_field_since_it_is_the_updated_one() -> None:
    plan = plan_of("contacts", SEED)
    assert plan.created is None
    assert plan.hub.path == "/company/contacts"
    record = {"_info": {"lastUpdated": "2018-07-31T19:39:46Z"}}
    assert plan.updated.read(record) == datetime(2018, 7, 31, 19, 39, 46, tzinfo=UTC)


def test_the_defaults_of_an_empty_configuration() -> None:
    plan = plan_of("contacts", {})
    assert (plan.id_field, plan.filter_by_updated, plan.filter_by_current) == ("id", True, False)
    assert (plan.page_size, plan.poll_delay, plan.created_tolerance) == (None, timedelta(0), timedelta(0))
    assert (plan.detect_deletes, plan.sweep_interval) == (False, timedelta(days=1))
    assert plan.updated.field == "_info.lastUpdated"


def test_a_created_field_of_its_own_has_the_updated_fields_format_unless_given() -> None:
    plan = plan_of("incidents", {"datesConfiguration": {"createdDateField": "_info.dateEntered"}})
    assert plan.created is not None
    record = {"_info": {"dateEntered": "2018-07-31T19:39:46Z"}}
    assert plan.created.read(record) == datetime(2018, 7, 31, 19, 39, 46, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ({"filterByUpdateDate": "no"}, {"filterByUpdatedDate": False}),
        ({"filterByUpdatedDate": "YES"}, {"filterByUpdatedDate": True}),
        ({"pageSize": "15", "pollDelay": " 5 "}, {"pageSize": 15, "pollDelay": 5}),
        ({"pageSize": "", "pollDelay": None, "datesConfiguration": ""}, {}),
        ({"createdCheckTolerance": "3"}, {"createdCheckTolerance": 3}),
        ({"datesConfiguration": {"createdCheckTolerance": 4}}, {"datesConfiguration": {"createdCheckTolerance": 4}}),
        ("", {}),
        (None, {}),
    ],
)
def test_values_may_be_strings_and_blanks_are_not_given(given_: object, kept: dict[str, Any]) -> None:
    assert read_poll("contacts", given_) == kept


@pytest.mark.parametrize("where", [{"createdCheckTolerance": 4}, {"datesConfiguration": {"createdCheckTolerance": 4}}])
def test_the_tolerance_may_stand_in_both_places(where: dict[str, Any]) -> None:
    assert plan_of("contacts", where).created_tolerance == timedelta(seconds=4)


@pytest.mark.parametrize(
    ("given_", "path"),
    [
        ({"datesConfiguration": {"updatedDateFormat": "yyyy-bb"}}, "datesConfiguration.updatedDateFormat"),
        ({"datesConfiguration": {"createdDateFormat": "'open"}}, "datesConfiguration.createdDateFormat"),
        ({"datesConfiguration": {"updatedDateTimezone": "Mars/Olympus"}}, "datesConfiguration.updatedDateTimezone"),
        ({"datesConfiguration": {"updatedDateFields": "a"}}, "datesConfiguration.updatedDateFields"),
        ({"datesConfiguration": [1]}, "datesConfiguration"),
        ({"url": "/hubs/crm/contacts?where=lastUpdated>'${gmtDate:bb}'"}, "url"),
        ({"url": "/hubs/crm/contacts?where=lastUpdated>>1"}, "url"),
        ({"url": f"/hubs/crm/contacts?where=title='{'x' * 10_000}'"}, "url"),
        ({"url": f"/hubs/crm/contacts?fields={'x' * 1723}"}, "url"),  # with what the poll adds it is too long
        ({"url": "nonsense"}, "url"),
        ({"url": 5}, "url"),
        ({"pageSize": 0}, "pageSize"),
        ({"pageSize": "many"}, "pageSize"),
        ({"pageSize": True}, "pageSize"),
        ({"pollDelay": -1}, "pollDelay"),
        ({"pollDelay": 1.5}, "pollDelay"),
        ({"deleteSweepMinutes": 0}, "deleteSweepMinutes"),
        ({"detectDeletes": "perhaps"}, "detectDeletes"),
        ({"idfield": "id"}, "idfield"),
    ],
)
def test_what_can_not_be_used_is_named_by_its_path(given_: dict[str, Any], path: str) -> None:
    with pytest.raises(PollConfigurationError) as caught:
        read_poll("contacts", given_)
    assert list(caught.value.problems) == [path]


def test_a_resource_outside_the_catalogue_needs_a_url() -> None:
    with pytest.raises(PollConfigurationError, match="url"):
        read_poll("unheard-of", {})
    assert plan_of("unheard-of", {"url": "/hubs/crm/service/boards"}).hub.path == "/service/boards"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(["url", "idField", "datesConfiguration", "pageSize", "pollDelay", "detectDeletes", "enabled"])


@given(st.dictionaries(_KEYS, _JSON, max_size=4) | _JSON)
def test_any_json_is_kept_or_refused_and_what_is_kept_can_be_given_again(given_: Any) -> None:
    try:
        kept = read_poll("contacts", given_)
    except PollConfigurationError:
        return
    assert read_poll("contacts", kept) == kept


@pytest.mark.parametrize(
    ("zone", "template", "text"),
    [
        ("UTC", "${date:HH:mm}", "12:30"),
        ("America/Denver", "${date:HH:mm}", "05:30"),
        ("America/Denver", "${date}", "03/01/2026 05:30"),
        ("Asia/Kolkata", "${date:yyyy-MM-dd'T'HH:mmXXX}", "2026-03-01T18:00+05:30"),
        ("Asia/Kolkata", "${gmtDate:HH:mm}", "12:30"),
        ("Asia/Kolkata", "${dateTimeZone:America/Denver:HH:mm}", "05:30"),
    ],
)
def test_templates_of_dates_are_in_the_services_zone(settings: Settings, zone: str, template: str, text: str) -> None:
    settings.TIME_ZONE = zone
    dates = {"updatedDateFormat": "MM/dd/yyyy HH:mm"}
    url = f"/hubs/crm/contacts?childConditions=note=\"{template}\"&where=lastUpdated>'{template}'"
    plan = plan_of("contacts", {"url": url, "datesConfiguration": dates})
    opening = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert plan.hub.params(opening, needed_fields=()) == {
        "childConditions": f'note="{text}"',
        "conditions": "lastUpdated > [2026-03-01T12:30:00Z]",  # the instant, whatever its text
    }
