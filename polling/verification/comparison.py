"""One poll's source under comparison, request by request, and able to go on after a crash from the last step kept.

First every row's id and stamp is read, a page at a time, whatever the poll's filter; then the rows that look as if they
were missing are read once more through the filter, a lot at a time. Memory holds one page, and the ids under suspicion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from cwconnect.connectwise.client import Client, Page, Record
from instances.configuration.polls import plan_of
from instances.connections import client_for
from instances.models import ResourcePoll
from instances.plans import AHEAD, Plan
from polling.detection.changes import UNREAD, Snapshot, UnstorableError, digest
from polling.detection.reads_by_id import id_batches, name_unread, read_rows, rows_answered
from polling.detection.snapshots import read_snapshots
from polling.models import Event, PollState
from polling.verification.lost_deletes import find_gone

STEPS = ("reached_id", "listed", "source", "coming", "deleted", "suspects", "missed", "stale", "undated")


@dataclass(frozen=True)
class Row:
    """What a comparison needs of a row at the source; `flagged` as deleted, where that is asked for.

    `stamp` is None where it has none to go by: none that can be read, or one from the future. `digest` is that of its
    content, where the row was read as the poll reads it.
    """

    record_id: int
    stamp: datetime | None
    flagged: bool
    digest: bytes | None = None


@dataclass
class Comparison:
    """Where the comparison stands. `cursor` is the poll's before the source was read, `now` when it was asked for.

    What is written from the cursor on is not the last good poll's to have seen. `suspects` are rows to be read again
    through the filter, which the first reading ignores: what looks missing, and each row without a stamp, of which
    ConnectWise's condition and the content have to decide. `undated` are those of the latter that differ from what is
    recorded, and rows that can't be read: if the last poll missed them or the next one records them, nobody knows.
    """

    poll: ResourcePoll
    now: datetime
    cursor: datetime | None
    reached_id: int = 0
    listed: bool = False
    source: int = 0
    coming: int = 0
    deleted: list[int] = field(default_factory=list)
    suspects: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    stale: list[int] = field(default_factory=list)
    undated: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan: Plan = plan_of(self.poll.name, self.poll.configuration)
        self.client: Client = client_for(self.poll.instance)
        self.since = self.poll.since
        self._batch: Sequence[int] = ()

    @classmethod
    def begin(cls, poll: ResourcePoll, now: datetime) -> Comparison:
        """Begin a comparison. Raises SecretUnreadableError where no key opens the instance's credentials."""
        state = PollState.objects.filter(resource_poll=poll).first()
        return cls(poll, now, state.cursor if state else None)

    @classmethod
    def resume(cls, poll: ResourcePoll, now: datetime, kept: Mapping[str, Any]) -> Comparison:
        """Go on from what `kept()` gave."""
        cursor = kept["cursor"] and datetime.fromisoformat(kept["cursor"])
        return cls(poll, now, cursor, **{name: kept[name] for name in STEPS if name in kept})

    def kept(self) -> dict[str, Any]:
        """Return where it stands, as JSON."""
        cursor = self.cursor and self.cursor.isoformat()
        return {"cursor": cursor} | {name: getattr(self, name) for name in STEPS}

    def request(self) -> Callable[[], Page] | None:
        """Return the next request, ready for a thread: it touches no database. None when all is compared."""
        client, plan, since = self.client, self.plan, self.since
        if not self.listed:
            after_id = self.reached_id

            def read_list(fields: str) -> Page:
                return client.page(plan.hub.path, {"fields": fields}, after_id=after_id)

            return lambda: name_unread(read_list(self._fields), lambda: read_list("id"))
        if not self.suspects or since is None:
            return None
        opening = plan.opening(since)
        batch = self._batch = next(id_batches(plan, self.suspects, opening=opening, filtered=True))

        def read_batch(fields: str) -> Page:
            return read_rows(client, plan, batch, opening=opening, filtered=True, fields=fields)

        return lambda: name_unread(read_batch(""), lambda: read_batch("id"))

    def take(self, page: Page) -> None:
        """Take what the request brought. What is known is read after it, so is never older than it."""
        rows = [self._row(record) for record in page.records]
        known = read_snapshots(self.poll.pk, [row.record_id for row in rows])
        faults, coming = self._look(rows, known)
        undated = [row for row in rows if row.stamp is None and row.record_id not in faults]
        if self.listed:
            self.suspects = self.suspects[len(rows_answered(self._batch, page)) :]
            self.missed += [record_id for record_id, is_stale in faults.items() if not is_stale]
            self.stale += [record_id for record_id, is_stale in faults.items() if is_stale]
            self.undated += [row.record_id for row in undated if self._differs(row, known.get(row.record_id))]
            self.undated += page.unread
            return
        self.source += len(rows) + len(page.unread)
        self.coming += coming
        self.suspects += sorted({*faults, *(row.record_id for row in undated), *page.unread})
        self._note_gone(page, rows)
        self.reached_id, self.listed = max(self.reached_id, page.last_id), page.is_last

    @property
    def _fields(self) -> str:
        """The members to ask for: id, `_info`, where the poll's stamp is, and the flag of deleted companies."""
        flag = ("deletedFlag",) if self.plan.honours_deleted_flag else ()
        return ",".join(dict.fromkeys(("id", "_info", self.plan.updated.field.split(".")[0], *flag)))

    def _differs(self, row: Row, known: Snapshot | None) -> bool:
        """Whether a row without a stamp, selected by the poll's filter, is another than the one recorded."""
        if known is None or known.unread:
            return self.plan.hub.windowed and not row.flagged
        if known.gone:
            return known.digest != UNREAD and not row.flagged
        return row.digest is not None and row.digest[0] == known.digest[0] and row.digest != known.digest

    def _note_gone(self, page: Page, rows: Sequence[Row]) -> None:
        """Note what is recorded of rows that the page lacks."""
        if not self.plan.detect_deletes or self.since is None:
            return
        there = {*(row.record_id for row in rows), *page.unread}
        upto = None if page.is_last else page.last_id
        gone = find_gone(
            self.poll, there, after=self.reached_id, upto=upto, recorded_from=self.recorded_from(self.since)
        )
        self.deleted += gone.lost
        self.coming += gone.coming

    def recorded_from(self, since: datetime) -> datetime:
        """Return the time from which on all that was recorded is still in the log, unless it was lost."""
        return max(since, self.now - timedelta(days=settings.RETENTION_DAYS))

    def _row(self, record: Record) -> Row:
        stamp = self.plan.stamp(record).at
        if stamp is not None and stamp > self.now + AHEAD:
            stamp = None
        flagged = self.plan.honours_deleted_flag and record.get("deletedFlag") is True
        return Row(record["id"], stamp, flagged, _digest(record) if self.listed else None)

    def _look(self, rows: Sequence[Row], known: Mapping[int, Snapshot]) -> tuple[dict[int, bool], int]:
        """Return what is wrong with these rows (True: stale, False: missed), and how many the next run will record."""
        faults: dict[int, bool] = {}
        coming = set()
        for row in rows:
            before = known.get(row.record_id)
            if before is not None and before.gone and before.digest == UNREAD:
                coming.add(row.record_id)  # recorded as deleted by a sweep, and back
            elif self._concerns(row, before):
                if row.stamp is not None and (self.cursor is None or row.stamp >= self.cursor):
                    coming.add(row.record_id)
                else:
                    faults[row.record_id] = before is not None and not before.unread
        for record_id in self._unrecorded(known, known.keys() - faults.keys()):
            faults[record_id] = False
        return faults, len(coming)

    def _concerns(self, row: Row, known: Snapshot | None) -> bool:
        """Whether the poll has, or had, to record the row as it is now."""
        if known is None or known.unread:
            if row.record_id > self.poll.high_water_id:
                return not row.flagged  # what came and went before it was recorded is not recorded as deleted
            return row.stamp is not None and self.since is not None and row.stamp >= self.since
        if row.stamp is None or (known.gone and row.flagged):
            return False
        return known.stamp is None or int(row.stamp.timestamp()) > known.stamp

    def _unrecorded(self, known: Mapping[int, Snapshot], ids: set[int]) -> set[int]:
        """Return those of `ids` whose known state is not in the log, though it should be and is not too old."""
        if self.plan.ignore_empty_changes or self.since is None:
            return set()  # what is not in the log may have been an empty change
        first = self.recorded_from(self.since).timestamp()
        dated = {
            record_id: row.stamp
            for record_id in ids
            if (row := known.get(record_id)) and row.digest != UNREAD and row.stamp is not None and row.stamp >= first
        }
        log = Event.objects.filter(resource_poll=self.poll, record_id__in=dated).values_list("record_id", "occurred_at")
        there = {(record_id, int(at.timestamp())) for record_id, at in log}
        return {record_id for record_id, stamp in dated.items() if (record_id, stamp) not in there}


def _digest(record: Record) -> bytes | None:
    try:
        return digest(record)
    except UnstorableError:
        return None  # the poll leaves it out as well, and says so on its run
