"""Records read → judged, recorded and remembered: the one way into the event log for what a read has shown.

Polls, backfills, repairs and the return of deleted rows all pass here, inside the transaction of their page; what many
polls have read goes through together, each statement once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from cwconnect.connectwise.titles import title_of
from instances.missing_fields import FieldsFound, still_missing
from instances.models import ResourcePoll
from instances.plans import Plan
from polling.detection.changes import DIGEST_VERSION, Snapshot, Verdict, Watch, digest, judge
from polling.detection.event_log import PollEvents, record_events
from polling.detection.event_shapes import AS_IT_IS, EventShape, shapes_of
from polling.detection.reading import Reading, RecordRead
from polling.detection.snapshots import NewSnapshot, of_records, read_bodies, read_known, remember_all
from polling.models import MissingRecord, NewEvent, PollRun


def watch_of(poll: ResourcePoll, plan: Plan, since: datetime, *, vouched: bool) -> Watch:
    """Return the watch by which a poll's records are judged; `vouched` as there."""
    return Watch(since, poll.high_water_id, plan.created_tolerance, plan.ignore_empty_changes, vouched)


def note_missing_fields(poll: ResourcePoll, found: FieldsFound) -> None:
    """Keep which configured fields the records read do not have, where that is another answer than before.

    Whoever changes the poll at this moment has its row, and wants that of its state, which we have: we don't wait, and
    the next page says it.
    """
    missing = still_missing(poll.missing_fields, found)
    if missing != poll.missing_fields:
        rows = ResourcePoll.objects.filter(pk=poll.pk)
        if rows.select_for_update(skip_locked=True, no_key=True).values_list("pk"):
            poll.missing_fields = missing
            rows.update(missing_fields=missing)


@dataclass(frozen=True)
class ReadPage:
    """What one read has shown of a poll's records, and by what they are judged. `seen`: when, by ConnectWise's clock.

    `known` stands in for what is remembered: a repair's better knowledge. What it holds is remembered in any case.
    """

    poll: ResourcePoll
    plan: Plan
    watch: Watch
    reading: Reading
    seen: datetime
    known: Mapping[int, Snapshot] | None = None

    @property
    def ids(self) -> list[int]:
        """The ids of the records read."""
        return [read.seen.record_id for read in self.reading.records]


@dataclass
class JudgedPage:
    """A page judged against what was `known`: what to remember of its records, and the events to record."""

    page: ReadPage
    known: Mapping[int, Snapshot]
    judged: list[tuple[RecordRead, Verdict]]
    events: list[NewEvent] = field(default_factory=list)

    @property
    def changed(self) -> list[tuple[RecordRead, Verdict]]:
        """Those of which an event is recorded."""
        return [(read, verdict) for read, verdict in self.judged if verdict.kind is not None]


def record_page(page: ReadPage, run: PollRun, *, now: datetime) -> int:
    """Judge, record and remember what a page has shown; return the number of events. Inside its transaction."""
    judged = judge_pages([page])
    write_pages([(judged[0], run)], now=now)
    return len(judged[0].events)


def judge_pages(pages: Sequence[ReadPage]) -> list[JudgedPage]:
    """Judge each record of these pages, one page a poll, against what is known of it. Reads, and writes nothing."""
    before = read_known({page.poll.pk: page.ids for page in pages if page.known is None})
    found = [_judge(page, before[page.poll.pk] if page.known is None else page.known) for page in pages]
    tracked = [page for page in found if page.page.plan.keeps_changes]
    texts = read_bodies({page.page.poll.pk: [read.seen.record_id for read, _ in page.changed] for page in tracked})
    shapes = shapes_of((page.page.poll, page.page.plan) for page in found if page.changed)
    for page in found:
        key = page.page.poll.pk
        page.events = _events(page, texts.get(key, {}), shapes.get(key, AS_IT_IS))
    return found


def write_pages(pages: Sequence[tuple[JudgedPage, PollRun]], *, now: datetime) -> None:
    """Remember and record what these pages mean, each as of its run, which is stored by now if it has events."""
    remember_all([(page.page.poll.pk, row) for page, _ in pages for row in _remembered(page)])
    # They are there, whatever a sweep did not find.
    seen = {page.page.poll.pk: page.page.ids for page, _ in pages if page.page.plan.detect_deletes and page.page.ids}
    if seen:
        MissingRecord.objects.filter(of_records(seen)).delete()
    record_events([PollEvents(page.page.poll, run, page.events) for page, run in pages if page.events], now=now)


def _judge(page: ReadPage, known: Mapping[int, Snapshot]) -> JudgedPage:
    records = page.reading.records
    judged = [(read, judge(read.seen, known.get(read.seen.record_id), page.watch)) for read in records]
    return JudgedPage(page, known, judged)


def _events(page: JudgedPage, texts: Mapping[int, str], shape: EventShape) -> list[NewEvent]:
    poll, plan, seen = page.page.poll, page.page.plan, page.page.seen
    titles = plan.titles
    return [
        NewEvent(
            object_type=poll.name,
            object_id=read.object_id,
            record_id=read.seen.record_id,
            kind=verdict.kind or "",
            occurred_at=read.seen.updated or seen,
            polled_at=seen,
            record=shape.text(read.text.decode()),
            title=title_of(read.record, titles),
            changes=_field_changes(page, read, verdict, texts, shape) if plan.keeps_changes else None,
            changes_for_filters=plan.tracks_for_filters and not plan.track_changes,
        )
        for read, verdict in page.changed
    ]


def _field_changes(
    page: JudgedPage, read: RecordRead, verdict: Verdict, texts: Mapping[int, str], shape: EventShape
) -> str | None:
    if verdict.kind != "UPDATED":
        return None
    if verdict.same_content:
        return "[]"
    number = read.seen.record_id
    earlier = _earlier(texts.get(number), page.known.get(number))
    return "null" if earlier is None else orjson.dumps(shape.changes(earlier, read.record)).decode()


def _earlier(text: str | None, known: Snapshot | None) -> dict[str, Any] | None:
    """Return the content that is known of a record; None where its text was not kept, or is one of before that.

    Where nobody asks for texts any more those that there are stay as they are, until retention deletes them.
    """
    if text is None or known is None:
        return None
    record: dict[str, Any] = orjson.loads(text)
    comparable = known.digest[0] == DIGEST_VERSION
    return None if comparable and digest(record) != known.digest else record


def _remembered(page: JudgedPage) -> list[NewSnapshot]:
    better = page.page.known or {}
    return [
        _snapshot(read, verdict, keeps_body=page.page.plan.keeps_bodies)
        for read, verdict in page.judged
        if verdict.remember or read.seen.record_id in better
    ]


def _snapshot(read: RecordRead, verdict: Verdict, *, keeps_body: bool) -> NewSnapshot:
    gone_in_silence = verdict.gone and verdict.kind is None
    stamp = None if gone_in_silence else read.seen.stamp
    body = read.text.decode() if keeps_body else None
    return NewSnapshot(read.seen.record_id, stamp, read.seen.digest, body, verdict.gone)
