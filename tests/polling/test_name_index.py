"""The index of names: which records a text finds, however old their events are, and what is forgotten with them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from instances.models import Organization
from polling.log.event_ids import complete_upto
from polling.maintenance.old_events import delete_notifications
from polling.maintenance.purge import purge_deleted
from polling.models import Event, Notification, RecordWord, StoredCounter
from polling.reports import event_search, name_index
from polling.reports.event_search import Search, all_events, search_events
from polling.reports.name_index import words_in
from polling.reports.names import records_named
from tests.support.filled_service import Filled, fill

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(organization: Organization) -> Filled:
    """400 events of 20 records; those of Ruth Lindqvist are one record of one instance."""
    filled = fill(organization, instances=2, events=400, now=timezone.now())
    Event.objects.filter(title="Ruth Lindqvist").update(resource_poll=filled.polls[0], instance=filled.busiest)
    StoredCounter.objects.filter(name="names").delete()
    RecordWord.objects.all().delete()
    return filled


def found(organization: Organization, text: str) -> set[str]:
    return {event.title for event in records_named(organization, text, 20).events}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ruth Lindqvist", ["ruth", "lindqvist"]),
        ("O'Brien & Söhne, O'Brien", ["o", "brien", "söhne"]),
        ("STRASSE straße", ["strasse"]),
        ("%_ \x00", ["_"]),
        ("x" * 99, ["x" * 40]),
        (" ".join(map(str, range(99))), [str(number) for number in range(12)]),
    ],
)
def test_the_words_of_a_title(text: str, words: list[str]) -> None:
    assert words_in(text) == words


def test_the_index_finds_what_the_newest_events_do_not_hold(filled: Filled, organization: Organization) -> None:
    name_index.advance(timezone.now())
    Event.objects.filter(title="Ruth Lindqvist").update(title="")  # so that only the index knows the name
    for text in ("lindqvist", "LIND", "lind ruth", "ruth lindqvist"):
        (event,) = records_named(organization, text, 20).events
        assert (event.object_id, event.pk) == ("7", Event.objects.filter(object_id="7").latest("pk").pk), text
    assert found(organization, "lindqvist nora") == set()
    assert found(organization, "indqvist") == set()


def test_what_is_not_indexed_yet_is_found_too(filled: Filled, organization: Organization) -> None:
    assert found(organization, "lindqvist") == {"Ruth Lindqvist"}  # before the job has run for the first time
    name_index.advance(timezone.now())
    newest = Event.objects.latest("pk")
    StoredCounter.objects.filter(name="names").update(upto=newest.pk - 1)
    Event.objects.filter(pk=newest.pk).update(title="Zoë Quick")
    assert found(organization, "zoë") == {"Zoë Quick"}
    assert found(organization, "qui") == {"Zoë Quick"}
    name_index.advance(timezone.now())
    assert found(organization, "quick zo") == {"Zoë Quick"}


def test_the_index_is_written_once_and_grows_no_more(filled: Filled) -> None:
    name_index.advance(timezone.now())
    rows = RecordWord.objects.count()
    StoredCounter.objects.filter(name="names").update(upto=0)
    name_index.advance(timezone.now())
    assert RecordWord.objects.count() == rows
    # On PostgreSQL up to the last id taken, which a notification may have.
    assert StoredCounter.objects.get(name="names").upto == (complete_upto() or 400)


def test_a_name_of_another_organization_is_not_found(filled: Filled, other_tenant: object) -> None:
    name_index.advance(timezone.now())
    assert found(other_tenant.organization, "lindqvist") == set()  # type: ignore[attr-defined]  # a Tenant


def test_events_by_name_are_paged_to_the_last(
    filled: Filled, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_search, "PER_PAGE", 7)
    name_index.advance(timezone.now())
    everyone = Search(text="a", kind="UPDATED")
    first = search_events(organization, everyone)
    assert first.looked_to is None
    assert len(first.rows) == 7
    listed = [event.pk for event in all_events(organization, everyone)]
    assert listed == sorted(set(listed), reverse=True)
    assert listed[:7] == [event.pk for event in first.rows]
    ada = {event.pk for event in all_events(organization, Search(text="ada"))}
    assert ada == set(Event.objects.filter(title__startswith="Ada").values_list("pk", flat=True))
    since = Search(text="ada", since=timezone.now() + timedelta(days=1))
    assert search_events(organization, since).rows == []


def test_a_name_is_forgotten_with_the_last_event_of_its_record(filled: Filled, organization: Organization) -> None:
    name_index.advance(timezone.now())
    carried = Event.objects.filter(title="Ruth Lindqvist").order_by("pk").values_list("notification_id", flat=True)
    *older, last = list(dict.fromkeys(carried))
    words = RecordWord.objects.filter(resource_poll=filled.polls[0], record_id=7)
    delete_notifications([key for key in older if key], now=timezone.now())
    assert set(words.values_list("word", flat=True)) == {"ruth", "lindqvist"}
    delete_notifications([last] if last else [], now=timezone.now())
    assert not words.exists()
    assert RecordWord.objects.exists()


def test_names_go_with_their_instance(filled: Filled) -> None:
    name_index.advance(timezone.now())
    for instance in filled.instances:
        instance.organization = None
        instance.save()
    purge_deleted(timezone.now())
    assert not RecordWord.objects.exists()
    assert not Notification.objects.exists()
