"""Clocks that are wrong, theirs or ours, and a ConnectWise that does not say what time it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from instances.models import ResourcePoll
from tests.polling.conftest import World

HOUR = 3600


def since(world: World) -> datetime:
    found = ResourcePoll.objects.get(instance=world.instance).since
    assert found is not None
    return found


@pytest.mark.parametrize("our_offset", [-HOUR, HOUR])
def test_without_a_date_watching_begins_with_the_newest_stamp_whatever_our_clock_says(
    world: World, our_offset: int
) -> None:
    newest = world.store.change("contacts", 7, {"title": "Newest"})["_info"]["lastUpdated"]
    world.store.send_date_header = False
    world.store.clock_offset = -our_offset
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=our_offset)):
        world.watch()
        assert since(world) == datetime.fromisoformat(newest)
        world.store.clock_offset += 2
        world.change(3, "Chief")
        world.poll()
        # What has the newest stamp may have been changed again within its second, and is told.
        assert world.told() == [("UPDATED", "3"), ("UPDATED", "7")]
        world.poll()
        assert world.told() == []


def test_without_a_date_an_empty_list_is_watched_from_ever(world: World) -> None:
    for record_id in range(1, 31):
        world.store.delete("contacts", record_id)
    world.store.send_date_header = False
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        world.store.clock_offset = -HOUR
        world.watch()
        made = world.store.create("contacts")["id"]
        world.poll()
    assert world.told() == [("CREATED", str(made))]


@pytest.mark.parametrize(("back", "passed"), [(3, 1), (299, 60), (301, 60), (3000, 600)])
def test_what_was_written_while_their_clock_was_set_back_is_told(watched: World, back: int, passed: int) -> None:
    """Written behind the window, it is read by the poll after the one that learns of the clock."""
    watched.store.clock_offset = -back
    watched.change(3, "Chief")
    made = watched.store.create("contacts")["id"]
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=passed)):
        watched.poll()
        watched.poll()
    assert watched.told() == [("UPDATED", "3"), ("CREATED", str(made))]


def test_a_site_whose_servers_disagree_by_a_second_tells_nothing_from_before(world: World) -> None:
    """Their clocks differ: the first poll is answered by one that is behind that which told when watching began."""
    world.change(3, "Chief", stamp=world.store.now() - 5)
    world.store.date_offset = 2
    world.watch()
    world.store.date_offset = 0
    world.poll()
    world.poll()
    assert world.told() == []


def test_a_clock_set_back_by_less_than_the_look_back_loses_nothing_at_once(watched: World) -> None:
    watched.change(3, "Chief")
    watched.poll()
    watched.told()
    watched.store.clock_offset = -200
    watched.change(3, "Clerk")
    watched.poll()
    assert watched.told() == [("UPDATED", "3")]


def test_a_date_that_was_wrong_once_hides_nothing(watched: World) -> None:
    """A server with a clock a year ahead answers one poll."""
    watched.store.date_offset = 86_400 * 365
    watched.poll()
    watched.store.date_offset = 0
    made = watched.store.create("contacts")["id"]
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=10)):
        watched.poll()
        watched.poll()
    assert watched.told() == [("CREATED", str(made))]
