"""A record is shown by its name wherever it stands."""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from instances.models import Organization
from polling.models import Event, SnapshotBody
from tests.pages.conftest import words_of
from tests.support.every_page import every_page
from tests.support.filled_service import RESOURCES, fill
from tests.support.page_views import ELSEWHERE, onlooker
from tests.support.polled_instance import PolledInstance
from tests.support.required import lengthy
from tests.support.sweeps import delete, sweep, watch_deletes

pytestmark = pytest.mark.django_db
KEY = re.compile(rf"\b(?:{'|'.join(RESOURCES)})/\d+")
OF_NO_RECORD = re.compile(
    r"<code>.*?</code>|<pre\b.*?</pre>|<title>.*?</title>|“[^”]*”", re.DOTALL
)  # examples, and what was typed
NAMED = re.compile(rf"\w · (?:{KEY.pattern})")


@lengthy
def test_every_page_that_shows_a_record_shows_its_name(organization: Organization) -> None:
    filled = fill(organization, instances=8, events=400, now=timezone.now())
    client, shown = onlooker(organization), set()
    for page in every_page(filled):
        answer = client.get(page.path)
        if answer.status_code != 200 or answer.streaming or page.name in ELSEWHERE or page.name.startswith("admin"):
            continue
        words = words_of(OF_NO_RECORD.sub("", answer.content.decode()))
        assert len(KEY.findall(words)) == len(NAMED.findall(words)), f"{page.path}: {words}"
        shown |= {page.name} if KEY.search(words) else set()
    assert shown >= {"events-page", "event-page", "instance-stream", "instance-delivery", "deliveries-page"}
    cache.clear()


def test_the_admin_lists_events_by_name(organization: Organization) -> None:
    fill(organization, instances=1, events=40, now=timezone.now())
    assert "Ruth Lindqvist" in words_of(onlooker(organization).get("/admin/polling/event/").content.decode())


def test_an_event_from_before_there_were_titles_shows_its_id(watched: PolledInstance, operator: Client) -> None:
    watched.change(3, "Engineer")
    watched.poll()
    event = Event.objects.get()
    assert event.title
    assert f"{event.title} · contacts/3" in words_of(operator.get("/app/events").content.decode())
    Event.objects.update(title="")
    words = words_of(operator.get("/app/events").content.decode())
    assert "UPDATED contacts/3" in words
    assert "·" not in words.partition("UPDATED contacts/3")[0][-40:]


def test_a_title_is_no_markup(watched: PolledInstance, operator: Client) -> None:
    watched.change(3, "Engineer")
    watched.poll()
    Event.objects.update(title="<b>Ruth & Co</b>")
    html = operator.get("/app/events").content.decode()
    assert "&lt;b&gt;Ruth &amp; Co&lt;/b&gt;" in html


def test_a_deleted_record_is_called_as_it_was_last(world: PolledInstance) -> None:
    watch_deletes(world)
    world.change(5, "Chief")
    world.poll()
    (changed,) = Event.objects.all()
    assert changed.title == title_in_sandbox(world, 5)
    delete(world, 5, 7)
    sweep(world)
    kept, never_read = Event.objects.filter(kind="DELETED").order_by("pk")
    assert kept.title == changed.title
    assert never_read.title == ""  # nobody ever read more than its id


def test_a_deleted_record_whose_text_was_not_kept_is_called_as_in_its_newest_event(
    world: PolledInstance,
) -> None:
    watch_deletes(world)
    world.change(5, "Chief")
    world.poll()
    world.store.change("contacts", 5, {"lastName": "Lindqvist"})
    world.poll()
    named = Event.objects.latest("pk").title
    SnapshotBody.objects.all().delete()
    delete(world, 5)
    sweep(world)
    assert Event.objects.get(kind="DELETED").title == named
    assert named.endswith(" Lindqvist")


def title_in_sandbox(world: PolledInstance, record: int) -> str:
    found = world.store.get("contacts", record)
    assert found is not None
    return f"{found['firstName']} {found['lastName']}"
