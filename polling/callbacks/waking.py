"""Verified callbacks → polls that are due, and records to be looked for where those do not bring them.

Only healthy polls are woken: one that ConnectWise refuses, or that waits for a rate limit, has its own time. One poll a
second of a resource at most, however many callbacks come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from cwconnect.connectwise.callbacks.types import paths_of_type
from cwconnect.core.bulk_sql import db_timestamp, upsert
from polling.callbacks.counts import WOKEN, Counted, add_counts
from polling.detection.jobs import plan_of_poll
from polling.models import AnnouncedRecord, PollState
from polling.workers.due import WELL
from polling.workers.leases import free

APART = timedelta(seconds=1)  # two woken polls of a resource
NOT_BROUGHT_AFTER = timedelta(seconds=2)  # after its woken poll was due, a record is read by its id
LATER = timedelta(minutes=1)  # the longest for which a read is put off, after a failure of the site
_COLUMNS = ("resource_poll_id", "record_id", "announced_at", "deleted", "not_found", "tries", "next_read_at")


@dataclass(frozen=True)
class Announced:
    """What a verified callback said of a record, and when it arrived."""

    instance_id: int
    type: str
    record_id: int
    record_type: str | None
    at: datetime
    deleted: bool


@dataclass(frozen=True)
class _Wake:
    """A poll to be woken, and for which records."""

    state: PollState
    announced: list[Announced]


def wake(announced: Sequence[Announced], now: datetime) -> None:
    """Make the polls due that these concern, and note the records. Done twice, it costs a poll and no more."""
    counted: Counter[Counted] = Counter()
    for one in _concerned(announced):
        due = _next_wake(one.state.woken_at, now)
        if _make_due(one.state.pk, due, now):
            counted[one.state.resource_poll.instance_id, one.announced[0].type, WOKEN] += 1
        _note(one, due, now)
    add_counts(counted, now)


def expect_written(instance_id: int, places: Mapping[str, int | None], now: datetime, *, deleted: bool) -> None:
    """Make the polls due that bring what was written through the hub, and note the record to be looked for.

    `places` are ConnectWise's lists in small letters that the write may have changed, each with the id of the record in
    it, None where nobody knows. `deleted`: it was deleted from the first of them.
    """
    states = PollState.objects.filter(resource_poll__instance_id=instance_id, resource_poll__enabled=True)
    for state in states.select_related("resource_poll").order_by("pk"):
        path = plan_of_poll(state.resource_poll).hub.path.lower()
        if path not in places:
            continue
        due, record_id = _next_wake(state.woken_at, now), places[path]
        _make_due(state.pk, due, now)
        if record_id is not None:
            gone = deleted and path == next(iter(places))
            said = Announced(instance_id, "", record_id, None, now, gone)
            _note(_Wake(state, [said]), due, now)


def _concerned(announced: Sequence[Announced]) -> Iterable[_Wake]:
    by_instance: dict[int, list[Announced]] = {}
    for one in announced:
        by_instance.setdefault(one.instance_id, []).append(one)
    states = PollState.objects.filter(resource_poll__instance_id__in=list(by_instance), resource_poll__enabled=True)
    for state in states.select_related("resource_poll").order_by("pk"):
        path = plan_of_poll(state.resource_poll).hub.path.lower()
        said = by_instance[state.resource_poll.instance_id]
        found = [one for one in said if path in paths_of_type(one.type, one.record_type)]
        if found:
            yield _Wake(state, found)


def _next_wake(woken_at: datetime | None, now: datetime) -> datetime:
    """Return when a poll may be woken next. No wake lies ahead by more than `APART`, unless a clock was ahead then."""
    return now if woken_at is None else min(max(now, woken_at + APART), now + APART)


def _make_due(key: int, due: datetime, now: datetime) -> bool:
    """Make a poll due, unless it is due by then or not to be woken.

    One under way may have read before the change: it is made once more, unless that was asked for and is still to come.
    One row by one statement: several at once would wait for those that a worker is writing in another order.
    """
    rows = PollState.objects.filter(pk=key, health__in=WELL, next_poll_at__isnull=False)
    once_more = ~free(now) & Q(next_poll_at__lte=now)
    return bool(rows.filter(Q(next_poll_at__gt=due) | once_more).update(next_poll_at=due, woken_at=due))


def _note(one: _Wake, due: datetime, now: datetime) -> None:
    """Note the records, to be read by their ids where the poll does not bring them; deletes where they are wanted.

    What is said to be deleted is asked for as that, whatever comes late: no order is promised. One that waits for
    longer than a read is ever put off was noted by a clock that was ahead, and is noted anew.
    """
    detects = plan_of_poll(one.state.resource_poll).detect_deletes
    latest = {said.record_id: said for said in one.announced}
    gone = {said.record_id for said in one.announced if said.deleted}
    known = AnnouncedRecord.objects.filter(resource_poll_id=one.state.pk, record_id__in=list(latest), deleted=True)
    asked_for = set(known.filter(next_read_at__lte=now + LATER).values_list("record_id", flat=True))
    rows = [
        (
            one.state.pk,
            record_id,
            db_timestamp(min(said.at, now)),  # by this clock: what is announced after a read began is read again
            record_id in gone,
            0,
            0,
            db_timestamp(now if record_id in gone else due + NOT_BROUGHT_AFTER),
        )
        for record_id, said in sorted(latest.items())  # in one order, for two workers who note the same
        if record_id not in asked_for and (detects or record_id not in gone)
    ]
    upsert(AnnouncedRecord, _COLUMNS, rows, key=_COLUMNS[:2])
