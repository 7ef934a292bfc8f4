"""Configured fields that records don't have: nothing is lost by it, and the poll says which field it is."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from instances.configuration.wire import config_of, read_configuration
from instances.missing_fields import CREATED, ID, UPDATED, warnings_of
from instances.models import ResourcePoll
from instances.provisioning import change_instance
from polling.models import Event, Health, Notification
from polling.verification.repair import repair
from polling.verification.report import Finding, verify
from tests.support.polled_instance import PolledInstance

WINDOW = "/hubs/crm/contacts?where=lastUpdated>'${date}'"


def poll_of(world: PolledInstance) -> ResourcePoll:
    return ResourcePoll.objects.get(instance=world.instance)


def look(world: PolledInstance) -> Finding:
    return verify(poll_of(world), timezone.now())


def arrived(world: PolledInstance) -> Finding:
    """Return the finding once all that was recorded has arrived."""
    Notification.objects.update(state=Notification.State.DELIVERED)
    return look(world)


def configure(world: PolledInstance, **keys: Any) -> None:
    stored = config_of(world.instance)
    polls = {"contacts": {**stored.polls["contacts"], **keys}}
    config = read_configuration({"event.poller.configuration": polls}, base=stored, stored=stored)
    world.instance = change_instance(world.instance, config=config)


def conceal_all(world: PolledInstance) -> None:
    world.store.conceal_stamps("contacts", world.store.ids("contacts"))


# -- the field of the stamp --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["lastUpdated", "_info.lastupdated", "no.such", "title", "company", "id"])
def test_a_wrong_updated_field_hides_no_change(world: PolledInstance, field: str) -> None:
    world.watch(poll={"datesConfiguration": {"updatedDateField": field}})
    world.poll()
    assert world.recorded() == []
    record = world.store.change("contacts", 3, {"title": "Chief"})
    made = world.store.create("contacts")["id"]
    world.poll()
    world.poll()
    assert world.recorded() == [("UPDATED", "3"), ("CREATED", str(made))]
    assert Event.objects.earliest("pk").occurred_at.isoformat()[:19] == record["_info"]["lastUpdated"][:19]
    assert (world.state.health, arrived(world).whole) == (Health.HEALTHY, True)


def test_the_seeds_created_field_does_not_make_old_records_created(world: PolledInstance) -> None:
    """It names `_info.lastUpdated` twice; with a slip in one, a single field still can't show what is new."""
    dates = {"updatedDateField": "lastUpdated", "createdDateField": "_info.lastUpdated"}
    world.watch(poll={"datesConfiguration": dates})
    world.change(3, "Chief")
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]


def test_a_date_in_another_form_than_configured_is_read_from_connectwises_own_stamp(world: PolledInstance) -> None:
    world.watch(poll={"datesConfiguration": {"updatedDateFormat": "dd.MM.yyyy"}})
    world.change(3, "Chief")
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]


def test_without_any_stamp_what_the_condition_selects_is_recorded_once(world: PolledInstance) -> None:
    world.watch()
    conceal_all(world)
    world.change(3, "Chief")
    world.poll()
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]
    world.change(3, "Owner")
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]


def test_without_any_stamp_and_condition_the_first_reading_records_nothing(world: PolledInstance) -> None:
    conceal_all(world)
    world.watch(poll={"url": "/hubs/crm/contacts"})
    world.poll()
    assert world.recorded() == []
    world.change(3, "Chief")
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]


def test_fields_that_leave_the_stamp_out_get_it_added(world: PolledInstance) -> None:
    url = f"{WINDOW}&fields=title"
    world.watch(poll={"url": url, "datesConfiguration": {"updatedDateField": "lastUpdated"}})
    world.change(3, "Chief")
    world.poll()
    assert world.recorded() == [("UPDATED", "3")]


# -- the warning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("poll", "missing", "name"),
    [
        ({"datesConfiguration": {"updatedDateField": "lastUpdated"}}, [UPDATED], "lastUpdated"),
        ({"datesConfiguration": {"createdDateField": "_info.dateEntered"}}, [CREATED], "_info.dateEntered"),
        ({"idField": "contactId"}, [ID], "contactId"),
    ],
    ids=str,
)
def test_a_missing_field_is_named_when_the_poll_is_set_up_and_as_long_as_it_is_missing(
    world: PolledInstance, poll: dict[str, Any], missing: list[str], name: str
) -> None:
    world.watch(poll=poll)
    assert poll_of(world).missing_fields == missing
    (words,) = warnings_of(poll_of(world))
    assert name in words
    assert missing[0] in words
    world.change(3, "Chief")
    world.poll()
    assert poll_of(world).missing_fields == missing
    configure(world, idField="id", datesConfiguration={})
    assert poll_of(world).missing_fields == []
    world.change(3, "Owner")
    world.poll()
    assert warnings_of(poll_of(world)) == []


def test_a_right_configuration_warns_of_nothing(world: PolledInstance) -> None:
    world.watch()
    world.change(3, "Chief")
    world.poll()
    assert warnings_of(poll_of(world)) == []


def test_a_field_that_nobody_could_look_at_is_named_by_the_first_records_read(world: PolledInstance) -> None:
    for record_id in world.store.ids("contacts"):
        world.store.delete("contacts", record_id)
    world.watch(poll={"datesConfiguration": {"updatedDateField": "lastUpdated"}})
    assert poll_of(world).missing_fields == []
    world.store.create("contacts")
    world.poll()
    assert poll_of(world).missing_fields == [UPDATED]
    world.poll()
    assert poll_of(world).missing_fields == [UPDATED]


def test_a_field_named_anew_is_looked_for_at_once(world: PolledInstance) -> None:
    world.watch()
    configure(world, datesConfiguration={"updatedDateField": "lastUpdated"})
    assert poll_of(world).missing_fields == [UPDATED]


def test_the_warning_goes_once_a_record_has_the_field(world: PolledInstance) -> None:
    world.watch(poll={"datesConfiguration": {"updatedDateField": "modified"}})
    assert poll_of(world).missing_fields == [UPDATED]
    now = timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    world.store.change("contacts", 3, {"modified": now})
    world.poll()
    assert poll_of(world).missing_fields == []


def test_commands_api_and_pages_show_the_warning(world: PolledInstance, auth: dict[str, str], client: Client) -> None:
    world.watch(poll={"datesConfiguration": {"updatedDateField": "lastUpdated"}})
    (words,) = warnings_of(poll_of(world))
    out = StringIO()
    call_command("poll", world.instance.pk, verbosity=0, stdout=out)
    call_command("verify", world.instance.pk, verbosity=0, stdout=out)
    assert out.getvalue().count(words) == 2
    shown = client.get(f"/v1/instances/{world.instance.pk}/polls", headers=auth).json()
    assert shown["items"][0]["warnings"] == [words]
    answer = client.get(f"/instances/{world.instance.pk}", headers=auth).json()
    assert answer["warnings"] == [f"contacts: {words}"]


# -- verify ------------------------------------------------------------------------------------------------------------


def test_verify_says_of_undated_rows_that_it_cannot_know(world: PolledInstance) -> None:
    """Changed and not polled, or missed: without a stamp nobody can know, and nothing is said to be whole."""
    world.watch()
    conceal_all(world)
    world.change(3, "Chief")
    found = look(world)
    assert (found.undated, found.missed, found.stale, found.whole) == ((3,), (), (), False)
    world.poll()
    assert (world.recorded(), arrived(world).whole) == ([("UPDATED", "3")], True)
    world.change(3, "Owner")
    assert (look(world).undated, look(world).whole) == ((3,), False)
    out = StringIO()
    with pytest.raises(CommandError, match="without a date nobody knows"):
        call_command("verify", world.instance.pk, verbosity=0, stdout=out)
    assert "contacts, undated: 3" in out.getvalue()


def test_repair_records_undated_rows_that_differ(world: PolledInstance) -> None:
    world.watch()
    conceal_all(world)
    world.change(3, "Chief")
    repair(look(world))
    assert (world.recorded(), arrived(world).whole) == ([("UPDATED", "3")], True)
    world.poll()
    assert world.recorded() == []


def test_a_row_from_the_far_future_is_not_for_ever_coming(watched: PolledInstance) -> None:
    watched.change(3, "Far", stamp="2062-01-01T00:00:00Z")
    assert look(watched).undated == (3,)
    watched.poll()
    assert arrived(watched).whole


def test_undated_rows_that_nothing_changed_are_no_fault(world: PolledInstance) -> None:
    world.watch()
    world.poll()
    conceal_all(world)
    assert look(world).whole


def test_a_finding_from_before_undated_rows_were_looked_for_can_be_read(watched: PolledInstance) -> None:
    found = look(watched)
    kept = {key: value for key, value in found.as_json().items() if key != "undated"}
    assert Finding.from_json(poll_of(watched), kept) == found
