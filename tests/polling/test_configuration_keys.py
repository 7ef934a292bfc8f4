"""Every key of `event.poller.configuration` has its meaning at poll time.

Source: docs/wire-contract.md#4-configuration-keys-of-events.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from cwconnect.connectwise.catalogue import default_configuration, find_resource
from instances.configuration.polls import plan_of
from instances.configuration.wire import default_polls
from polling.models import Event, Health, RecordSnapshot
from tests.support.polled_instance import PolledInstance

EVERYTHING = "/hubs/crm/contacts"
WINDOW = "where=lastUpdated>'${date}'"
UTC_TEXT = "%Y-%m-%dT%H:%M:%SZ"


def asked(world: PolledInstance, name: str) -> list[str | None]:
    """Return a parameter of each request since the log was emptied."""
    return [request.query.get(name) for request in world.store.requests]


def poll_asking(world: PolledInstance) -> None:
    world.store.clear_requests()
    world.poll()


def watch_url(world: PolledInstance, url: str, **poll: Any) -> None:
    world.watch(poll={"url": url, **poll})


# -- url ---------------------------------------------------------------------------------------------------------------


def test_a_url_without_a_where_reads_all_and_records_only_what_changes(world: PolledInstance) -> None:
    watch_url(world, EVERYTHING)
    poll_asking(world)
    assert (world.recorded(), world.run.records, set(asked(world, "conditions"))) == ([], 30, {None})
    world.change(3, "Chief")
    world.poll()
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]


@pytest.mark.parametrize(
    "where",
    [
        "lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'",
        "lastUpdated>${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}",
        "lastUpdated >= '${date}'",
        "lastUpdated>'${epoch:s}'",
        "lastUpdated>'${dateTimeZone:America/Denver:yyyy-MM-dd HH:mm:ss}'",
        "_info.lastUpdated > '${date:MM/dd/yyyy HH:mm:ss}'",
    ],
)
def test_a_template_in_a_where_is_the_windows_opening_however_it_is_written(world: PolledInstance, where: str) -> None:
    watch_url(world, f"{EVERYTHING}?where={where}")
    cursor = world.state.cursor
    poll_asking(world)
    assert cursor is not None
    opening = (cursor - timedelta(seconds=301)).strftime(UTC_TEXT)
    (conditions,) = asked(world, "conditions")
    assert conditions is not None
    assert conditions.replace(" ", "").replace(">=", ">") == f"lastUpdated>[{opening}]"


def test_order_by_and_page_in_a_url_are_dropped(world: PolledInstance) -> None:
    watch_url(world, f"{EVERYTHING}?{WINDOW}&orderBy=lastUpdated desc&page=3")
    world.change(3, "Chief")
    poll_asking(world)
    assert world.recorded() == [("UPDATED", "3")]
    assert set(asked(world, "orderBy")) | set(asked(world, "page")) == {None}


def test_fields_gain_what_the_poll_needs_and_content_is_compared_within_them(world: PolledInstance) -> None:
    watch_url(world, f"{EVERYTHING}?{WINDOW}&fields=firstName,title", idField="company.identifier")
    record = world.store.change("contacts", 3, {"title": "Chief"})
    poll_asking(world)
    assert set(asked(world, "fields")) == {"firstName,title,id,company,_info"}
    assert world.recorded() == [("UPDATED", record["company"]["identifier"])]
    assert set(json.loads(Event.objects.get().record)) == {"id", "firstName", "title", "company", "_info"}


def test_a_text_of_a_template_outside_the_where_is_written_in_its_zone(world: PolledInstance) -> None:
    custom = "customFieldConditions=caption='${dateTimeZone:America/Denver:yyyy-MM-dd HH:mm}'"
    watch_url(world, f"{EVERYTHING}?{WINDOW}&{custom}")
    cursor = world.state.cursor
    poll_asking(world)
    assert cursor is not None
    opening = (cursor - timedelta(seconds=301)).astimezone(ZoneInfo("America/Denver"))
    assert asked(world, "customFieldConditions") == [f"caption='{opening:%Y-%m-%d %H:%M}'"]


@pytest.mark.parametrize(
    ("poll", "size"),
    [
        ({}, "1000"),
        ({"pageSize": 7}, "7"),
        ({"pageSize": "5000"}, "1000"),
        ({"url": f"{EVERYTHING}?{WINDOW}&pageSize=9"}, "9"),
        ({"url": f"{EVERYTHING}?{WINDOW}&pageSize=9", "pageSize": 7}, "7"),
    ],
)
def test_the_page_size_is_the_keys_then_the_urls_then_the_largest(
    world: PolledInstance, poll: dict[str, Any], size: str
) -> None:
    world.watch(poll=poll)
    poll_asking(world)
    assert set(asked(world, "pageSize")) == {size}


# -- the window --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delay", "seconds"), [(0, 301), (120, 301), ("600", 601)])
def test_poll_delay_opens_the_window_earlier_and_never_less_than_the_look_back(
    world: PolledInstance, delay: object, seconds: int
) -> None:
    world.watch(poll={"pollDelay": delay})
    cursor = world.state.cursor
    poll_asking(world)
    assert cursor is not None
    (conditions,) = asked(world, "conditions")
    assert (cursor - timedelta(seconds=seconds)).strftime(UTC_TEXT) in str(conditions)


@pytest.mark.parametrize("key", ["filterByUpdatedDate", "filterByUpdateDate"])
@pytest.mark.parametrize(("value", "known"), [(True, 0), ("no", 30)])
def test_filter_by_updated_date_drops_what_is_older_than_the_window(
    world: PolledInstance, key: str, value: object, known: int
) -> None:
    watch_url(world, EVERYTHING, **{key: value})
    world.poll()
    assert (world.recorded(), RecordSnapshot.objects.count()) == ([], known)


def test_without_filter_by_updated_date_an_old_stamp_with_new_content_is_recorded(world: PolledInstance) -> None:
    watch_url(world, EVERYTHING, filterByUpdatedDate=False)
    world.poll()
    world.change(3, "Chief", stamp="2020-01-01T00:00:00Z")
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]


def test_filter_by_current_date_leaves_what_is_newer_than_the_poll_to_the_next(world: PolledInstance) -> None:
    world.watch(poll={"filterByCurrentDate": True})
    world.change(3, "Chief", stamp=(timezone.now() + timedelta(seconds=60)).strftime(UTC_TEXT))
    world.poll()
    assert world.recorded() == []
    world.store.clock_offset = 120
    world.poll()
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]


def test_without_filter_by_current_date_it_is_recorded_at_once(watched: PolledInstance) -> None:
    watched.change(3, "Chief", stamp=(timezone.now() + timedelta(seconds=60)).strftime(UTC_TEXT))
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]


# -- dates -------------------------------------------------------------------------------------------------------------

ENTERED = {"createdDateField": "_info.dateEntered"}


@pytest.mark.parametrize(
    ("poll", "kind"),
    [
        ({"datesConfiguration": ENTERED, "createdCheckTolerance": 600}, "CREATED"),
        ({"datesConfiguration": {**ENTERED, "createdCheckTolerance": "600"}}, "CREATED"),
        ({"datesConfiguration": {**ENTERED, "createdCheckTolerance": 5}, "createdCheckTolerance": 600}, "CREATED"),
        ({"datesConfiguration": {**ENTERED, "createdCheckTolerance": 600}, "createdCheckTolerance": 5}, "UPDATED"),
        ({"datesConfiguration": ENTERED}, "UPDATED"),
        ({"createdCheckTolerance": 600}, "UPDATED"),
    ],
    ids=["top", "inside", "top over inside", "top under inside", "none", "no created field of its own"],
)
def test_created_check_tolerance_calls_a_row_created_that_changed_soon_after(
    world: PolledInstance, poll: dict[str, Any], kind: str
) -> None:
    ticket = world.store.create("incidents", stamp=timezone.now() - timedelta(seconds=20))["id"]
    world.watch(event__poller__configuration={"contacts": {}, "incidents": poll})
    world.store.touch("incidents", ticket)
    world.poll()
    world.store.change("incidents", ticket, {"summary": "Again"})
    world.poll()
    assert world.recorded() == [(kind, str(ticket)), ("UPDATED", str(ticket))]


@pytest.mark.parametrize(("resource", "kind"), [("incidents", "CREATED"), ("contacts", "UPDATED")])
def test_the_catalogues_created_field_finds_a_row_that_got_its_id_before_the_high_water_id(
    world: PolledInstance, resource: str, kind: str
) -> None:
    late = world.store.create(resource, stamp=timezone.now() + timedelta(seconds=2), visible_after=timedelta(hours=1))
    world.store.create(resource, stamp="2020-01-01T00:00:00Z")
    world.watch(event__poller__configuration=default_polls())
    world.store.reveal()
    world.poll()
    assert world.recorded() == [(kind, str(late["id"]))]


def test_the_default_plan_of_a_resource_has_the_catalogues_created_field() -> None:
    for name, field in (("incidents", "_info.dateEntered"), ("time-entries", "dateEntered"), ("contacts", None)):
        resource = find_resource(name)
        assert resource is not None
        created = plan_of(name, default_configuration(resource)).created
        assert (created and created.field) == field


@pytest.mark.parametrize(
    ("keys", "written"),
    [
        ({"updatedDateFormat": "yyyy-MM-dd HH:mm:ss", "updatedDateTimezone": "America/Denver"}, "%Y-%m-%d %H:%M:%S"),
        ({"updatedDateFormat": "MM/dd/yyyy HH:mm:ss", "updatedDateTimezone": "MST7MDT"}, "%m/%d/%Y %H:%M:%S"),
        ({"updatedDateFormat": "yyyy-MM-dd'T'HH:mm:ss'Z'", "updatedDateTimezone": "America/Denver"}, UTC_TEXT),
        ({"updatedDateFormat": "yyyy-MM-dd HH:mm:ssZ", "updatedDateTimezone": "GMT"}, "%Y-%m-%d %H:%M:%S%z"),
    ],
    ids=["a zone by configuration", "an old zone name", "a quoted Z is no zone", "an offset in the value wins"],
)
def test_a_date_is_read_in_the_zone_that_is_configured(
    world: PolledInstance, keys: dict[str, str], written: str
) -> None:
    watch_url(world, EVERYTHING, datesConfiguration={"updatedDateField": "modified.at", **keys})
    moment = datetime.now(UTC).replace(microsecond=0)
    local = moment.astimezone(ZoneInfo("America/Denver")).strftime(written)
    world.store.change("contacts", 3, {"modified": {"at": local}, "title": "Chief"})
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]
    assert Event.objects.get().occurred_at == moment


def test_without_a_zone_a_date_is_utc(world: PolledInstance) -> None:
    dates = {"updatedDateField": "modified", "updatedDateFormat": "yyyy-MM-dd HH:mm:ss"}
    watch_url(world, EVERYTHING, datesConfiguration=dates)
    moment = datetime.now(UTC).replace(microsecond=0)
    world.store.change("contacts", 3, {"modified": moment.strftime("%Y-%m-%d %H:%M:%S")})
    world.poll()
    assert Event.objects.get().occurred_at == moment


# -- idField and records that are not whole ----------------------------------------------------------------------------


def test_a_dotted_id_field_names_the_object(world: PolledInstance) -> None:
    world.watch(poll={"idField": "company.identifier"})
    record = world.store.change("contacts", 3, {"title": "Chief"})
    world.poll()
    assert world.recorded() == [("UPDATED", record["company"]["identifier"])]


def test_a_record_without_the_id_field_goes_by_its_id_and_is_reported(world: PolledInstance) -> None:
    world.watch(poll={"idField": "company.identifier"})
    world.store.change("contacts", 3, {"title": "Chief"}, remove=["company"])
    whole = world.store.change("contacts", 4, {"title": "Chief"})
    world.poll()
    assert world.recorded() == [("UPDATED", "3"), ("UPDATED", whole["company"]["identifier"])]
    assert (world.state.health, world.run.skipped) == (Health.HEALTHY, 0)
    assert "Record 3: its id is its objectId in place of 'company.identifier': it has none." in world.run.notes
    whole = world.store.change("contacts", 3, {"company": {"id": 1, "identifier": "Back"}})
    world.poll()
    assert world.recorded() == [("UPDATED", "Back")]


@pytest.mark.parametrize("remove", ["_info", "_info/lastUpdated"])
def test_a_record_without_a_date_is_compared_by_its_content(world: PolledInstance, remove: str) -> None:
    watch_url(world, EVERYTHING)
    world.store.change("contacts", 3, {}, remove=[remove])
    world.poll()
    assert "Record 3 has no _info.lastUpdated" in world.run.notes
    world.store.change("contacts", 3, {"title": "Chief"}, remove=[remove])
    born = world.store.create("contacts", remove=[remove])["id"]
    world.poll()
    world.poll()
    assert world.recorded() == [("UPDATED", "3"), ("CREATED", str(born))]
    assert world.state.health == Health.HEALTHY


def test_a_date_that_cannot_be_read_is_reported(world: PolledInstance) -> None:
    watch_url(world, EVERYTHING, datesConfiguration={"updatedDateField": "title"})
    world.poll()
    assert world.state.health == Health.HEALTHY
    assert "title can't be read as a date" in world.run.notes
    assert len(world.run.notes.splitlines()) <= 21


def test_a_record_without_an_id_among_others_is_reported(watched: PolledInstance) -> None:
    rows = [{"firstName": "Nobody"}, watched.store.change("contacts", 3, {"title": "Chief"})]
    watched.store.fail_next(1, status=200, body=rows)
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]
    assert (watched.state.health, watched.run.skipped) == (Health.HEALTHY, 1)
    assert "a record has no usable integer id" in watched.run.notes


def test_a_page_without_any_id_is_a_failure_in_words_and_loses_nothing(watched: PolledInstance) -> None:
    watched.change(3, "Chief")
    watched.store.fail_next(2, status=200, body=[{"firstName": "Nobody"}])
    watched.poll()
    assert watched.state.health == Health.RETRYING
    assert "no element of the page has a usable id" in watched.state.last_error
    watched.poll()
    assert watched.recorded() == [("UPDATED", "3")]


# -- what is recorded of a change --------------------------------------------------------------------------------------


def test_track_changes_says_which_fields_changed(world: PolledInstance) -> None:
    world.watch(poll={"trackChanges": True})
    for title in ("Chief", "Owner"):
        world.change(3, title)
        world.poll()
    world.store.touch("contacts", 3, stamp=timezone.now() + timedelta(seconds=2))
    world.poll()
    found = Event.objects.order_by("pk").values_list("changes", flat=True)
    assert list(found) == ["null", '[{"field":"title","from":"Chief","to":"Owner"}]', "[]"]


@pytest.mark.parametrize(("ignore", "expected"), [(False, [("UPDATED", "3")]), ("true", [])])
def test_ignore_empty_changes_keeps_silent_where_only_the_stamp_moved(
    world: PolledInstance, ignore: object, expected: list[tuple[str, str]]
) -> None:
    world.watch(poll={"ignoreEmptyChanges": ignore})
    world.change(3, "Chief")
    world.poll()
    world.recorded()
    world.store.touch("contacts", 3, stamp=timezone.now() + timedelta(seconds=2))
    world.poll()
    assert world.recorded() == expected


def test_a_path_that_the_catalogue_lacks_is_polled_under_its_key(world: PolledInstance) -> None:
    world.store.create("/company/contacts")
    world.watch(
        event__poller__configuration={"contacts": {}, "Anything": {"url": f"/hubs/crm/company/contacts?{WINDOW}"}}
    )
    world.change(3, "Chief")
    world.poll()
    assert set(Event.objects.values_list("object_type", flat=True)) == {"contacts", "Anything"}
