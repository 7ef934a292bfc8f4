"""What follows a write: one's own event, the same answer again under a key, ConnectWise's quirks kept from callers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from instances.models import AuditEntry, Transformation
from polling.api.v1.idempotency import KEPT, LOST_AFTER
from polling.detection.poll_loop import poll_due
from polling.models import AnnouncedRecord, Event, IdempotentAnswer, PollState
from tests.support.api_caller import Api
from tests.support.hub_writer import Hub
from tests.support.sandboxes import start_sandbox

pytestmark = pytest.mark.django_db
RECORDS = {"contacts": 9, "organizations": 9, "incidents": 9}


@pytest.fixture
def hub(api: Api, settings: Settings) -> Iterator[Hub]:
    settings.CONNECTWISE_CLIENT_ID = "a-client-id"
    with start_sandbox(records=RECORDS) as server:
        yield Hub(api, server, event__poller__configuration={"contacts": {}, "incidents": {}})


# -- one's own write comes back ----------------------------------------------------------------------------------------


def watch(hub: Hub) -> None:
    """Poll all once; nothing is due for a quarter of an hour then."""
    poll_due(deadline=float("inf"))
    assert not PollState.objects.filter(next_poll_at__lte=timezone.now()).exists()
    Event.objects.all().delete()


def heard() -> set[tuple[str, str, str]]:
    """Poll what is due, and return the events."""
    poll_due(deadline=float("inf"))
    found = Event.objects.values_list("resource_poll__name", "kind", "object_id")
    return {(str(resource), str(kind), str(number)) for resource, kind, number in found}


def test_ones_own_write_is_an_event_as_any_other(hub: Hub) -> None:
    watch(hub)
    made = hub("POST", "contacts", {"firstName": "Ada"}).json()
    assert heard() == {("contacts", "CREATED", str(made["id"]))}
    PollState.objects.update(woken_at=None)
    assert hub("PATCH", "incidents/2", {"summary": "Out"}).status_code == 200
    assert heard() == {("contacts", "CREATED", str(made["id"])), ("incidents", "UPDATED", "2")}


def test_a_write_below_a_record_has_that_records_poll_due_too(hub: Hub) -> None:
    watch(hub)
    assert hub("POST", "incidents/3/comments", {"text": "Called"}).status_code == 200
    due = PollState.objects.filter(next_poll_at__lte=timezone.now())
    assert [state.resource_poll.name for state in due] == ["incidents"]
    assert AnnouncedRecord.objects.get().record_id == 3


def test_a_refused_write_has_nothing_polled(hub: Hub) -> None:
    watch(hub)
    assert hub("POST", "incidents", {"summary": "No company"}).status_code == 400
    assert not PollState.objects.filter(next_poll_at__lte=timezone.now()).exists()


def test_a_record_deleted_is_looked_for_where_deletes_are_detected(api: Api, settings: Settings) -> None:
    settings.CONNECTWISE_CLIENT_ID = "a-client-id"
    with start_sandbox(records=RECORDS) as server:
        polls = {"contacts": {"detectDeletes": True}, "incidents": {}}
        hub = Hub(api, server, event__poller__configuration=polls)
        watch(hub)
        for path in ("contacts/2", "incidents/2"):
            assert hub("DELETE", path).status_code == 200
        noted = [(each.resource_poll.name, each.record_id, each.deleted) for each in AnnouncedRecord.objects.all()]
        assert noted == [("contacts", 2, True)]


def test_what_was_done_is_answered_though_the_database_goes_away_after_it(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr("polling.api.compatible.hubs.expect_written", away)
    monkeypatch.setattr("polling.api.v1.idempotency._keep", away)
    entries = SimpleNamespace(create=AuditEntry.objects.create, filter=away)
    monkeypatch.setattr("instances.audit.AuditEntry", SimpleNamespace(objects=entries))
    answer = hub("POST", "contacts", {"firstName": "Ada"}, key="one")
    assert (answer.status_code, hub.sent) == (200, ["POST"])


# -- the same request again --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "contacts", {"firstName": "Ada"}),
        ("PATCH", "contacts/2", {"title": "Countess"}),
        ("PUT", "contacts/2", {"firstName": "Ada"}),
        ("DELETE", "contacts/2", None),
    ],
)
def test_the_same_request_again_is_answered_the_same_and_not_sent(hub: Hub, method: str, path: str, body: Any) -> None:
    first = hub(method, path, body, key="one")
    assert (first.status_code, hub.sent) == (200, [method])
    again = hub(method, path, body, key="one")
    assert (again.status_code, again.content, hub.store.requests) == (200, first.content, [])
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(hub.audited) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "contacts", {"firstName": "Eve"}),
        ("POST", "organizations", {"firstName": "Ada"}),
        ("PATCH", "contacts/2", {"firstName": "Ada"}),
        ("PUT", "contacts/2", {"firstName": "Ada"}),
    ],
)
def test_a_key_is_good_for_one_request(hub: Hub, method: str, path: str, body: Any) -> None:
    assert hub("POST", "contacts", {"firstName": "Ada"}, key="one").status_code == 200
    answer = hub(method, path, body, key="one")
    assert (answer.status_code, hub.store.requests) == (422, [])


def test_a_verb_is_a_part_of_the_request(hub: Hub) -> None:
    assert hub("PATCH", "contacts/2", {"firstName": "Ada"}, key="one").status_code == 200
    assert hub("PUT", "contacts/2", {"firstName": "Ada"}, key="one").status_code == 422


@pytest.mark.parametrize("fault", [{"drop": "after"}, {"drop": True}, {"status": 502}])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_have_been_done_is_not_done_again_under_its_key(hub: Hub, method: str, fault: dict[str, Any]) -> None:
    hub.store.fail_next(1, method=method, **fault)
    path, body = ("contacts", {"firstName": "Ada"}) if method == "POST" else ("contacts/2", {"title": "x"})
    first = hub(method, path, body, key="one")
    assert (first.status_code, "Look with GET" in first.json()["message"]) == (500, True)
    for _ in range(2):
        again = hub(method, path, body, key="one")
        assert (again.status_code, hub.store.requests) == (409, [])
        assert "unknown" in again.json()["message"]
    assert hub(method, path, body, key="two").status_code == 200
    IdempotentAnswer.objects.update(created_at=timezone.now() - KEPT - timedelta(minutes=1))
    assert hub(method, path, body, key="one").status_code == 200  # a day later nobody knows the key


def test_a_twin_under_way_is_409_and_one_whose_process_died_too(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = []

    def meanwhile(*_: Any) -> dict[str, Any]:
        monkeypatch.undo()
        answers.append(hub("POST", "contacts", {"firstName": "Ada"}, key="one"))
        raise SystemExit

    monkeypatch.setattr("instances.hub.writes._send", meanwhile)
    with pytest.raises(SystemExit):
        hub("POST", "contacts", {"firstName": "Ada"}, key="one")
    assert (answers[0].status_code, "under way" in answers[0].json()["message"]) == (409, True)
    IdempotentAnswer.objects.update(created_at=timezone.now() - LOST_AFTER - timedelta(seconds=1))
    dead = hub("POST", "contacts", {"firstName": "Ada"}, key="one")
    assert (dead.status_code, "unknown" in dead.json()["message"], hub.sent) == (409, True, [])


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 429}, {"status": 401}])
def test_a_refusal_frees_the_key(hub: Hub, fault: dict[str, Any]) -> None:
    hub.store.fail_next(1, method="POST", **fault)
    assert hub("POST", "contacts", {"firstName": "Ada"}, key="one").status_code == fault["status"]
    assert hub("POST", "contacts", {"firstName": "Ada"}, key="one").status_code == 200


def test_a_key_that_lacks_the_right_keeps_nothing(hub: Hub) -> None:
    hub.allow(key=False)
    assert hub("POST", "contacts", {"firstName": "Ada"}, key="one").status_code == 403
    hub.allow()
    assert hub("POST", "contacts", {"firstName": "Ada"}, key="one").status_code == 200
    assert hub("POST", "contacts", {"firstName": "Ada"}, key="two words").status_code == 400


# -- what ConnectWise wants --------------------------------------------------------------------------------------------


def values(record: dict[str, Any]) -> dict[str, Any]:
    return {each["caption"]: each.get("value") for each in record["customFields"]}


@pytest.mark.parametrize("name", ["id", "caption"])
def test_custom_fields_are_merged_with_those_of_the_record(hub: Hub, name: str) -> None:
    before = hub("GET", "organizations/1").json()
    hub.store.patch_needs_custom_fields = True
    one = before["customFields"][1]
    changed = hub("PATCH", "organizations/1", {"customFields": [{name: one[name], "value": 12}]})
    assert changed.status_code == 200, changed.content
    assert values(changed.json()) == values(before) | {one["caption"]: 12}
    again = hub("PATCH", "organizations/1", {"phoneNumber": "555"})
    assert (again.status_code, values(again.json())) == (200, values(changed.json()))
    emptied = hub("PATCH", "organizations/1", {"customFields": []})
    assert values(emptied.json()) == values(changed.json())


def test_a_record_is_read_first_only_where_it_may_have_custom_fields(hub: Hub) -> None:
    hub("PATCH", "contacts/2", {"title": "x"})
    assert [seen.method for seen in hub.store.requests] == ["GET", "PATCH"]
    note = hub("POST", "incidents/3/comments", {"text": "Called"}).json()
    hub("PATCH", f"incidents/3/comments/{note['id']}", {"text": "x"})
    assert [seen.method for seen in hub.store.requests] == ["PATCH"]


def test_a_reference_is_replaced_whole_and_names_get_connectwises_case(hub: Hub) -> None:
    changed = hub("PATCH", "incidents/2", {"SUMMARY": "Out", "company": {"id": "9"}}).json()
    assert (changed["summary"], changed["company"]["id"]) == ("Out", 9)


def test_a_put_of_a_contact_with_its_communication_items_is_a_patch(hub: Hub) -> None:
    record = hub("GET", "contacts/2").json() | {"company": {"id": 3}}
    record.pop("site", None)  # of the company that it was of
    answer = hub("PUT", "contacts/2", record | {"title": "Countess"})
    assert (answer.status_code, hub.sent) == (200, ["PATCH"]), answer.content
    assert answer.json()["title"] == "Countess"
    assert hub("PUT", "contacts/2", {"firstName": "Ada"}).status_code == 200
    assert hub.sent == ["PUT"]


def test_a_contact_is_deleted_with_a_transfer(hub: Hub) -> None:
    hub.store.change("incidents", 1, {"contact": {"id": 4, "name": "Old"}})
    for wrong in ("x", "", "-1", "5%205", "1" * 19):
        assert hub("DELETE", f"contacts/4?transferContactId={wrong}").status_code == 400
        assert hub.store.requests == []
    assert hub("DELETE", "contacts/4?transferContactId=5").status_code == 200
    assert (hub.store.get("incidents", 1) or {})["contact"]["id"] == 5
    assert hub.audited[-1].details["fields"] == "transferContactId"


# -- field mappings ----------------------------------------------------------------------------------------------------


def mapped(hub: Hub, *configuration: str) -> None:
    Transformation.objects.create(
        instance=hub.instance,
        name="people",
        vendor_name="contacts",
        fields=[
            {"path": "givenName", "vendorPath": "firstName"},
            {"path": "employer.key", "vendorPath": "company.id"},
            {"path": "phones[*].number", "vendorPath": "communicationItems[*].value"},
        ],
        configuration=[{"type": kind, "properties": {"toVendor": True}} for kind in configuration],
    )


def test_a_write_by_a_mapping_is_turned_to_connectwises_shape_and_back(hub: Hub) -> None:
    mapped(hub)
    made = hub("POST", "people", {"givenName": "Ada", "employer": {"key": 4}}).json()
    assert made == {"id": 10, "givenName": "Ada", "employer": {"key": 4}}
    assert (hub.store.get("contacts", 10) or {})["company"]["id"] == 4
    changed = hub("PATCH", "people/10", {"givenName": "Eve"}).json()
    assert changed == made | {"givenName": "Eve"}
    assert hub("DELETE", "people/10").status_code == 200


def test_an_error_by_a_mapping_names_its_own_fields(hub: Hub) -> None:
    mapped(hub)
    lacking = hub("POST", "people", {"employer": {"key": 644}})
    assert lacking.status_code == 400
    assert set(lacking.json()["message"].split(";")[0].removeprefix("ConnectWise refuses ").split(", ")) == {
        "givenName",
        "employer.key",
    }
    unknown = hub("POST", "people", {"givenName": "Ada", "title": "x"})
    assert (unknown.status_code, "title" in unknown.json()["message"], hub.sent) == (400, True, [])


@pytest.mark.parametrize(("kind", "title"), [("remove", None), ("passThrough", "Countess")])
def test_what_a_mapping_does_not_name_is_left_out_or_passed_on(hub: Hub, kind: str, title: str | None) -> None:
    mapped(hub, kind)
    made = hub("POST", "people", {"givenName": "Ada", "title": "Countess"})
    assert made.status_code == 200, made.content
    assert (hub.store.get("contacts", 10) or {}).get("title") == title


def test_a_mapping_of_what_nobody_may_write_is_read_alone(hub: Hub) -> None:
    fields = [{"path": "login", "vendorPath": "identifier"}]
    Transformation.objects.create(instance=hub.instance, name="staff", vendor_name="members", fields=fields)
    answer = hub("POST", "staff", {"login": "root"})
    assert (answer.status_code, hub.store.requests) == (405, [])
