"""Pages of the log: the next events of instances, in the order of their ids, each read once for all who are as far."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from cwconnect.core.bulk_sql import keys
from cwconnect.core.one_statement import time_of
from cwconnect.core.statements import AMONG, rows_of
from polling.models import NewEvent

MOST = 500  # events of a page
MOST_AT_ONCE = 4000  # of all pages that are read at a time: what is held in memory
LEAST = 20  # of a page, however many are read
# Of records and changes, which may be a megabyte each. An event that goes beyond this is the last of its page.
MOST_BYTES = 8 * 2**20
MOST_BYTES_AT_ONCE = 32 * 2**20

Place = tuple[int, int]
"""An instance, and the last of its events that was looked at."""
Record = tuple[str, int]
"""What tells a record of an instance: its resource and id."""

_RECORD, _CHANGES = 9, 10  # places among these
_COLUMNS = """id, resource_poll_id, notification_id, object_type, object_id, record_id, kind,
    CAST(occurred_at AS text), CAST(polled_at AS text), record, changes, title, changes_for_filters"""
# By a range and in the order of the index, as in log/readers.py: by statistics of a log that grows quickly another
# index may seem to have fewer rows, and has those of all instances. The limit is asked for, so that PostgreSQL does not
# know it: of a range it expects so few rows that to fetch and sort all of the instance would seem to cost the same.
# How long a text is PostgreSQL knows without fetching it from where it keeps long ones.
_PAGE = f"""SELECT given.instance, given.reached, page.*
FROM unnest(%s::bigint[], %s::bigint[]) AS given (instance, reached)
CROSS JOIN LATERAL (
    SELECT {_COLUMNS}, upto FROM (
        SELECT found.*, SUM(size) OVER (ORDER BY instance_id DESC, id ROWS UNBOUNDED PRECEDING) AS upto FROM (
            SELECT *, octet_length(record) + COALESCE(octet_length(changes), 0) AS size FROM polling_event
            WHERE instance_id BETWEEN given.instance AND given.instance AND id > given.reached AND id <= %s
            ORDER BY instance_id DESC, id LIMIT (SELECT %s)
        ) AS found
    ) AS summed WHERE upto - size < %s
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
        """Which record of the instance it is of: a resource that is added again has another poll."""
        return self.event.object_type, self.event.record_id


@dataclass(frozen=True, slots=True)
class Page:
    """The next events of an instance, the id up to which there are no others of it, and how many bytes they hold."""

    events: Sequence[LogEvent]
    upto: int
    size: int = 0


def read_pages(places: Iterable[Place], upto: int) -> Mapping[Place, Page]:
    """Return the page that begins behind each of these places; no event after `upto` is in one."""
    wanted = sorted(set(places))
    most = min(MOST, max(LEAST, MOST_AT_ONCE // max(1, len(wanted))))
    most_bytes = min(MOST_BYTES, MOST_BYTES_AT_ONCE // max(1, len(wanted)))
    found: dict[Place, list[LogEvent]] = {place: [] for place in wanted}
    sizes = dict.fromkeys(wanted, 0)
    for instance, reached, *columns, size in _rows(wanted, upto, most, most_bytes):
        found[instance, reached].append(_event_of(columns))
        sizes[instance, reached] = int(size)
    return {place: _page_of(events, sizes[place], upto, most, most_bytes) for place, events in found.items()}


def _page_of(events: Sequence[LogEvent], size: int, upto: int, most: int, most_bytes: int) -> Page:
    cut = len(events) == most or size >= most_bytes
    return Page(events, events[-1].event.id if cut else upto, size)


def read_events(event_ids: Collection[int]) -> list[LogEvent]:
    """Return these events, in order."""
    return [_event_of(row) for row in rows_of(_THESE.format(among=AMONG[connection.vendor]), [keys(event_ids)])]


def _rows(places: Sequence[Place], upto: int, most: int, most_bytes: int) -> Iterable[Sequence[Any]]:
    """Return instance, place, an event's columns, and the bytes up to it, of each event of each page."""
    if connection.vendor == "postgresql":
        instances, reached = zip(*places, strict=True) if places else ((), ())
        return rows_of(_PAGE, [keys(instances), keys(reached), upto, most, most_bytes])
    return ((*place, *row, size) for place in places for row, size in _rows_of_one(place, upto, most, most_bytes))


def _rows_of_one(place: Place, upto: int, most: int, most_bytes: int) -> Iterator[tuple[Sequence[Any], int]]:
    """Fetch the events of a page on SQLite, one after the other: what is not fetched is not read."""
    size = 0
    with connection.cursor() as cursor:
        cursor.execute(_PAGE_OF_ONE, [place[0], place[0], place[1], upto, most])
        for row in cursor:
            size += sum(len(text.encode()) for text in (row[_RECORD], row[_CHANGES]) if text)
            yield row, size
            if size >= most_bytes:
                return


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
