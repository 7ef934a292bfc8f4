"""Who is notified of the log: the subscriptions that read it, and those that lag behind it.

A subscription lags where its instance has events beyond the last one that was looked at for it. Asked are the heads of
indexes, one for each instance that has such a subscription: neither the length of the log nor that of a backlog counts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q

from cwconnect.core.bulk_sql import db_timestamp, keys
from cwconnect.core.one_statement import time_of
from cwconnect.core.statements import AMONG, rows_of
from polling.log.event_ids import complete_id
from polling.models.subscriptions import HAS_URL

# Of whoever is paused, disabled or off events are judged all the same; not of whoever has no URL, and pulls.
_READERS = """FROM polling_subscription JOIN instances_instance ON instances_instance.id = instance_id
WHERE reads_log AND enabled AND deleted_at IS NULL AND organization_id IS NOT NULL
    AND CASE WHEN polling_subscription.id = instance_id
        THEN instances_instance.callback_url ELSE polling_subscription.callback_url END <> ''
"""
READING = Q(HAS_URL, reads_log=True, enabled=True, deleted_at=None)
"""The same as a condition of subscriptions, whosever their instances."""

# By a range and in the order of the index, so that no other index will do: see `_OLDEST` in detection/event_log.py.
_LAST = """(
    SELECT id FROM polling_event
    WHERE instance_id BETWEEN readers.instance_id AND readers.instance_id AND id <= %s
    ORDER BY instance_id, id DESC LIMIT 1
)"""
_INSTANCES = f"""WITH readers AS MATERIALIZED (
    SELECT instance_id, MIN(reached_id) AS reached {_READERS}{{free}} GROUP BY instance_id
)
SELECT instance_id, COALESCE({_LAST} > reached, FALSE) FROM readers
"""  # noqa: S608  (our own)
_FREE = " AND (lease_until IS NULL OR lease_until < %s)"

# Begins with the log: few events are new, and of most instances nobody may read it.
_NEWS = f"""SELECT DISTINCT instance_id FROM polling_event WHERE id > %s AND id <= %s
    AND instance_id IN (SELECT instance_id {_READERS})
"""  # noqa: S608  (as above)

# What a catch-up began with was recorded before anybody was to be notified of it.
_UNREAD = f"""WITH readers AS MATERIALIZED (
    SELECT instance_id, MIN(CASE WHEN catching_up_to > reached_id THEN catching_up_to ELSE reached_id END) AS reached
    {_READERS} GROUP BY instance_id
)
SELECT CAST(MIN((
    SELECT polled_at FROM polling_event
    WHERE instance_id BETWEEN readers.instance_id AND readers.instance_id AND id > readers.reached
    ORDER BY instance_id DESC, id LIMIT 1
)) AS text) FROM readers
"""  # noqa: S608  (as above)

_LAGGING = f"""SELECT polling_subscription.id, instance_id, reached_id, lease_until IS NULL OR lease_until < %s,
    events_enabled AND NOT disabled
{_READERS} AND reached_id < %s AND instance_id {{among}}
ORDER BY polling_subscription.id
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """A subscription that was looked at up to `reached`; `free` where nobody works on it, `watching` its instance."""

    id: int
    instance_id: int
    reached: int
    free: bool
    watching: bool

    @property
    def place(self) -> tuple[int, int]:
        """From where on it reads: those of an instance that are equally far read the same."""
        return self.instance_id, self.reached


def read_lagging(upto: int) -> dict[int, bool]:
    """Return the instances of which somebody reads the log, and whether one of their subscriptions lags.

    `upto`: the last event that may be read (`complete_id`).
    """
    return {instance: bool(lags) for instance, lags in rows_of(_INSTANCES.format(free=""), [upto])}


def instances_with_news(after: int, upto: int) -> set[int]:
    """Return the instances of which somebody reads the log, and which have events after one and up to another."""
    return {instance for (instance,) in rows_of(_NEWS, [after, upto])}


def readers_behind(instance_ids: Collection[int], upto: int, now: datetime) -> list[Reader]:
    """Return the subscriptions of these instances that were not looked at up to there, in the order of their ids."""
    statement = _LAGGING.format(among=AMONG[connection.vendor])
    rows = rows_of(statement, [db_timestamp(now), upto, keys(instance_ids)])
    return [
        Reader(key, instance, reached, bool(free), bool(watching)) for key, instance, reached, free, watching in rows
    ]


def somebody_lags(now: datetime) -> bool:
    """Whether a subscription lags that nobody works on."""
    statement = _INSTANCES.format(free=_FREE)
    return any(lags for _, lags in rows_of(statement, [db_timestamp(now), complete_id()]))


def oldest_unread() -> datetime | None:
    """Return when the oldest event was seen that somebody who reads the log has still to come to; None: there is none.

    Events of a catch-up aside. What is beyond the last event that may be read waits as well.
    """
    return time_of(rows_of(_UNREAD, [])[0][0])
