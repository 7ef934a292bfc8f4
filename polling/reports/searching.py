"""The search of events on the pages: newest first, in slices of ids, so that no search reads the whole log at once.

A search that finds too little in its slice says how far it looked, and the next goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import nlargest
from typing import Any

from django.db.models import F, Max, QuerySet

from instances.models import Instance, Organization
from polling.models import Event, Notification

SLICE = 50_000
PER_PAGE = 50
_DISORDER = timedelta(minutes=5)  # ids and times of events grow together, but for runs side by side

UNDELIVERED, DELIVERED, GIVEN_UP = "undelivered", "delivered", "given up"
STANDINGS = {
    UNDELIVERED: Notification.UNDELIVERED,
    DELIVERED: (Notification.State.DELIVERED,),
    GIVEN_UP: (Notification.State.FAILED, Notification.State.DISCARDED),
}


@dataclass(frozen=True)
class Search:
    """What is looked for; what is empty does not narrow it."""

    instance_id: int | None = None
    object_id: str = ""
    kind: str = ""
    resource: str = ""
    standing: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything is looked for in particular."""
        return self != Search(before=self.before)


@dataclass(frozen=True)
class Found:
    """A page of events; `next_before` continues it. `looked_to`: the id down to which all was looked through."""

    events: list[Event]
    next_before: int | None
    looked_to: int | None


def search_events(organization: Organization, search: Search) -> Found:
    """Give the newest events of an organization that match: three queries at most."""
    if search.object_id:
        return _search_by_object(organization, search)
    events = _walked(organization).filter(**_conditions(search))
    top = search.before if search.before is not None else _upper(search.until)
    if top is None:
        return Found([], None, None)
    # One instance's own events are found by an index: they need no slices.
    bottom = 0 if search.instance_id and not _is_sparse(search) else max(0, top - SLICE)
    rows = list(_shown(events.filter(pk__lt=top, pk__gte=bottom)).order_by("-pk")[: PER_PAGE + 1])
    if len(rows) > PER_PAGE:
        return Found(rows[:PER_PAGE], rows[PER_PAGE - 1].pk, None)
    ended = bottom == 0 or (search.since is not None and _is_past(search.since, bottom))
    return Found(rows, None if ended else bottom, None if ended else bottom)


def _is_sparse(search: Search) -> bool:
    return bool(search.kind or search.resource or search.standing)


def _search_by_object(organization: Organization, search: Search) -> Found:
    """Find by the index of instance and object id; sorted here, or the planner would walk the whole log instead."""
    events = Event.objects.filter(instance__organization=organization, **_conditions(search)).order_by()
    if search.before is not None:
        events = events.filter(pk__lt=search.before)
    keys = nlargest(PER_PAGE + 1, events.values_list("pk", flat=True).iterator())
    rows = list(_shown(Event.objects.filter(pk__in=keys[:PER_PAGE])).order_by("-pk"))
    return Found(rows, keys[PER_PAGE - 1] if len(keys) > PER_PAGE else None, None)


def _walked(organization: Organization) -> QuerySet[Event]:
    """Give an organization's events so that they are walked by id: the sum keeps the planner off other indexes."""
    ours = Instance.objects.filter(organization=organization).values("pk")
    return Event.objects.annotate(owner=F("instance_id") + 0).filter(owner__in=ours)


def _shown(events: QuerySet[Event]) -> QuerySet[Event]:
    return events.select_related("instance", "notification").defer("record", "changes", "notification__body")


def _conditions(search: Search) -> dict[str, Any]:
    given: dict[str, Any] = {
        "instance": search.instance_id,
        "object_id": search.object_id,
        "kind": search.kind,
        "object_type": search.resource,
        "notification__state__in": STANDINGS.get(search.standing),
        "polled_at__gte": search.since,
        "polled_at__lt": search.until,
    }
    return {name: value for name, value in given.items() if value}


def _upper(until: datetime | None) -> int | None:
    """Give an id above every event that was seen before `until`, None if there is none."""
    if until is None:
        newest = Event.objects.aggregate(pk=Max("pk"))["pk"]
    else:
        near = Event.objects.filter(polled_at__lt=until + _DISORDER).order_by("-polled_at")
        newest = near.values_list("pk", flat=True).first()
        newest = None if newest is None else newest + PER_PAGE
    return None if newest is None else newest + 1


def _is_past(since: datetime, bottom: int) -> bool:
    """Whether all events below an id were seen before `since`."""
    before = Event.objects.filter(pk__lt=bottom).order_by("-pk").values_list("polled_at", flat=True).first()
    return before is None or before < since - _DISORDER
