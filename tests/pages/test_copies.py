"""Copies on the pages: begun by a form that says what is wrong, followed, downloaded, cancelled."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cwconnect.sandbox import SandboxServer
from instances.models import AuditEntry, Instance, Organization, Transformation
from polling.copies.asking import MOST_OPEN
from polling.detection.poll_loop import poll_due
from polling.models import Copy, PollState
from tests.pages.conftest import sign_in, text_of, words_of
from tests.support.polled_instance import PolledInstance
from tests.support.rows import complete_copy


@pytest.fixture
def instance(world: PolledInstance) -> Instance:
    world.watch(poll={"detectDeletes": True})
    world.poll()
    PollState.objects.update(next_poll_at=timezone.now() + timedelta(days=1), next_sweep_at=None)
    return world.instance


def page_of(instance: Instance) -> str:
    return reverse("copies-page", args=[instance.pk])


def file_of(copy: Copy, ending: str) -> str:
    return f"{reverse('copy-file', args=[copy.instance_id, copy.pk])}?as={ending}"


def downloaded(person: Client, copy: Copy, ending: str) -> bytes:
    answer: Any = person.get(file_of(copy, ending))
    return b"".join(answer.streaming_content)


def test_it_says_what_a_copy_is_for_and_is_reached_from_the_instance(operator: Client, instance: Instance) -> None:
    page = page_of(instance)
    assert f'href="{page}"' in text_of(operator.get(reverse("instance-page", args=[instance.pk])))
    shown = words_of(text_of(operator.get(page)))
    assert "for the first load of a receiver" in shown
    assert "No copy yet." in shown


def test_a_copy_is_begun_followed_and_downloaded(operator: Client, instance: Instance) -> None:
    given = {"resource": "contacts", "where": "id > 3 and id <= 5", "fields_wanted": "firstName"}
    page = page_of(instance)
    assert operator.post(page, given)["Location"] == page
    copy = Copy.objects.get()
    assert copy.query == "select firstName from contacts where id > 3 and id <= 5"
    htmx = {"HX-Request": "true"}
    waiting = operator.get(page, headers=htmx)
    assert "waiting" in text_of(waiting)
    assert operator.get(page, headers=htmx | {"If-None-Match": waiting["ETag"]}).status_code == 304
    poll_due(deadline=float("inf"))
    shown = text_of(operator.get(page, headers=htmx))
    assert "complete" in shown
    assert "2 records" in words_of(shown)
    assert "Events from" in shown
    assert downloaded(operator, copy, "csv").startswith(b"firstName,id\r\n")
    records = json.loads(downloaded(operator, copy, "json"))
    assert [record["id"] for record in records] == [4, 5]
    assert downloaded(operator, copy, "ndjson").count(b"\n") == 2
    assert operator.get(file_of(copy, "xls")).status_code == 404
    actors = AuditEntry.objects.filter(action="copy downloaded").values_list("actor", flat=True)
    assert list(actors) == ["account olga"] * 3


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"resource": "nonsense"}, "resource", "Select a valid choice"),
        ({"resource": ""}, "resource", "Choose a resource."),
        ({"where": "id >"}, "where", "expected"),
        ({"where": "id > 3 order by id"}, "where", "order by, limit and offset are not taken"),
        ({"fields_wanted": "id firstName"}, "fields_wanted", "names of fields"),
        ({"resource": "people", "where": "lastName = 'x'"}, "where", "has no such field"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    operator: Client, instance: Instance, given: dict[str, Any], field: str, words: str
) -> None:
    mapped = [{"path": "givenName", "vendorPath": "firstName"}]
    Transformation.objects.create(instance=instance, name="people", vendor_name="contacts", fields=mapped)
    answer = operator.post(page_of(instance), {"resource": "contacts"} | given)
    assert answer.status_code == 422
    (said,) = answer.context["form"].errors[field]
    assert words in said
    assert answer.context["form"].errors.keys() == {field}
    assert not Copy.objects.exists()


def test_the_names_of_fields_are_offered_for_the_resource_that_is_chosen(
    operator: Client, instance: Instance, sandbox: SandboxServer
) -> None:
    shown = operator.get(page_of(instance)).content.decode()
    assert "<code>firstName</code>" in shown, "of the first resource, without a script"
    (url,) = re.findall(r'hx-get="([^"]*/fields[^"]*)"', shown)
    Instance.objects.update(base_url=sandbox.url)
    named = operator.get(url, {"resource": "incidents"}).content.decode()
    assert "<code>summary</code>" in named
    assert "<code>firstName</code>" not in named
    again = operator.post(page_of(instance), {"resource": "incidents", "where": "nonsense"}).content.decode()
    assert "<code>summary</code>" in again


def test_too_many_are_refused_above_the_form(operator: Client, instance: Instance) -> None:
    for _ in range(MOST_OPEN):
        operator.post(page_of(instance), {"resource": "contacts"})
    answer = operator.post(page_of(instance), {"resource": "contacts"})
    assert answer.status_code == 422
    assert "3 copies of this instance are under way already" in text_of(answer)
    assert Copy.objects.count() == MOST_OPEN


def test_one_is_cancelled_and_one_deleted(operator: Client, instance: Instance) -> None:
    open_one = Copy.objects.create(instance=instance, asked_at=timezone.now(), query="q", resource="contacts")
    done = complete_copy(instance)
    shown = text_of(operator.get(page_of(instance)))
    assert f"Cancel copy {open_one.pk} of contacts" in shown
    assert f"Delete copy {done.pk} of contacts" in shown
    for copy in (open_one, done):
        operator.post(reverse("cancel-copy", args=[instance.pk, copy.pk]))
    assert set(Copy.objects.values_list("status", flat=True)) == {"CANCELLED"}
    answer = operator.get(file_of(done, "csv"), follow=True)
    assert "The copy was cancelled; its records are gone." in text_of(answer)


def test_why_one_failed_what_was_left_out_and_what_is_no_event_are_said(operator: Client, instance: Instance) -> None:
    complete_copy(instance, status="FAILED", error="ConnectWise said no.")
    complete_copy(instance, failed=1, notes="Record 7 <can't> be read.")
    shown = text_of(operator.get(page_of(instance)))
    assert "ConnectWise said no." in shown
    assert "Record 7 &lt;can" in operator.get(page_of(instance)).content.decode()
    assert "No poll of contacts was on when this copy began" in shown


def test_a_viewer_sees_them_and_neither_starts_nor_downloads(viewer: Client, instance: Instance) -> None:
    copy = complete_copy(instance)
    shown = text_of(viewer.get(page_of(instance)))
    assert "An operator of Alpha can start and download one." in shown
    assert "Download copy" not in shown
    assert viewer.post(page_of(instance), {"resource": "contacts"}).status_code == 403
    assert viewer.get(file_of(copy, "csv")).status_code == 403
    assert viewer.post(reverse("cancel-copy", args=[instance.pk, copy.pk])).status_code == 403


def test_strangers_find_nothing(instance: Instance, db: None) -> None:
    stranger = sign_in("sam", Organization.objects.create(name="Beta"))
    copy = complete_copy(instance)
    assert stranger.get(page_of(instance)).status_code == 404
    assert stranger.get(file_of(copy, "csv")).status_code == 404
    assert stranger.post(reverse("cancel-copy", args=[instance.pk, copy.pk])).status_code == 404


def test_a_disabled_instance_begins_none(operator: Client, instance: Instance, sandbox: SandboxServer) -> None:
    Instance.objects.update(disabled=True)
    assert "enable it in its settings first" in text_of(operator.get(page_of(instance)))
    answer = operator.post(page_of(instance), {"resource": "contacts"})
    assert answer.status_code == 422
    assert not Copy.objects.exists()
