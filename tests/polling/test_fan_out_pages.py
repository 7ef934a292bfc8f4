"""What of the log is held in memory: bounded by what records hold, not only by how many there are."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from instances.models import Organization
from polling.delivery.fan_out import pages, plans, step
from polling.delivery.fan_out.pages import Page, Place, read_pages
from polling.delivery.fan_out.plans import Planner
from polling.delivery.fan_out.step import FanOut
from polling.log.event_ids import complete_id
from polling.models import Subscription
from tests.support.read_log import Log, carried_by_all, read_log, subscribe

KB = 1000
LONG = {"notes": "é" * (10 * KB // 2)}


@pytest.fixture
def log(organization: Organization) -> Log:
    return Log(organization)


def record_long(log: Log, *records: int) -> list[int]:
    """Record events of records of 10 kB."""
    return log.record(*((record, LONG) for record in records))


def bound(monkeypatch: pytest.MonkeyPatch, size: int, *, at_once: int) -> None:
    """Have a page hold so many bytes at most, and all that are read or written at a time."""
    monkeypatch.setattr(pages, "MOST_BYTES", size)
    for module, name in ((pages, "MOST_BYTES_AT_ONCE"), (plans, "MOST_BYTES_AT_ONCE"), (step, "MOST_BYTES")):
        monkeypatch.setattr(module, name, at_once)


def ids_of(page: Page) -> list[int]:
    return [read.event.id for read in page.events]


def test_a_page_ends_with_the_event_that_goes_beyond_what_it_may_hold(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = record_long(log, *range(1, 9))
    place, upto = (log.instance.pk, 0), complete_id()
    whole = read_pages([place], upto)[place]
    assert (ids_of(whole), whole.upto) == (ids, upto)
    assert 80 * KB < whole.size < 81 * KB

    bound(monkeypatch, 25 * KB, at_once=1000 * KB)
    page = read_pages([place], upto)[place]
    assert (ids_of(page), page.upto) == (ids[:3], ids[2])
    assert 30 * KB < page.size < 31 * KB
    rest = read_pages([(log.instance.pk, ids[5])], upto)[log.instance.pk, ids[5]]
    assert (ids_of(rest), rest.upto) == (ids[6:], upto)

    bound(monkeypatch, page.size, at_once=1000 * KB)  # to the byte
    exact = read_pages([place], upto)[place]
    assert (ids_of(exact), exact.upto) == (ids[:3], ids[2])


def test_many_pages_share_what_may_be_held(
    log: Log, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Log(organization)
    ids = record_long(log, *range(1, 9))
    record_long(other, *range(1, 9))
    bound(monkeypatch, 60 * KB, at_once=50 * KB)
    found = read_pages([(log.instance.pk, 0), (other.instance.pk, 0), (log.instance.pk, ids[6])], complete_id())
    assert [len(page.events) for page in found.values()] == [2, 1, 2]
    assert sum(page.size for page in found.values()) < 51 * KB


def test_changes_count_too(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.record(1, 2, changes='[{"field":"notes"}]' + " " * 10 * KB)
    bound(monkeypatch, 5 * KB, at_once=1000 * KB)
    [page] = read_pages([(log.instance.pk, 0)], complete_id()).values()
    assert len(page.events) == 1


def test_all_are_served_whatever_may_be_held(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asks otherwise and is at a place of its own, and not even one page is within the bound."""
    subscriptions = [subscribe(log.instance, fields=["id", "notes", f"n{number}"]) for number in range(5)]
    ids = record_long(log, 1, 2, 3)
    for number, each in enumerate(subscriptions[1:3]):
        Subscription.objects.filter(pk=each.pk).update(reached_id=ids[number])
    bound(monkeypatch, 15 * KB, at_once=10 * KB)
    read_log()
    wanted = [ids, ids[1:], ids[2:], ids, ids]
    assert [carried_by_all(each) for each in subscriptions] == wanted


def test_a_step_writes_no_more_than_may_be_held(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    subscriptions = [subscribe(log.instance, fields=["notes", f"n{number}"]) for number in range(5)]
    record_long(log, 1, 2, 3)
    bound(monkeypatch, 1000 * KB, at_once=70 * KB)
    fan = FanOut()
    served = []
    for _ in range(3):
        fan.step(timezone.now())
        served.append([bool(carried_by_all(each)) for each in subscriptions].count(True))
    assert served == [2, 4, 5]
    bodies = [body for of_place in fan._planner._bodies.values() for body in of_place.values()]
    assert sum(len(each.body) for each in bodies) < 70 * KB  # those of earlier steps are forgotten


def test_pages_of_earlier_steps_are_forgotten_beyond_that(
    log: Log, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [Log(organization) for _ in range(4)]
    for each in others:
        subscribe(each.instance)
        record_long(each, 1, 2)
    bound(monkeypatch, 1000 * KB, at_once=45 * KB)
    planner, upto = Planner(), complete_id()
    places: list[Place] = [(each.instance.pk, 0) for each in others]
    for number in range(1, 5):  # one after the other they come to be read
        planner.read(places[:number], upto)
    held: dict[Place, Any] = dict(planner._pages)
    assert list(held) == [*places[:2], places[3]]
    assert sum(page.size for page in held.values()) <= 2 * 45 * KB
    assert list(planner.read(places, upto)) == [*places[:2], places[2]]
