"""One step after the other through what lags: who lags, whose turn it is, their pages, one transaction.

A step is bounded by the events that it judges, and a subscription has a page of a step at most, so that one with a
long way to go holds up neither the others nor deliveries. What a step writes is fenced: one that fails is made again.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from django.db import DatabaseError, transaction

from polling.delivery.fan_out.bodies import StoredBodies
from polling.delivery.fan_out.claims import Claimed, claim_readers
from polling.delivery.fan_out.judged import UnreadableError
from polling.delivery.fan_out.looks import Looks
from polling.delivery.fan_out.pages import Page, Place
from polling.delivery.fan_out.plans import Planner
from polling.delivery.fan_out.waits import read_delivery_facts, read_waits
from polling.delivery.fan_out.writing import Ready, write
from polling.delivery.pausing import pause_delivery
from polling.log.readers import Reader, readers_behind
from polling.models import Subscription
from polling.workers.leases import DATABASE_DOWN, release_or_owe

log = logging.getLogger(__name__)

Result = TypeVar("Result")

MOST_EVENTS = 1000  # judged by a step, of all its subscriptions together: some 40 ms
MOST_BYTES = 32 * 2**20  # of what it judges, as of events: large ones are written out for each way of asking
MOST_PLACES = 100  # pages read at a time


class FanOut:
    """The fan-out of one loop, to these instances' subscriptions alone where `instances` is given."""

    def __init__(self, instances: Collection[int] | None = None) -> None:
        self.more = False
        self._looks = Looks(instances)
        self._planner = Planner()
        self._bodies = StoredBodies()
        self._served_at: dict[int, int] = {}  # the step by which a subscription was served last
        self._steps = 0

    def step(self, now: datetime) -> int:
        """Write a page for each of some who lag; return how many events were judged. `more`: whether others may lag."""
        readers = self._readers(now)
        self.more = bool(readers)
        if not readers:
            return 0
        self._steps += 1
        claimed = self._claim(readers, now)
        try:
            ready = self._ready(claimed, {reader.id: reader.watching for reader in readers}, now)
            self._write(ready, now)
        except DATABASE_DOWN:
            _give_back(claimed)
            raise
        return sum(one.plan.passed + len(one.plan.held) for one in ready)

    def _readers(self, now: datetime) -> list[Reader]:
        """Return the subscriptions that lag and that nobody works on; those that were served longest ago first."""
        instances = self._looks.instances()
        if not instances:
            return []
        behind: dict[int, list[Reader]] = {instance: [] for instance in instances}
        for reader in readers_behind(instances, self._looks.upto, now):
            behind[reader.instance_id].append(reader)
        free = [reader for readers in behind.values() for reader in readers if reader.free]
        free.sort(key=lambda reader: (self._served_at.get(reader.id, 0), reader.id))
        places = list(dict.fromkeys(reader.place for reader in free))[:MOST_PLACES]
        pages = self._planner.read(places, self._looks.upto)
        for instance, readers in behind.items():
            if any(_may_have_events(pages.get(reader.place)) for reader in readers if reader.free):
                continue
            if all(reader.free for reader in readers):
                self._looks.is_done(instance)
            else:
                self._looks.put_off(instance)
        return list(_within(free, pages))

    def _claim(self, readers: Collection[Reader], now: datetime) -> list[Claimed]:
        """Claim these; those that another worker has moved on since the look are given back."""
        places = {reader.id: reader.place for reader in readers}
        claimed = claim_readers(places, now)
        self._served_at.update(dict.fromkeys(places, self._steps))
        ours = [one for one in claimed if one.place == places[one.id]]
        _give_back([one for one in claimed if one.place != places[one.id]])
        return ours

    def _ready(self, claimed: Iterable[Claimed], watching: Mapping[int, bool], now: datetime) -> list[Ready]:
        """Judge and plan what there is for these; those are left out for which that fails."""
        judged = [one for one in claimed if _try(one, partial(self._planner.judged, one), now) is not None]
        facts = read_delivery_facts([one.id for one in judged])
        asked = [
            (one.id, bound, event_id)
            for one in judged
            if (bound := facts[one.id].bound) is not None
            for event_id in self._planner.first_of_records(one)
        ]
        waits: dict[int, dict[int, int]] = defaultdict(dict)
        for (subscription, event_id), notification in read_waits(asked).items():
            waits[subscription][event_id] = notification
        plans = [(one, _try(one, partial(self._planner.plan, one, waits[one.id]), now)) for one in judged]
        return [
            Ready(one, plan, rests=facts[one.id].paused or not watching[one.id])
            for one, plan in plans
            if plan is not None
        ]

    def _write(self, ready: Sequence[Ready], now: datetime) -> None:
        """Write all at once, or after a fault one by one: what fails alone is left under its lease, and tried later."""
        if not ready:
            return
        try:
            written = write(ready, self._bodies, now)
        except DatabaseError as error:
            log.warning("What the log has for %s subscriptions is written one by one: %s", len(ready), error)
            for one in ready:
                self._write_alone(one, now)
        else:
            # Somebody changed what they ask for: who reads for them next asks anew, and need not wait.
            _give_back([one.claimed for one in ready if one.claimed.id not in written])

    def _write_alone(self, one: Ready, now: datetime) -> None:
        try:
            write([one], self._bodies, now)
        except DATABASE_DOWN:
            raise
        except DatabaseError:
            log.exception("What the log has for subscription %s could not be written", one.claimed.id)


def _give_back(claimed: Sequence[Claimed]) -> None:
    """End the leases of these, which were claimed at once, as far as they are ours."""
    if claimed:
        release_or_owe(Subscription, [one.id for one in claimed], claimed[0].token)


def _may_have_events(page: Page | None) -> bool:
    """Whether there may be events at a place: also where its page was not read."""
    return page is None or bool(page.events)


def _within(readers: Iterable[Reader], pages: Mapping[Place, Page]) -> Iterator[Reader]:
    """Return those whose pages have events, as many as a step may judge."""
    events = size = 0
    for reader in readers:
        page = pages.get(reader.place)
        if page is None or not page.events:
            continue
        if events and (events + len(page.events) > MOST_EVENTS or size + page.size > MOST_BYTES):
            return
        events, size = events + len(page.events), size + page.size
        yield reader


def _try(claimed: Claimed, work: Callable[[], Result], now: datetime) -> Result | None:
    """Do what one subscription needs; after a fault it is left under its lease, and tried when that ends.

    One that asks for what can't be read any more is paused, so that people hear of it.
    """
    try:
        return work()
    except UnreadableError as error:
        with transaction.atomic():
            mine = Subscription.objects.select_related("instance").get(pk=claimed.id)
            pause_delivery(mine, str(error), now)
    except Exception:  # a fault of ours with one subscription must not stop the others, nor deliveries
        log.exception("The log could not be read for subscription %s", claimed.id)
    return None
