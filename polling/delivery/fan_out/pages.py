"""Pages of the log: the next events of instances, in the order of their ids, each read once for all who are as far."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from cwconnect.core.bulk_sql import keys
from cwconnect.core.one_statement import time_of
from cwconnect.core.statements import AMONG, Rows, rows_of
from polling.models import NewEvent

MOST = 500  # events of a page
MOST_AT_ONCE = 4000  # of all pages that are read at a time: what is held in memory
LEAST = 20  # of a page, however many are read

Place = tuple[int, int]
"""An instance, and the last of its events that was looked at."""
Record = tuple[Any, ...]
"""What tells a record: its poll and id, or, where the poll is gone, its resource and id."""

_COLUMNS = """id, resource_poll_id, notification_id, object_type, object_id, record_id, kind,
    CAST(occurred_at AS text), CAST(polled_at AS text), record, changes, title, changes_for_filters"""
# By a range and in the order of the index, as in log/readers.py: by statistics of a log that grows quickly another
# index may seem to have fewer rows, and has those of all instances. The limit is asked for, so that PostgreSQL does not
# know it: of a range it expects so few rows that to fetch and sort all of the instance would seem to cost the same.
_PAGE = f"""SELECT given.instance, given.reached, page.*
FROM unnest(%s::bigint[], %s::bigint[]) AS given (instance, reached)
CROSS JOIN LATERAL (
    SELECT {_COLUMNS} FROM polling_event
    WHERE instance_id BETWEEN given.instance AND given.instance AND id > given.reached AND id <= %s
    ORDER BY instance_id DESC, id LIMIT (SELECT %s)
) AS page ORDER BY page.id
"""  # noqa: S608  (our own)
_PAGE_OF_ONE = f"""SELECT {_COLUMNS} FROM polling_event
WHERE instance_id BETWEEN %s AND %s AND id > %s AND id <= %s ORDER BY instance_id DESC, id LIMIT %s
"""  # noqa: S608  (as above)
_THESE = f"SELECT {_COLUMNS} FROM polling_event WHERE id {{among}} ORDER BY id"  # noqa: S608  (as above)


@dataclass(frozen=True, slots=True)
class LogEvent:
    """An event of the log, the poll that recorded it, and the notification that was made with it, if one was."""

    event: NewEvent
    poll_id: int | None
    notification_id: int | None

    @property
    def record(self) -> Record:
        """Which record it is of."""
        if self.poll_id is None:
            return None, self.event.object_type, self.event.record_id
        return self.poll_id, self.event.record_id


@dataclass(frozen=True, slots=True)
class Page:
    """The next events of an instance, and the id up to which there are no others of it."""

    events: Sequence[LogEvent]
    upto: int


def read_pages(places: Iterable[Place], upto: int) -> Mapping[Place, Page]:
    """Return the page that begins behind each of these places; no event after `upto` is in one."""
    wanted = sorted(set(places))
    most = min(MOST, max(LEAST, MOST_AT_ONCE // max(1, len(wanted))))
    found: dict[Place, list[LogEvent]] = {place: [] for place in wanted}
    for instance, reached, *columns in _rows(wanted, upto, most):
        found[instance, reached].append(_event_of(columns))
    return {
        place: Page(events, events[-1].event.id if len(events) == most else upto) for place, events in found.items()
    }


def read_events(event_ids: Collection[int]) -> list[LogEvent]:
    """Return these events, in order."""
    return [_event_of(row) for row in rows_of(_THESE.format(among=AMONG[connection.vendor]), [keys(event_ids)])]


def _rows(places: Sequence[Place], upto: int, most: int) -> Rows:
    if connection.vendor == "postgresql":
        instances, reached = zip(*places, strict=True) if places else ((), ())
        return rows_of(_PAGE, [keys(instances), keys(reached), upto, most])
    return [
        (instance, reached, *row)
        for instance, reached in places
        for row in rows_of(_PAGE_OF_ONE, [instance, instance, reached, upto, most])
    ]


def _event_of(columns: Sequence[Any]) -> LogEvent:
    key, poll, notification, object_type, object_id, record_id, kind, occurred, polled, record, changes, *more = columns
    title, for_filters = more
    times = time_of(occurred), time_of(polled)
    event = NewEvent(
        object_type,
        object_id,
        record_id,
        kind,
        *times,
        record,
        changes,
        key,
        title,
        changes_for_filters=bool(for_filters),
    )
    return LogEvent(event, poll, notification)
