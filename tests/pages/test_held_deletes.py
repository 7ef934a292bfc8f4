"""Held deletes and what a verification found: by name, in words that say what goes, green only where all is known."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import Instance
from polling.models import PollState, RecordSnapshot, SnapshotBody
from polling.pages.verify import Row
from polling.verification.report import Finding
from tests.pages.conftest import text_of, words_of
from tests.pages.test_deliveries import compare
from tests.support.polled_instance import PolledInstance
from tests.support.sweeps import delete, sweep, watch_deletes


@pytest.fixture
def held(world: PolledInstance) -> PolledInstance:
    """A world with 24 of its 30 contacts gone, held back; one of them has changed before, and was read."""
    watch_deletes(world)
    world.store.change("contacts", 5, {"firstName": "Ruth", "lastName": "Lindqvist"})
    world.poll()
    delete(world, *range(1, 25))
    sweep(world)
    return world


def held_page(world: PolledInstance) -> str:
    return f"/app/instances/{world.instance.pk}/polls/{world.state.pk}/held"


def test_held_deletes_stand_there_by_name(held: PolledInstance, operator: Client) -> None:
    words = words_of(text_of(operator.get(held_page(held))))
    assert "Ruth Lindqvist · contacts/5" in words
    assert "contacts/24" in words
    assert "in ConnectWise any more" in words
    assert "openrecord" not in text_of(operator.get(held_page(held)))  # a site of our own has no page that is known
    Instance.objects.update(base_url="https://api-na.myconnectwise.net/v4_6_release/apis/3.0")
    assert "https://na.myconnectwise.net/v4_6_release/" in text_of(operator.get(held_page(held)))


def test_a_name_is_known_from_an_event_where_the_text_was_not_kept(held: PolledInstance, operator: Client) -> None:
    SnapshotBody.objects.all().delete()
    assert "Ruth Lindqvist · contacts/5" in words_of(text_of(operator.get(held_page(held))))


def test_no_button_that_sends_deletes_is_the_primary_one(held: PolledInstance, operator: Client) -> None:
    html = text_of(operator.get(held_page(held)))
    (form,) = re.findall(r"<form method=\"post\" class=\"row\">.*?</form>", html, re.DOTALL)
    buttons = dict(re.findall(r"<button ([^>]*)>(.*?)</button>", form, re.DOTALL))
    assert {words.strip() for words in buttons.values()} == {
        "They are gone: send 24 deletes to the receiver",
        "They are not gone: send nothing",
    }
    assert not any("primary" in attributes for attributes in buttons)
    assert [attributes for attributes in buttons if "danger" in attributes and 'value="release"' in attributes]


def test_a_verification_names_what_is_missing(watched: PolledInstance, operator: Client) -> None:
    watched.store.change("contacts", 5, {"firstName": "Ruth", "lastName": "Lindqvist"})
    watched.poll()
    RecordSnapshot.objects.filter(record_id=5).delete()
    PollState.objects.update(cursor=timezone.now() + timedelta(minutes=1))  # as if polls had gone on since
    words = compared(watched, operator)
    assert "Something is missing. 1 record: Ruth Lindqvist · contacts/5" in words


def test_a_verification_that_does_not_know_all_says_what_it_does_not(watched: PolledInstance, operator: Client) -> None:
    words = compared(watched, operator)
    assert "▲ complete as far as known" in words
    assert "Not known: what 30 of 30 records held before." in words


def compared(world: PolledInstance, operator: Client) -> str:
    """Return what the page *Verify* says once all was compared."""
    page = f"/app/instances/{world.instance.pk}/verify"
    operator.post(page)
    compare(world)
    return words_of(text_of(operator.get(page)))


@pytest.mark.parametrize(
    ("known", "held", "verdict"),
    [
        (1028, 0, "complete"),
        (229, 0, "complete as far as known"),
        (1028, 802, "complete as far as known"),
        (1830, 802, "complete as far as known"),  # all that is there is known, and 802 wait for a decision
    ],
)
def test_only_a_comparison_to_the_last_record_is_complete(
    watched: PolledInstance, known: int, held: int, verdict: str
) -> None:
    poll = watched.state.resource_poll
    finding = Finding(
        poll, source=1028, known=known, missed=(), stale=(), deleted=(), coming=0, undelivered=0, repeated=0, held=held
    )
    assert Row(poll, None, None, finding, 0).verdict == verdict
