"""Records found by what people call them: by the index of names, and by the titles that are not in it yet.

What begins no word (`qvist`) is in no index: it is looked for in the newest events alone (keyset_walk.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Q, QuerySet

from instances.models import Organization
from polling.models import Event
from polling.reports.keyset_walk import KeysetWalk, walk
from polling.reports.name_index import find_records, indexed_upto, newest_of, words_in

_AT_ONCE = 200  # events with such a name: the newest of a record may hide those of another


@dataclass(frozen=True)
class NamedRecords:
    """Records by name, each by its newest event. `looked_to`: the event down to which all were looked through."""

    events: list[Event] = field(default_factory=list)
    looked_to: int | None = None


def title_has(text: str) -> Q:
    """Return the condition that a title has all words of a text, or parts of words."""
    found = Q()
    for word in text.split():
        found &= Q(title__icontains=word)
    return found


def records_named(organization: Organization, text: str, most: int) -> NamedRecords:
    """Return the newest of the records whose titles have all words of a text: seven queries at most."""
    words, upto = words_in(text), indexed_upto()
    if words and upto is not None:
        keys = newest_of(find_records(organization, words), most)
        new = _newest_events(organization, text, after=upto)
        events = _each_once(
            [
                *new.events,
                *_shown(Event.objects.filter(pk__in=keys, instance__organization=organization)).order_by("-pk"),
            ],
            most,
        )
        if events:
            return NamedRecords(events)
    return _newest_events(organization, text)


def _newest_events(organization: Organization, text: str, *, after: int = 0) -> NamedRecords:
    events = Event.objects.filter(title_has(text), instance__organization=organization, pk__gt=after)
    stretch = walk(_shown(events), KeysetWalk("polled_at"), before=None, size=_AT_ONCE)
    return NamedRecords(_each_once(stretch.rows, _AT_ONCE), stretch.next_before)


def _each_once(events: list[Event], most: int) -> list[Event]:
    newest: dict[tuple[int, str, str], Event] = {}
    for event in events:
        newest.setdefault((event.instance_id, event.object_type, event.object_id), event)
    return list(newest.values())[:most]


def _shown(events: QuerySet[Event]) -> QuerySet[Event]:
    return events.select_related("instance").defer("record", "changes")
