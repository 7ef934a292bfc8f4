"""Records read → judged, recorded and remembered: the one way into the event log for what a read has shown.

Polls, backfills, repairs and the return of deleted rows all pass here, inside the transaction of their page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from instances.missing_fields import FieldsFound, still_missing
from instances.models import ResourcePoll
from instances.plans import Plan
from polling.detection.changes import Snapshot, Verdict, Watch, field_changes, judge
from polling.detection.event_log import record_events
from polling.detection.reading import Reading, RecordRead
from polling.detection.snapshots import (
    NewSnapshot,
    read_snapshot_bodies,
    read_snapshots,
    remember,
)
from polling.models import MissingRecord, NewEvent, PollRun


def watch_of(poll: ResourcePoll, plan: Plan, since: datetime, *, vouched: bool) -> Watch:
    """Return the watch by which a poll's records are judged; `vouched` as there."""
    return Watch(since, poll.high_water_id, plan.created_tolerance, plan.ignore_empty_changes, vouched)


def note_missing_fields(poll: ResourcePoll, found: FieldsFound) -> None:
    """Keep which configured fields the records read do not have, where that is another answer than before."""
    missing = still_missing(poll.missing_fields, found)
    if missing != poll.missing_fields:
        poll.missing_fields = missing
        ResourcePoll.objects.filter(pk=poll.pk).update(missing_fields=missing)


@dataclass(frozen=True)
class Recorder:
    """Writes what reads of one poll have shown."""

    poll: ResourcePoll
    plan: Plan
    watch: Watch

    def record(
        self,
        reading: Reading,
        run: PollRun,
        *,
        now: datetime,
        seen: datetime,
        known: Mapping[int, Snapshot] | None = None,
    ) -> int:
        """Judge each record against what is known of it; remember, and give the number of events.

        `known` stands in for what is remembered: a repair's better knowledge. What it holds is remembered in any case.
        """
        ids = [read.seen.record_id for read in reading.records]
        before = read_snapshots(self.poll.pk, ids) if known is None else known
        judged = [(read, judge(read.seen, before.get(read.seen.record_id), self.watch)) for read in reading.records]
        events = self._events(judged, seen)
        better = known or {}
        remembered = [
            self._remembered(read, verdict)
            for read, verdict in judged
            if verdict.remember or read.seen.record_id in better
        ]
        remember(self.poll.pk, remembered)
        if self.plan.detect_deletes and ids:
            MissingRecord.objects.filter(resource_poll=self.poll, record_id__in=ids).delete()
        return record_events(poll=self.poll, run=run, events=events, now=now)

    def _events(self, judged: list[tuple[RecordRead, Verdict]], seen: datetime) -> list[NewEvent]:
        changed = [(read, verdict) for read, verdict in judged if verdict.kind is not None]
        earlier: Mapping[int, str] = {}
        if self.plan.track_changes:
            earlier = read_snapshot_bodies(self.poll.pk, [read.seen.record_id for read, verdict in changed])
        return [
            NewEvent(
                object_type=self.poll.name,
                object_id=read.object_id,
                record_id=read.seen.record_id,
                kind=verdict.kind or "",
                occurred_at=read.seen.updated or seen,
                polled_at=seen,
                record=read.text.decode(),
                changes=self._field_changes(read, verdict, earlier.get(read.seen.record_id)),
            )
            for read, verdict in changed
        ]

    def _field_changes(self, read: RecordRead, verdict: Verdict, earlier: str | None) -> str | None:
        if not self.plan.track_changes or verdict.kind != "UPDATED":
            return None
        if verdict.same_content:
            return "[]"
        if earlier is None:
            return "null"
        return orjson.dumps(field_changes(orjson.loads(earlier), read.record)).decode()

    def _remembered(self, read: RecordRead, verdict: Verdict) -> NewSnapshot:
        body = read.text.decode() if self.plan.track_changes or self.plan.detect_deletes else None
        gone_in_silence = verdict.gone and verdict.kind is None
        stamp = None if gone_in_silence else read.seen.stamp
        return NewSnapshot(read.seen.record_id, stamp, read.seen.digest, body, verdict.gone)
