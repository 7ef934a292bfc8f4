"""From when on a copy says that changes come as events, and in which words that they don't."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from instances.configuration.config_keys import POLLS
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance, ResourcePoll
from instances.provisioning import change_instance, set_enabled
from polling.copies.asking import copies_of, start_copy
from polling.copies.copy_job import claim_copies
from polling.copies.watched import Watched, watched
from polling.detection.poll_loop import poll_due
from polling.models import Copy, PollState, RecordSnapshot
from tests.support.polled_instance import PolledInstance

WINDOW = "/hubs/crm/contacts?where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'"


@pytest.fixture(autouse=True)
def _ten_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cwconnect.connectwise.client.LARGEST_PAGE", 10)


def copied(world: PolledInstance, query: str = "select * from contacts") -> Watched:
    start_copy(Instance.objects.get(pk=world.instance.pk), query)
    PollState.objects.update(next_poll_at=timezone.now() + timedelta(days=1), next_sweep_at=None)
    poll_due(deadline=float("inf"))
    return said(world)


def said(world: PolledInstance) -> Watched:
    return watched(copies_of(world.instance)[0])


def configure(world: PolledInstance, **poll: Any) -> None:
    instance = Instance.objects.get(pk=world.instance.pk)
    stored = config_of(instance)
    polls = {POLLS: {"contacts": {**stored.polls["contacts"], **poll}}}
    change_instance(instance, config=read_configuration(polls, base=stored, stored=stored))


def test_it_is_the_opening_of_the_polls_next_window(world: PolledInstance) -> None:
    world.watch(poll={"detectDeletes": True, "pollDelay": 400})
    world.poll()
    ResourcePoll.objects.update(since=timezone.now() - timedelta(days=1))
    found = copied(world)
    cursor = world.state.cursor
    assert cursor is not None
    assert found == Watched(cursor - timedelta(seconds=401), "")
    ResourcePoll.objects.update(since=found.since)
    assert said(world) == found


def test_it_is_never_before_watching_began(world: PolledInstance) -> None:
    world.watch(poll={"detectDeletes": True})
    assert copied(world) == Watched(ResourcePoll.objects.get().since, "")


def test_before_the_first_page_nothing_is_said(world: PolledInstance) -> None:
    world.watch()
    start_copy(world.instance, "select * from contacts")
    assert said(world) == Watched(None, "")


@pytest.mark.parametrize("query", ["select * from incidents", "select * from service/tickets"])
def test_without_a_poll_it_says_how_to_have_one(world: PolledInstance, query: str) -> None:
    world.watch()
    found = copied(world, query)
    assert found.since is None
    assert found.words.startswith("No poll of incidents was on when this copy began")
    assert "Add incidents to the instance's resources (event.poller.configuration)" in found.words


def test_events_that_are_off_when_it_begins_are_no_poll(world: PolledInstance) -> None:
    world.watch(event__notification__enabled="false")
    assert copied(world).since is None


def test_switched_off_later_it_goes_on_where_it_was(world: PolledInstance) -> None:
    world.watch(poll={"detectDeletes": True})
    before = copied(world)
    set_enabled(world.instance, enabled=False)
    found = said(world)
    assert found.since == before.since
    assert found.words.startswith("No event comes at present: the instance's events are off.")
    set_enabled(Instance.objects.get(), enabled=True)
    ResourcePoll.objects.update(enabled=False)
    assert "the resource contacts is off" in said(world).words
    ResourcePoll.objects.update(enabled=True)
    assert said(world) == before


def test_watching_that_began_anew_leaves_a_gap_and_says_so(world: PolledInstance) -> None:
    world.watch(poll={"detectDeletes": True})
    copied(world)
    ResourcePoll.objects.update(since=timezone.now() + timedelta(seconds=5))
    assert said(world) == Watched(None, "Watching of contacts began anew after this copy was read. Start another one.")
    ResourcePoll.objects.all().delete()
    assert said(world).since is None


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        (WINDOW, True),
        (WINDOW.replace("lastUpdated>", "_info.lastUpdated >= "), True),
        ("/hubs/crm/contacts", True),
        (f"{WINDOW} AND company.id = 250", False),
        (f"{WINDOW}&childConditions=communicationItems/value like 'x'", False),
        ("/hubs/crm/contacts?where=company.id = 250", False),
        ("/hubs/crm/contacts?where=dateEntered > '${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'", False),
        (WINDOW.replace(">", "<"), False),
    ],
)
def test_a_poll_that_leaves_records_out_is_named(world: PolledInstance, url: str, *, whole: bool) -> None:
    world.watch(poll={"detectDeletes": True, "url": url})
    words = copied(world).words
    assert (words == "") == whole
    assert whole or words.startswith("The resource contacts reads only what the where of its url selects")


def test_deletes_come_only_where_each_page_was_met_by_a_poll_that_looks_for_them(world: PolledInstance) -> None:
    world.watch()
    assert copied(world).words == "Records that are deleted are no events: detectDeletes of contacts is off."
    assert not RecordSnapshot.objects.exists()
    configure(world, detectDeletes=True)
    assert said(world).words == "Deletes may be missing: detectDeletes of contacts was off while this copy was read."
    assert copied(world).words == ""
    assert RecordSnapshot.objects.count() == 30


def test_deletes_that_were_not_looked_for_half_way_may_be_missing(world: PolledInstance) -> None:
    world.watch(poll={"detectDeletes": True})
    start_copy(world.instance, "select * from contacts")
    (job,) = claim_copies(16, [])
    job.commit(job.request()())
    configure(world, detectDeletes=False)
    Copy.objects.update(next_try_at=timezone.now())
    (job,) = claim_copies(16, [])
    job.commit(job.request()())
    configure(world, detectDeletes=True)
    PollState.objects.update(next_poll_at=None, next_sweep_at=None)
    Copy.objects.update(next_try_at=timezone.now())
    poll_due(deadline=float("inf"))
    assert not Copy.objects.get().watches_deletes
    assert said(world).words.startswith("Deletes may be missing")
