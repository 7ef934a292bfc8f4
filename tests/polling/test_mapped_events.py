"""A poll that goes by a field mapping's name: events have its shape, and ConnectWise's records are compared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cwconnect.core.errors import ConflictError
from instances.configuration.config_keys import POLLS
from instances.configuration.values import ConfigurationError
from instances.configuration.wire import config_of, read_configuration
from instances.hub.mapping_paths import read_path
from instances.hub.mappings import MappedField, Mapping
from instances.hub.transformations import delete_transformation, put_transformation
from instances.models import Instance, ResourcePoll
from instances.poll_changes import add_poll, change_poll
from instances.provisioning import change_instance
from polling.detection.event_shapes import EventShape
from polling.detection.jobs import plan_of_poll
from polling.models import Event, Notification, RecordSnapshot
from polling.verification.repair_steps import _known_from_log
from tests.support.polled_instance import PolledInstance
from tests.support.sweeps import delete, sweep

pytestmark = pytest.mark.django_db(transaction=True)
FIELDS = [{"path": "givenName", "vendorPath": "firstName"}, {"path": "role.title", "vendorPath": "title"}]
BODY: dict[str, Any] = {"vendorName": "contacts", "fields": FIELDS}
TRACKS: dict[str, Any] = {
    "url": "/hubs/crm/people?where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'",
    "trackChanges": True,
}


def reread(instance: Instance) -> Instance:
    return Instance.objects.get(pk=instance.pk)


@pytest.fixture
def people(watched: PolledInstance) -> ResourcePoll:
    """A poll of the mapping `people` beside that of contacts, polled once."""
    put_transformation(watched.instance, "people", BODY)
    watched.instance = reread(watched.instance)
    poll = add_poll(watched.instance, "people", copy_of=None, patch=TRACKS, enabled=True)
    watched.instance = reread(watched.instance)
    watched.poll()
    return poll


def newest(poll: ResourcePoll) -> Event:
    return Event.objects.filter(resource_poll=poll).latest("pk")


def test_records_and_changes_are_in_the_mapping_s_shape(watched: PolledInstance, people: ResourcePoll) -> None:
    for title in ("Chief", "Chief again"):
        watched.change(17, title)
        watched.poll()
    event, theirs = newest(people), newest(watched.instance.resource_polls.get(name="contacts"))
    record = json.loads(theirs.record)
    assert json.loads(event.record) == {
        "id": 17,
        "givenName": record["firstName"],
        "role": {"title": "Chief again"},
    }
    assert json.loads(event.changes or "") == [{"field": "role.title", "from": "Chief", "to": "Chief again"}]
    assert (event.object_type, event.kind, event.object_id) == ("people", theirs.kind, "17")
    # By its resource: which of the two polls delivers last nobody knows.
    raw = json.loads(Notification.objects.filter(object_type="people").latest("pk").body)["message"]["raw"]
    assert raw["people"] == [json.loads(event.record)]
    known = [
        bytes(RecordSnapshot.objects.get(resource_poll=poll, record_id=17).digest)
        for poll in (people, theirs.resource_poll)
    ]
    assert known[0] == known[1]


def test_a_change_that_the_mapping_does_not_show_is_recorded_all_the_same(
    watched: PolledInstance, people: ResourcePoll
) -> None:
    watched.change(17, "Chief")
    watched.poll()
    watched.store.change("contacts", 17, {"lastName": "Lovelace"})
    watched.poll()
    assert (newest(people).kind, newest(people).changes) == ("UPDATED", "[]")


def test_a_shape_too_deep_for_json_holds_up_nothing() -> None:
    paths = MappedField(read_path("a.b.c.d.e.f.g.h.i"), read_path("deep"))
    text = '{"deep":' + "[" * 250 + "]" * 250 + "}"
    assert EventShape(Mapping("people", "/company/contacts", (paths,))).text(text) == text
    assert json.loads(EventShape(Mapping("people", "/company/contacts", (paths,))).text('{"deep":1}'))["a"]["b"]


def test_a_change_of_the_mapping_is_no_change_of_a_record(watched: PolledInstance, people: ResourcePoll) -> None:
    watched.change(17, "Chief")
    watched.poll()
    before = Event.objects.count()
    put_transformation(watched.instance, "people", BODY | {"fields": FIELDS[:1]})
    watched.poll()
    assert Event.objects.count() == before
    watched.change(17, "Chief again")
    watched.poll()
    assert set(json.loads(newest(people).record)) == {"id", "givenName"}


def test_a_delete_is_recorded_in_the_mapping_s_shape(watched: PolledInstance, people: ResourcePoll) -> None:
    people = ResourcePoll.objects.get(pk=people.pk)
    change_poll(people, patch={"detectDeletes": True}, enabled=None)
    watched.instance = reread(watched.instance)
    sweep(watched)  # which counts what there is
    watched.change(17, "Chief")
    watched.poll()
    delete(watched, 17)
    sweep(watched)
    event = newest(people)
    assert event.kind == "DELETED"
    assert json.loads(event.record)["role"] == {"title": "Chief"}


def test_a_mapping_that_a_poll_goes_by_stays(watched: PolledInstance, people: ResourcePoll) -> None:
    with pytest.raises(ConflictError, match="The poll people has its events by it"):
        delete_transformation(watched.instance, "people")
    with pytest.raises(ConflictError, match="vendorName: the poll people reads /company/contacts"):
        put_transformation(watched.instance, "people", BODY | {"vendorName": "organizations"})
    watched.instance = reread(watched.instance)
    stored = config_of(watched.instance)
    polls = {name: poll for name, poll in stored.polls.items() if name != "people"}
    change_instance(watched.instance, config=read_configuration({POLLS: polls}, base=stored, stored=stored))
    delete_transformation(watched.instance, "people")


def test_a_configuration_read_back_may_be_given_again(watched: PolledInstance, people: ResourcePoll) -> None:
    stored = config_of(watched.instance)
    assert stored.polls["people"]["url"] == TRACKS["url"].replace("/people", "/contacts")
    assert read_configuration({POLLS: json.dumps(dict(stored.polls))}, base=stored, stored=stored) == stored
    usual = read_configuration({POLLS: {"people": {}}}, base=stored, stored=stored)
    assert usual.polls["people"]["url"].startswith("/hubs/crm/contacts?where=lastUpdated>")


def test_a_url_of_another_list_or_of_another_s_mapping_is_refused_by_name(
    watched: PolledInstance, people: ResourcePoll
) -> None:
    stored = config_of(watched.instance)
    wrong = {
        "people": ("/hubs/crm/incidents", "reads incidents, and the transformation people maps contacts"),
        "others": ("/hubs/crm/people?where=id>1", "names the transformation people"),
    }
    for name, (url, words) in wrong.items():
        with pytest.raises(ConfigurationError) as refused:
            read_configuration({POLLS: {name: {"url": url}}}, base=stored, stored=stored)
        assert refused.value.problems[f"{POLLS}.{name}.url"].startswith(words)


def test_what_the_log_says_of_a_mapped_record_is_its_stamp(watched: PolledInstance, people: ResourcePoll) -> None:
    watched.change(17, "Chief")
    watched.poll()
    event = newest(people)
    known = _known_from_log(people, plan_of_poll(people), [17])[17]
    assert known.stamp == int(event.occurred_at.timestamp())
    assert known.digest != RecordSnapshot.objects.get(resource_poll=people, record_id=17).digest
