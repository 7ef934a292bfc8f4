"""The search over everything: what a text leads to, and what it shows where it may mean several things."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from instances.audit import Action
from instances.models import AuditEntry, Organization
from polling.maintenance.purge import purge_deleted
from polling.models import BulkJob, Event, Notification
from polling.subscriptions.changes import delete_subscription
from tests.conftest import Tenant
from tests.pages.conftest import sign_in, text_of, words_of
from tests.support.filled_service import Filled, fill
from tests.support.notifications import make_instance
from tests.support.read_log import Log, read_log, subscribe
from tests.support.rows import make_attempt

pytestmark = pytest.mark.django_db
REQUEST = "0123456789abcdef01234567"


@pytest.fixture
def filled(organization: Organization) -> Filled:
    cache.clear()
    return fill(organization, instances=8, events=400, now=timezone.now())


def search(client: Client, text: object) -> str:
    """Return where a search leads, or what it shows in words."""
    answer = client.get("/app/search", {"q": str(text)})
    return answer.headers.get("Location") or words_of(text_of(answer))


def test_an_id_that_means_one_thing_leads_right_there(filled: Filled, operator: Client) -> None:
    event = Event.objects.get(pk=399)
    assert search(operator, 399) == "/app/events/399"
    assert search(operator, " msg_397 ") == "/app/events/397"
    assert search(operator, filled.instances[3].name) == f"/app/instances/{filled.instances[3].pk}"
    assert search(operator, "company5") == f"/app/instances/{filled.instances[5].pk}"
    assert event.object_id != "399"


@pytest.mark.parametrize("form", ["elements", "cloudevents", "thin"])
def test_what_was_made_of_the_log_for_a_further_subscription_is_found_by_its_webhook_id(
    organization: Organization, operator: Client, admin_client: Client, other_tenant: Tenant, form: str
) -> None:
    log = Log(organization)
    closed = subscribe(log.instance, filter={"where": "id > 1"}, form=form)
    held, carried, last = log.record(1, 2, 3)
    read_log()
    made = Notification.objects.get(subscription=closed)
    assert made.pk not in (held, carried, last)
    page = f"/app/events/{carried}?to={closed.pk}"
    assert search(operator, f" {made.webhook_id} ") == page
    assert operator.get("/app/events", {"object": made.webhook_id}).headers["Location"] == page
    assert made.webhook_id in text_of(operator.get(page))
    tried = make_attempt(made, timezone.now())
    for row in (f"notification/{made.pk}", f"deliveryattempt/{tried.pk}"):
        found = admin_client.get(f"/admin/polling/{row.partition('/')[0]}/", {"q": made.webhook_id})
        assert f"/admin/polling/{row}/change/" in text_of(found)
    stranger = sign_in("stranger", other_tenant.organization)
    assert "Nothing is called" in search(stranger, made.webhook_id)
    delete_subscription(closed, timezone.now())
    purge_deleted(timezone.now())
    assert "Nothing is called" in search(operator, made.webhook_id)


def test_a_number_that_may_mean_several_things_shows_them_all(filled: Filled, operator: Client) -> None:
    instance = filled.busiest.pk
    Event.objects.filter(pk=400).update(object_id=str(instance))
    for number, headings in {instance: ("Instances",), 3: ("Event 3",)}.items():
        shown = search(operator, number)
        for heading in (*headings, "Records with this id, by their newest event"):
            assert heading in shown


def test_a_record_is_found_by_any_part_of_its_name_and_by_its_id(filled: Filled, operator: Client) -> None:
    for text in ("Ruth Lindqvist", "lindqvist", "lind ruth", "RUTH LIND"):
        assert "Ruth Lindqvist · contacts/7" in search(operator, text), text
    assert "Ruth Lindqvist · contacts/7" in search(operator, "contacts/7")
    assert "Nothing is called “Lindquist”" in search(operator, "Lindquist")


def test_each_record_is_shown_once_by_its_newest_event(filled: Filled, operator: Client) -> None:
    of_record = Event.objects.filter(title="Ruth Lindqvist")
    assert of_record.update(instance=filled.busiest, object_type="contacts") > 1
    assert search(operator, "lindqvist").count("Ruth Lindqvist · contacts/7") == 1


def test_what_a_request_did_is_found_by_its_id(organization: Organization, operator: Client) -> None:
    AuditEntry.objects.create(
        organization=organization,
        actor="account olga",
        action=Action.RELEASE,
        subject="Acme",
        request_id=REQUEST,
    )
    shown = search(operator, REQUEST.upper())
    assert "olga delivery released Acme" in shown
    assert "The service’s log has this id" in shown
    assert "It changed nothing in" in search(operator, "f" * 24)


def test_others_find_nothing_of_it(filled: Filled, other_tenant: Tenant) -> None:
    AuditEntry.objects.create(
        organization=filled.busiest.organization, actor="olga", action="x", subject="Acme", request_id=REQUEST
    )
    stranger = sign_in("stranger", other_tenant.organization)
    for text in (399, "msg_397", "Lindqvist", "contacts/7", filled.instances[3].name, filled.instances[3].pk):
        assert "Nothing is called" in search(stranger, text), text
    assert "It changed nothing in" in search(stranger, REQUEST)


@pytest.mark.parametrize("text", ["", "   ", "\x00", "%", "_", "'", "9" * 30, "٣", "msg_", "/", "a/b", "x" * 3000, "é"])
def test_any_text_can_be_searched(filled: Filled, operator: Client, text: str) -> None:
    assert operator.get("/app/search", {"q": text}).status_code == 200


def test_the_box_stands_on_every_page(filled: Filled, viewer: Client) -> None:
    for path in ("/", "/app/instances", "/app/events", "/app/deliveries", "/app/search"):
        assert 'action="/app/search"' in text_of(viewer.get(path))


def test_events_are_searched_by_name_and_by_any_field(filled: Filled, operator: Client) -> None:
    def found(**query: str) -> str:
        return words_of(text_of(operator.get("/app/events", query)))

    assert "Ruth Lindqvist · contacts/7" in found(q="lindqvist")
    assert "No event matches" in found(q="lindqvist engineer")
    assert "Ruth Lindqvist · contacts/7" in found(q='LINDQVIST","title":"Engineer"', fields="on")
    assert "all text of 1,000 events" in found(q="engineer", fields="on")
    assert "No event matches" in found(q="ada lindqvist")
    assert "Ruth Lindqvist" in found(q="lindqvist", instance=filled.busiest.name, object="7")


def test_an_instance_of_a_name_that_several_have_is_listed(organization: Organization, operator: Client) -> None:
    for place in ("East", "West"):
        make_instance(organization, "http://127.0.0.1:9/", f"Acme {place}")
    shown = search(operator, "acme")
    assert "Acme East" in shown
    assert "Acme West" in shown


def test_what_is_searched_by_name_is_not_sent_again_by_more_than_the_name(filled: Filled, operator: Client) -> None:
    assert "Replay" not in words_of(text_of(operator.get("/app/events?q=lindqvist&kind=UPDATED")))
    asked, before = "/app/replay-these?of=events&q=lindqvist&kind=UPDATED", BulkJob.objects.count()
    assert operator.post(asked, {"first": "1", "last": "400"}).status_code == 200
    assert BulkJob.objects.count() == before
