"""What goes into which notification, and what it waits for, so that the events of a record arrive in order. Pure.

A notification follows one other at most, and the events of a record are never in it twice. So a page is cut into
segments in which no record occurs twice; within a segment those events go together whose records wait for the same
notification: an earlier one of the page, or one that was not delivered yet when the page was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from polling.delivery.fan_out.pages import LogEvent, Record
from polling.delivery.notifications import batches
from polling.models import NewEvent

Sent = Callable[[LogEvent], NewEvent]
"""Returns an event as it is sent."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A notification to be made: its events as they are sent, in the order of their ids.

    It follows a notification that there is, or the draft at a place of the same list (`after`), or none.
    """

    events: Sequence[NewEvent]
    object_type: str
    follows: int | None = None
    after: int | None = None


def drafts_of(events: Iterable[LogEvent], waits: Mapping[Record, int], sent: Sent) -> list[Draft]:
    """Return the notifications of a page's events; `waits` has what the first event of a record has to wait for.

    A later draft's first event is later than an earlier one's of the same segment, and each of its segment later than
    any of the segments before: so no event is before the first one of the oldest that is undelivered.
    """
    drafts: list[Draft] = []
    carriers: dict[Record, int] = {}
    for segment in _segments(events):
        records: dict[int, Record] = {}
        groups: dict[tuple[str, int | None, int | None, int | None], list[NewEvent]] = {}
        for read in segment:
            record = records[read.event.id] = read.record
            after = carriers.get(record)
            follows = waits.get(record) if after is None else None
            groups.setdefault((read.event.object_type, read.poll_id, follows, after), []).append(sent(read))
        made = [
            Draft(batch, object_type, follows, after)
            for (object_type, _, follows, after), group in groups.items()
            for batch in batches(group)
        ]
        for draft in sorted(made, key=lambda draft: draft.events[0].id):
            carriers.update((records[event.id], len(drafts)) for event in draft.events)
            drafts.append(draft)
    return drafts


def _segments(events: Iterable[LogEvent]) -> Iterator[list[LogEvent]]:
    segment: list[LogEvent] = []
    seen: set[Record] = set()
    for read in events:
        record = read.record
        if record in seen:
            yield segment
            segment, seen = [], set()
        segment.append(read)
        seen.add(record)
    if segment:
        yield segment
