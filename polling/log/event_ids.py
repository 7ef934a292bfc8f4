"""Ids of events: taken without a lock that another waits for, and up to which of them the log is complete.

Ids are taken in their order and become visible in the order of commits, so a reader that goes forward by id has to know
up to where nothing is still to come. SQLite has one writer: all that is visible is complete, and the ids come from a
row. On PostgreSQL they come from a sequence, and whoever takes some holds a *shared* advisory lock to the end of its
transaction, whose key names the last id that was taken before. Nobody waits for such a lock; the least of them is the
bound (`complete_upto`).

Why that is safe: ids are taken under the lock, so they are beyond the one that it names. A reader first looks at the
last id taken, then at the locks, then at events. Who took ids before its look at the locks has a lock there, or has
ended, and PostgreSQL frees locks after a commit became visible; who takes some later is beyond the last id seen.
"""

from __future__ import annotations

from django.db import connection
from django.db.models import F, Max

from polling.models import Event, LogPosition

IDS_SKIPPED = 1_000_000_000  # ids that a database put back leaves out: none that was given since the backup comes again
SEQUENCE = "polling_event_ids"
# The upper sixteen bits of the locks' keys; the others hold an id, which has room for 2^48.
_LOCKS = 0x6377
_TAKE = f"""
WITH before AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared((%s::bigint << 48) + last_value) FROM {SEQUENCE})
SELECT nextval('{SEQUENCE}') FROM before, generate_series(1, %s)
"""  # noqa: S608  (names of our own)
# The lock's key is shown in halves. Our own transaction sees what it has written.
_COMPLETE = f"""
WITH taken AS MATERIALIZED (SELECT last_value AS last FROM {SEQUENCE})
SELECT least(taken.last, (
    SELECT min(((classid::bigint & 65535) << 32) + objid::bigint) FROM pg_locks
    WHERE taken.last IS NOT NULL AND locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = %s
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
)) FROM taken
"""  # noqa: S608  (as above)

_LAST = {"postgresql": f"SELECT last_value FROM {SEQUENCE}", "sqlite": "SELECT last FROM polling_logposition"}  # noqa: S608  (as above)


def take_ids(count: int) -> list[int]:
    """Take so many ids, in ascending order, each beyond all that were taken before. In the transaction that uses them.

    On PostgreSQL there may be gaps between them, and those of a transaction that is rolled back are never given again.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_TAKE, [_LOCKS, count])
            return [row[0] for row in cursor.fetchall()]
    last = _move_on(count)
    return list(range(last - count + 1, last + 1))


def complete_upto() -> int | None:
    """Return the id up to which every event that will ever be is visible to the next statement; None: all that are."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(_COMPLETE, [_LOCKS])
        return int(cursor.fetchone()[0])


def last_taken() -> int:
    """Return the last id that was taken: on PostgreSQL by whomever, on SQLite of what is committed. Cheap."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST[connection.vendor])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def complete_id() -> int:
    """Return the id up to which every event that will ever be is visible to the next statement, as a number."""
    upto = complete_upto()
    return last_taken() if upto is None else upto


def skip_ids() -> None:
    """Have the ids of events go on far beyond any recorded since the backup which this database was made from.

    To be called while nobody records events.
    """
    last = max(take_ids(1)[0] - 1, Event.objects.aggregate(last=Max("pk"))["last"] or 0)
    go_on_after(last + IDS_SKIPPED)


def go_on_after(last: int) -> None:
    """Have the next id be the one after `last`, while nobody records events."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval(%s, %s)", [SEQUENCE, last])
    else:
        LogPosition.objects.update_or_create(pk=1, defaults={"last": last})


def _move_on(count: int) -> int:
    """Move the row of the log's position on; return the last id."""
    if not LogPosition.objects.filter(pk=1).update(last=F("last") + count):
        LogPosition.objects.bulk_create([LogPosition(pk=1)], ignore_conflicts=True)
        LogPosition.objects.filter(pk=1).update(last=F("last") + count)
    return LogPosition.objects.values_list("last", flat=True).get(pk=1)
