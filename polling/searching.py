"""The search of events on the pages: newest first, in slices of ids, so that no search reads the whole log at once.

A search that finds too little in its slice says how far it looked, and the next goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, QuerySet

from instances.models import Organization
from polling.models import Event, Notification

SLICE = 100_000
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
    events = _matching(organization, search)
    top = search.before if search.before is not None else _upper(search.until)
    if top is None:
        return Found([], None, None)
    # An object id, or one instance, leads to an index of its own: nothing has to be cut into slices.
    bottom = 0 if search.object_id or (search.instance_id and not _is_sparse(search)) else max(0, top - SLICE)
    rows = list(events.filter(pk__lt=top, pk__gte=bottom).order_by("-pk")[: PER_PAGE + 1])
    if len(rows) > PER_PAGE:
        return Found(rows[:PER_PAGE], rows[PER_PAGE - 1].pk, None)
    ended = bottom == 0 or (search.since is not None and _is_past(search.since, bottom))
    return Found(rows, None if ended else bottom, None if ended else bottom)


def _is_sparse(search: Search) -> bool:
    return bool(search.kind or search.resource or search.standing)


def _matching(organization: Organization, search: Search) -> QuerySet[Event]:
    given: dict[str, Any] = {
        "instance": search.instance_id,
        "object_id": search.object_id,
        "kind": search.kind,
        "object_type": search.resource,
        "notification__state__in": STANDINGS.get(search.standing),
        "polled_at__gte": search.since,
        "polled_at__lt": search.until,
    }
    wanted = {name: value for name, value in given.items() if value}
    events = Event.objects.filter(instance__organization=organization, **wanted)
    return events.select_related("instance", "notification").defer("record", "changes", "notification__body")


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
