"""Pages of the log into plans of what to write: judged, ordered, cut and written out, once for all that ask alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from instances.models import Instance
from polling.delivery.fan_out.bodies import Body, body_for
from polling.delivery.fan_out.claims import Asks, Claimed
from polling.delivery.fan_out.judged import Judged, filter_of, judge_page
from polling.delivery.fan_out.order import Draft, drafts_of
from polling.delivery.fan_out.pages import MOST_BYTES_AT_ONCE, LogEvent, Page, Place, Record, read_pages
from polling.delivery.fan_out.senders import Senders
from polling.delivery.fan_out.writing import Plan

OF_BODIES = ("organization_id", "created_by_id", "name", "tags")
"""What bodies say of an instance."""


class Planner:
    """The pages that subscriptions of one loop are at, and what they come to for each way of asking.

    They are kept as long as a subscription is at their place: with many, not all of them are served by one step.
    """

    def __init__(self) -> None:
        self._pages: dict[Place, Page] = {}
        self._instances: Mapping[int, Instance] = {}
        self._senders = Senders(())
        self._judged: dict[Place, dict[tuple[str, bool], Judged]] = {}
        self._plans: dict[Place, dict[tuple[Asks, bool], Plan]] = {}
        self._bodies: dict[Place, dict[tuple[Asks, tuple[int, ...]], Body]] = {}

    def read(self, places: Sequence[Place], upto: int) -> Mapping[Place, Page]:
        """Read the pages at these places, in the order of whose turn it is, and return them.

        What is known is not read again, unless there was nothing. What is known of other places is forgotten; so are
        the last of these, which are then left out, and bodies, where all of it would be too much to hold.
        """
        known = {place: page for place in places if (page := self._pages.get(place)) is not None and page.events}
        self._pages = {**_within_bounds(known), **read_pages(set(places) - known.keys(), upto)}
        instances = {instance for instance, _ in places}
        if instances - self._instances.keys() or not known:
            self._instances = _instances_of(instances)
        self._senders = Senders(self._instances.values())
        self._judged = {place: self._judged.get(place, {}) for place in self._pages}
        if sum(len(body.body) for bodies in self._bodies.values() for body in bodies.values()) > MOST_BYTES_AT_ONCE:
            self._plans, self._bodies = {}, {}
        self._plans = {place: self._plans.get(place, {}) for place in self._pages}
        self._bodies = {place: self._bodies.get(place, {}) for place in self._pages}
        return self._pages

    def take(self, place: Place, events: Sequence[LogEvent]) -> None:
        """Have the page at a place hold these events, which are before it."""
        self._pages = {place: Page(events, place[1])}
        self._instances = _instances_of({place[0]})
        self._senders = Senders(self._instances.values())
        self._judged, self._plans, self._bodies = {place: {}}, {place: {}}, {place: {}}

    def judged(self, claimed: Claimed) -> Judged:
        """Return what the filter of a subscription makes of its page; UnreadableError."""
        key, known = (claimed.asks.filter, claimed.is_first), self._judged[claimed.place]
        if key not in known:
            events = self._pages[claimed.place].events
            if claimed.is_first:  # who has a notification that was made with it is not notified again
                events = [read for read in events if read.notification_id is None]
            known[key] = judge_page(events, filter_of(claimed.asks.filter))
        return known[key]

    def first_of_records(self, claimed: Claimed) -> Iterable[int]:
        """Return the first event of each record that passes: those whose order the page itself does not say."""
        firsts: dict[Record, int] = {}
        for read in self.judged(claimed).passed:
            firsts.setdefault(read.record, read.event.id)
        return firsts.values()

    def plan(self, claimed: Claimed, waits: Mapping[int, int]) -> Plan:
        """Return what is to be written for a subscription; `waits` has by event what it has to wait for."""
        if waits:
            return self._plan(claimed, waits)
        key, known = (claimed.asks, claimed.is_first), self._plans[claimed.place]
        if key not in known:
            known[key] = self._plan(claimed, waits)
        return known[key]

    def _plan(self, claimed: Claimed, waits: Mapping[int, int]) -> Plan:
        judged, of_records = self.judged(claimed), dict[Record, int]()
        for read in judged.passed:
            if read.event.id in waits:
                of_records.setdefault(read.record, waits[read.event.id])
        drafts = drafts_of(judged.passed, of_records, self._senders.sender(claimed.instance_id, claimed.asks))
        upto = self._pages[claimed.place].upto
        made = [(draft, self._body(claimed, draft)) for draft in drafts]
        return Plan(upto, made, judged.held, judged.unjudged)

    def _body(self, claimed: Claimed, draft: Draft) -> Body:
        key = (claimed.asks._replace(filter=""), tuple(event.id for event in draft.events))
        known = self._bodies[claimed.place]
        if key not in known:
            known[key] = body_for(self._instances[claimed.instance_id], draft.events, claimed.asks.form)
        return known[key]


def _instances_of(keys: Collection[int]) -> Mapping[int, Instance]:
    return Instance.objects.only(*OF_BODIES).in_bulk(list(keys))


def _within_bounds(known: Mapping[Place, Page]) -> dict[Place, Page]:
    """Return the first of these, at least one, as far as they may be held."""
    kept: dict[Place, Page] = {}
    size = 0
    for place, page in known.items():
        size += page.size
        if kept and size > MOST_BYTES_AT_ONCE:
            break
        kept[place] = page
    return kept
