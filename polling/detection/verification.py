"""The reconciliation report: ConnectWise's ids and stamps against known rows, the event log and what was delivered.

| Finding | Means |
|---|---|
| missed | rows that the poll's filter selects, written before the last good poll began, and not told or not known |
| stale | ConnectWise's stamp is newer than the one known, and older than the last good poll |
| deleted | rows that are gone, where deletes are asked for, whose delete is not in the log (see lost_deletes.py) |
| undelivered | events whose notification has not arrived: waiting, exhausted, given up, or lost |
| repeated | an event that tells again what the record's event before it told: same kind, same stamp, same content |
| coming | rows written since the last good poll, or gone or back since the last sweep: the next one tells them |

A row was to be told that is above the mark, or was written since watching began: it is missed when it is not known, or
when the event of its known state is not in the log. Missed, stale, deleted and undelivered are what is missing. Events
older than the retention may have been pruned, and are not missed. Memory holds one page, and the ids that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from cwconnect.connectwise.client import Client, Page, Record
from instances.connections import client_for
from instances.models import ResourcePoll
from instances.plans import Plan
from instances.poll_configuration import plan_of
from polling.detection.absences import Standing, absences
from polling.detection.changes import UNREAD, Known
from polling.detection.known import known_records
from polling.detection.lost_deletes import find_gone
from polling.detection.rereading import lots, read_rows
from polling.models import Event, KnownRecord, Notification, PollState

State = Notification.State
NOT_ARRIVED = Q(notification=None) | Q(notification__state__in=(*Notification.UNDELIVERED, State.FAILED))
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Finding:
    """What was found of one resource poll: counts of rows and events, and the ids of rows that are missing."""

    poll: ResourcePoll
    source: int
    known: int
    missed: tuple[int, ...]
    stale: tuple[int, ...]
    deleted: tuple[int, ...]
    coming: int
    undelivered: int
    repeated: int
    held: int

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return not (self.missed or self.stale or self.deleted or self.undelivered)

    def as_json(self) -> dict[str, object]:
        """Give it for a reader of JSON, the missing ids included."""
        return {
            "instance": self.poll.instance_id,
            "resource": self.poll.name,
            "source": self.source,
            "known": self.known,
            "missed": list(self.missed),
            "stale": list(self.stale),
            "deleted": list(self.deleted),
            "coming": self.coming,
            "undelivered": self.undelivered,
            "repeated": self.repeated,
            "held": self.held,
            "whole": self.whole,
        }


def verify(poll: ResourcePoll, now: datetime, *, progress: Progress = lambda rows: None) -> Finding:
    """Compare a poll's resource with what is recorded of it; `progress` hears of the rows read. Changes nothing.

    Asks one request for each 1,000 rows and for each 200 that look as if they were missing. Raises ConnectWiseError.
    To be run beside polls: what they do meanwhile is not taken for a fault.
    """
    comparison = Comparison(poll, now)
    for page in comparison.pages():
        comparison.compare(page)
        progress(comparison.source)
    missed, stale = comparison.selected()
    return Finding(
        poll=poll,
        source=comparison.source,
        known=KnownRecord.objects.filter(resource_poll=poll, gone=False).count(),
        missed=missed,
        stale=stale,
        deleted=tuple(comparison.deleted),
        coming=comparison.coming,
        undelivered=undelivered_events(poll).count(),
        repeated=count_repeated(poll),
        held=absences(poll.pk, Standing.HELD).count(),
    )


def undelivered_events(poll: ResourcePoll) -> QuerySet[Event]:
    """Give the events of a poll that have not arrived, oldest first."""
    return Event.objects.filter(NOT_ARRIVED, resource_poll=poll).order_by("pk")


def count_repeated(poll: ResourcePoll) -> int:
    """Count events that tell again what the record's event before them told."""
    same = Event.objects.filter(resource_poll=poll).order_by().values("record_id", "kind", "occurred_at")
    suspects = same.annotate(n=Count("pk")).filter(n__gt=1).values_list("record_id", flat=True).distinct()
    return sum(_repeats(poll, record_id) for record_id in suspects)


def _repeats(poll: ResourcePoll, record_id: int) -> int:
    # Neighbours only: a record may change and change back within one second, and both were told rightly.
    told = Event.objects.filter(resource_poll=poll, record_id=record_id).order_by("pk")
    return sum(one == next_ for one, next_ in pairwise(told.values_list("kind", "occurred_at", "record")))


@dataclass(frozen=True)
class Row:
    """What a comparison needs of a row at the source; `flagged` as deleted, where that is asked for."""

    record_id: int
    stamp: datetime | None
    flagged: bool


@dataclass
class Comparison:
    """One poll's source under comparison, page by page."""

    poll: ResourcePoll
    now: datetime
    source: int = 0
    coming: int = 0
    deleted: list[int] = field(default_factory=list)
    suspects: list[int] = field(default_factory=list)
    """Rows to be read again through the poll's filter, which the first reading ignores."""

    def __post_init__(self) -> None:
        self.plan: Plan = plan_of(self.poll.name, self.poll.configuration)
        self.client: Client = client_for(self.poll.instance)
        # Before the source is read: what is written from then on is not the last good poll's to have seen.
        state = PollState.objects.filter(resource_poll=self.poll).first()
        self.cursor = state.cursor if state else None
        self.since = self.poll.since
        self._reached = 0

    @property
    def fields(self) -> str:
        """The members to ask for: id, `_info`, where the poll's stamp is, and the flag of deleted companies."""
        flag = ("deletedFlag",) if self.plan.honours_deleted_flag else ()
        return ",".join(dict.fromkeys(("id", "_info", self.plan.updated.field.split(".")[0], *flag)))

    def pages(self) -> Iterator[Page]:
        """Read the source's ids and stamps, a page at a time, whatever the poll's filter."""
        after_id = 0
        while True:
            page = self.client.page(self.plan.hub.path, {"fields": self.fields}, after_id=after_id)
            yield page
            if page.is_last:
                return
            after_id = page.last_id

    def compare(self, page: Page) -> None:
        """Count a page in, and note its suspects. What is known is read after the page, so never older than it."""
        self.source += len(page.records)
        rows = [self._row(record) for record in page.records]
        faults, coming = self._look(rows)
        self.coming += coming
        self.suspects += sorted(faults)
        if self.plan.detect_deletes and self.since is not None:
            there = {row.record_id for row in rows}
            upto = None if page.is_last else page.last_id
            gone = find_gone(self.poll, there, after=self._reached, upto=upto, told_from=self.told_from(self.since))
            self.deleted += gone.lost
            self.coming += gone.coming
        self._reached = page.last_id

    def selected(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Give the missed and the stale among the suspects: those that the filter selects, looked at again."""
        missed: list[int] = []
        stale: list[int] = []
        if self.since is None:
            return (), ()
        opening = self.plan.opening(self.since)
        for lot in lots(self.plan, self.suspects, opening=opening, filtered=True):
            page = read_rows(self.client, self.plan, lot, opening=opening, filtered=True)
            faults, _ = self._look([self._row(record) for record in page.records])
            missed += [record_id for record_id, is_stale in faults.items() if not is_stale]
            stale += [record_id for record_id, is_stale in faults.items() if is_stale]
        return tuple(sorted(missed)), tuple(sorted(stale))

    def told_from(self, since: datetime) -> datetime:
        """Give the time from which on all that was told is still in the log, unless it was lost."""
        return max(since, self.now - timedelta(days=settings.RETENTION_DAYS))

    def _row(self, record: Record) -> Row:
        try:
            stamp = self.plan.updated.read(record)
        except ValueError:
            stamp = None  # the poll compares such a row by its content, and says so on its run
        flagged = self.plan.honours_deleted_flag and record.get("deletedFlag") is True
        return Row(record["id"], stamp, flagged)

    def _look(self, rows: Sequence[Row]) -> tuple[dict[int, bool], int]:
        """Give what is wrong with these rows (True: stale, False: missed), and how many the next run will tell."""
        known = known_records(self.poll.pk, [row.record_id for row in rows])
        faults: dict[int, bool] = {}
        coming = set()
        for row in rows:
            before = known.get(row.record_id)
            if before is not None and before.gone and before.digest == UNREAD:
                coming.add(row.record_id)  # told as deleted by a sweep, and back
            elif self._concerns(row, before):
                if row.stamp is not None and (self.cursor is None or row.stamp >= self.cursor):
                    coming.add(row.record_id)
                else:
                    faults[row.record_id] = before is not None and not before.unread
        for record_id in self._untold(known, known.keys() - faults.keys()):
            faults[record_id] = False
        return faults, len(coming)

    def _concerns(self, row: Row, known: Known | None) -> bool:
        """Whether the poll has, or had, to tell of the row as it is now."""
        if known is None or known.unread:
            if row.record_id > self.poll.mark:
                return not row.flagged  # what came and went before it was told of is not told as deleted
            return row.stamp is not None and self.since is not None and row.stamp >= self.since
        if row.stamp is None or (known.gone and row.flagged):
            return False
        return known.stamp is None or int(row.stamp.timestamp()) > known.stamp

    def _untold(self, known: Mapping[int, Known], ids: set[int]) -> set[int]:
        """Give those of `ids` whose known state is not in the log, though it was to be told and is not too old."""
        if self.plan.ignore_empty_changes or self.since is None:
            return set()  # what is not in the log may have been an empty change
        first = self.told_from(self.since).timestamp()
        told = {
            record_id: row.stamp
            for record_id in ids
            if (row := known.get(record_id)) and row.digest != UNREAD and row.stamp is not None and row.stamp >= first
        }
        log = Event.objects.filter(resource_poll=self.poll, record_id__in=told).values_list("record_id", "occurred_at")
        there = {(record_id, int(at.timestamp())) for record_id, at in log}
        return {record_id for record_id, stamp in told.items() if (record_id, stamp) not in there}
