"""The search of events on the pages: newest first, read as all long tables are (keyset_walk.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nlargest
from typing import Any

from django.db.models import F, Q, QuerySet

from instances.models import Instance, Organization
from polling.delivery.replay.selection import STORED_STATES
from polling.models import Event
from polling.reports.event_states import HELD_BACK, in_state, with_states
from polling.reports.keyset_walk import SLICE, KeysetWalk, Stretch, walk, walk_all
from polling.reports.name_index import Records, events_of, find_records, indexed_upto, words_in
from polling.reports.names import title_has

PER_PAGE = 50
TEXTS = 1000  # records whose whole text one page looks through

DELIVERY_STATES = (*STORED_STATES, HELD_BACK)


@dataclass(frozen=True)
class Search:
    """What is looked for; what is empty does not narrow it."""

    instance_id: int | None = None
    called: str = ""  # a part of the names of its instances
    object_id: str = ""
    kind: str = ""
    resource: str = ""
    delivery_state: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    text: str = ""  # words of the record's name
    in_fields: bool = False  # or of anything that the record holds, as one text

    @property
    def narrows(self) -> bool:
        """Whether anything is looked for in particular."""
        return self != Search(before=self.before)


def search_events(organization: Organization, search: Search) -> Stretch[Event]:
    """Return the newest events of an organization that match: seven queries at most.

    By a name that is in the index all events of the records found are looked through, else the newest.
    """
    if search.object_id:
        return _search_by_object(organization, search)
    if records := _records(organization, search):
        return _search_by_name(organization, search, records)
    return walk(*_by_keyset(organization, search), before=search.before, size=PER_PAGE)


def all_events(organization: Organization, search: Search) -> Iterator[Event]:
    """Return all events of an organization that match, newest first, holding a thousand at a time."""
    if not search.object_id and not _records(organization, search):
        yield from walk_all(*_by_keyset(organization, search))
        return
    before = search.before
    while True:
        stretch = search_events(organization, replace(search, before=before))
        yield from stretch.rows
        before = stretch.next_before
        if before is None:
            return


def _by_keyset(organization: Organization, search: Search) -> tuple[QuerySet[Event], KeysetWalk]:
    """Return the events that match, and how they are read by their keys."""
    ours = Instance.objects.filter(_called(search, "name"), organization=organization).values("pk")
    # To be walked by id: the sum keeps the planner off other indexes.
    events = (
        Event.objects.annotate(owner=F("instance_id") + 0)
        .filter(owner__in=ours)
        .filter(_text_has(search), in_state(search.delivery_state), **_conditions(search))
    )
    # One instance's own events are found by an index: they need no slices, unless few of them match.
    sparse = bool(search.kind or search.resource or search.delivery_state or search.called or search.text)
    sliced = sparse or not search.instance_id
    most = TEXTS if search.text and search.in_fields else SLICE
    how = KeysetWalk("polled_at", since=search.since, until=search.until, sliced=sliced, slice=most)
    return _shown(events), how


def keys_of_object(events: QuerySet[Event], object_id: str, most: int) -> list[int]:
    """Return the newest ids of an object's events, by the index of instance and object id.

    Sorted here, or the planner would walk the whole log instead.
    """
    found = events.filter(instance__in=Instance.objects.values("pk"), object_id=object_id).order_by()
    return nlargest(most, found.values_list("pk", flat=True).iterator())


def _search_by_object(organization: Organization, search: Search) -> Stretch[Event]:
    ours = Event.objects.filter(_called(search, "instance__name"), instance__organization=organization)
    events = ours.filter(_text_has(search), in_state(search.delivery_state), **_conditions(search))
    if search.before is not None:
        events = events.filter(pk__lt=search.before)
    keys = keys_of_object(events, search.object_id, PER_PAGE + 1)
    rows = list(_shown(Event.objects.filter(pk__in=keys[:PER_PAGE])).order_by("-pk"))
    return Stretch(rows, keys[PER_PAGE - 1] if len(keys) > PER_PAGE else None)


def _records(organization: Organization, search: Search) -> Records:
    """Return the records that a search by name finds by the index, if it is one."""
    words = [] if search.in_fields else words_in(search.text)
    return find_records(organization, words) if words and indexed_upto() is not None else {}


def _search_by_name(organization: Organization, search: Search, records: Records) -> Stretch[Event]:
    """Return the newest events of these records, and those with such a name that are not in the index yet."""
    matching = Q(_called(search, "instance__name"), instance__organization=organization, **_conditions(search))
    matching &= in_state(search.delivery_state)
    below = Q() if search.before is None else Q(pk__lt=search.before)
    # Sorted by a sum, or the planner would walk the whole log by its ids instead.
    indexed = events_of(records).filter(matching, below).annotate(place=F("pk") + 0).order_by("-place")
    new = Event.objects.filter(matching, title_has(search.text), pk__gt=indexed_upto() or 0)
    latest = walk(new.defer("record", "changes"), KeysetWalk("polled_at"), before=search.before, size=PER_PAGE)
    keys = {*indexed.values_list("pk", flat=True)[: PER_PAGE + 1], *(event.pk for event in latest.rows)}
    shown = sorted(keys, reverse=True)
    rows = list(_shown(Event.objects.filter(pk__in=shown[:PER_PAGE])).order_by("-pk"))
    return Stretch(rows, shown[PER_PAGE - 1] if len(shown) > PER_PAGE else None)


def _text_has(search: Search) -> Q:
    if search.in_fields and search.text:
        return Q(record__icontains=search.text)
    return title_has(search.text)


def _called(search: Search, name: str) -> Q:
    return Q(**{f"{name}__icontains": search.called}) if search.called else Q()


def _shown(events: QuerySet[Event]) -> QuerySet[Event]:
    found = with_states(events).select_related("instance", "notification")
    return found.defer("record", "changes", "notification__body")


def _conditions(search: Search) -> dict[str, Any]:
    given: dict[str, Any] = {
        "instance": search.instance_id,
        "object_id": search.object_id,
        "kind": search.kind,
        "object_type": search.resource,
        "polled_at__gte": search.since,
        "polled_at__lt": search.until,
    }
    return {name: value for name, value in given.items() if value}
