"""Records found by what people call them."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Q, QuerySet

from instances.models import Organization
from polling.models import Event
from polling.reports.keyset_walk import KeysetWalk, walk

MOST_WORDS = 8
_AT_ONCE = 200  # events with such a name: the newest of a record may hide those of another


@dataclass(frozen=True)
class NamedRecords:
    """Records by name, each by its newest event. `looked_to`: the event down to which all were looked through."""

    events: list[Event] = field(default_factory=list)
    looked_to: int | None = None


def words_of(text: str) -> list[str]:
    """Return the words that are searched for, in small letters."""
    return text.casefold().split()[:MOST_WORDS]


def title_has(words: list[str]) -> Q:
    """Return the condition that a title has all of these words, or parts of words."""
    found = Q()
    for word in words:
        found &= Q(title__icontains=word)
    return found


def records_named(organization: Organization, text: str, most: int) -> NamedRecords:
    """Return the records whose titles have all words of a text, of those that the newest events have: three queries."""
    events = Event.objects.filter(title_has(words_of(text)), instance__organization=organization)
    stretch = walk(_shown(events), KeysetWalk("polled_at"), before=None, size=_AT_ONCE)
    newest: dict[tuple[int, str, str], Event] = {}
    for event in stretch.rows:
        newest.setdefault((event.instance_id, event.object_type, event.object_id), event)
    return NamedRecords(list(newest.values())[:most], stretch.next_before)


def _shown(events: QuerySet[Event]) -> QuerySet[Event]:
    return events.select_related("instance").defer("record", "changes")
