"""Which changes ConnectWise announced: events looked at in the log's order, some minutes after they were recorded.

An event counts as announced when a verified callback about its record arrived from five minutes before its stamp, for
clocks, to ten minutes after it was recorded; of a delete, whose time nobody knows, at any time before. Counted are
events that a callback could have announced: of polls, announced reads and sweeps' deletes, whose type was registered
before they happened. Backfills and repairs read what is long past.

A type is *silent* when its last three changes within a day were announced by none, and no callback of it has been
verified since. That is written at its registration, where the overview finds it, and goes with the next callback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import BooleanField, F, Max, Min, Q, QuerySet
from django.db.models.expressions import RawSQL

from cwconnect.connectwise.callbacks.types import type_of_path
from cwconnect.core.bulk_sql import any_of
from instances.models import ResourcePoll
from polling.callbacks.counts import ANNOUNCED, MILLISECONDS, UNANNOUNCED, Counted, add_counts
from polling.detection.jobs import plan_of_poll
from polling.log.event_ids import complete_upto
from polling.models import CallbackEndpoint, CallbackHint, CallbackRegistration, Event, PollRun, StoredCounter

EXAMINED_AFTER = timedelta(minutes=10)  # so long a callback may be under way
BEFORE = timedelta(minutes=5)  # ConnectWise's clock may be ahead of ours
SILENT_AFTER = 3  # changes that none announced
DAY = timedelta(days=1)
STEP, MOST_STEPS = 500, 20  # events of one transaction, and transactions of one run
_NAME = "announced events"
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_TYPED = ("instance_id", "type")
_COUNTED = Q(run__kind__in=(PollRun.Kind.POLL, PollRun.Kind.ANNOUNCED)) | Q(
    run__kind=PollRun.Kind.SWEEP, kind=Event.Kind.DELETED
)
# Written out: SQLite takes a partial index for constants only, never for bound values.
VERIFIED_HINT = RawSQL("polling_callbackhint.status = 'verified'", [], output_field=BooleanField())

Typed = tuple[int, str]  # instance and type


@dataclass(frozen=True)
class Change:
    """An event that a callback could have announced, from when and until when, and when it was recorded."""

    instance_id: int
    type: str
    record_id: int
    deleted: bool
    first: datetime
    last: datetime
    recorded_at: datetime

    def announced_at(self, hints: Iterable[Hint]) -> datetime | None:
        """Return when the first of these callbacks arrived that announced it; of a delete, one that says so."""
        fitting = (hint for hint in hints if not self.deleted or hint.action == "deleted")
        times = (hint.received_at for hint in fitting if self.first <= hint.received_at <= self.last)
        return min(times, default=None)


@dataclass(frozen=True)
class Hint:
    """What a verified callback said, and when it arrived."""

    action: str
    received_at: datetime


def examine_events(now: datetime) -> int:
    """Count which of the events that have settled were announced; give how many were looked at. A periodic job."""
    if not CallbackEndpoint.objects.exists():
        return 0
    seen = 0
    for _ in range(MOST_STEPS):
        count = _step(now)
        seen += count
        if count < STEP:
            break
    return seen


@transaction.atomic
def _step(now: datetime) -> int:
    """Look at `STEP` events at most, so that other writers never wait long; give how many those were."""
    _lock()
    # Who compares or changes an instance holds its endpoint: that one's events are looked at next time.
    endpoints = CallbackEndpoint.objects.select_for_update(skip_locked=True).values_list("pk", "examined_upto")
    ours = dict(endpoints.order_by("pk"))
    if not ours:
        return 0
    low = min(ours.values())
    bound = _settled(low, now)
    ahead = Event.objects.filter(
        pk__gt=low,
        pk__lte=bound,
        instance_id__in=any_of(ours),
        instance__callback_endpoint__examined_upto__lt=F("pk"),
    )
    keys = list(ahead.order_by("pk").values_list("pk", flat=True)[:STEP])
    missed = _count(Event.objects.filter(pk__in=any_of(keys)), now) if keys else {}
    _note_silence(ours, missed, now)
    upto = keys[-1] if len(keys) == STEP else bound
    CallbackEndpoint.objects.filter(pk__in=any_of(ours), examined_upto__lt=upto).update(examined_upto=upto)
    return len(keys)


def _lock() -> None:
    """Wait for another worker that is at it, which an overlong run of this job would meet."""
    StoredCounter.objects.bulk_create([StoredCounter(name=_NAME)], ignore_conflicts=True)
    StoredCounter.objects.select_for_update().get(name=_NAME)


def _settled(low: int, now: datetime) -> int:
    """Return the id up to which events are old enough, and none is still to become visible."""
    complete = complete_upto()
    later = Event.objects.filter(pk__gt=low) if complete is None else Event.objects.filter(pk__gt=low, pk__lte=complete)
    young = later.filter(polled_at__gt=now - EXAMINED_AFTER).aggregate(first=Min("pk"))["first"]
    return int(young) - 1 if young is not None else int(later.aggregate(last=Max("pk"))["last"] or low)


def _count(events: QuerySet[Event], now: datetime) -> dict[Typed, list[datetime]]:
    """Count these events; return when those were recorded that none announced."""
    changes = list(_changes(events))
    hints = _hints(changes)
    counted: Counter[Counted] = Counter()
    missed: dict[Typed, list[datetime]] = {}
    for change in changes:
        typed = change.instance_id, change.type
        arrived = change.announced_at(hints.get((*typed, change.record_id), ()))
        if arrived is None:
            counted[*typed, UNANNOUNCED] += 1
            missed.setdefault(typed, []).append(change.recorded_at)
        else:
            counted[*typed, ANNOUNCED] += 1
            counted[*typed, MILLISECONDS] += max(0, (change.recorded_at - arrived) // timedelta(milliseconds=1))
    add_counts(counted, now)
    return missed


def _changes(events: QuerySet[Event]) -> Iterable[Change]:
    """Return those of the events that a callback could have announced."""
    found = list(events.filter(_COUNTED).select_related("run").defer("record", "changes").order_by("pk"))
    polls = ResourcePoll.objects.in_bulk({event.resource_poll_id for event in found} - {None})
    active = _active({event.instance_id for event in found})
    for event in found:
        poll = polls.get(event.resource_poll_id)
        if poll is None:
            continue
        plan = plan_of_poll(poll)
        type_ = type_of_path(plan.hub.path) or ""
        since = active.get((event.instance_id, type_))
        assert event.run is not None  # noqa: S101  (they are asked for by its kind)
        # What a sweep misses was there when the one before it looked, and deleted at some time since.
        earlier = plan.sweep_interval if event.run.kind == PollRun.Kind.SWEEP else timedelta(0)
        if since is not None and since + earlier <= event.occurred_at:
            yield _change(event, type_)


def _change(event: Event, type_: str) -> Change:
    recorded_at = (event.run and event.run.finished_at) or event.polled_at
    deleted = event.kind == Event.Kind.DELETED
    first = _EARLIEST if deleted else min(event.occurred_at, recorded_at) - BEFORE
    last = recorded_at + EXAMINED_AFTER
    return Change(event.instance_id, type_, event.record_id, deleted, first, last, recorded_at)


def _active(instance_ids: Collection[int]) -> dict[Typed, datetime]:
    """Return since when each type is registered that is."""
    rows = CallbackRegistration.objects.filter(
        instance_id__in=instance_ids, status=CallbackRegistration.Status.ACTIVE, active_since__isnull=False
    )
    return {(instance_id, type_): since for instance_id, type_, since in rows.values_list(*_TYPED, "active_since")}


def _hints(changes: Sequence[Change]) -> dict[tuple[int, str, int], list[Hint]]:
    """Return the verified callbacks about the records of these changes: a query for each instance."""
    by_instance: dict[int, list[Change]] = {}
    for change in changes:
        by_instance.setdefault(change.instance_id, []).append(change)
    found: dict[tuple[int, str, int], list[Hint]] = {}
    for instance_id, its in by_instance.items():
        rows = CallbackHint.objects.filter(
            VERIFIED_HINT,
            instance_id=instance_id,
            type__in={change.type for change in its},
            record_id__in=any_of({change.record_id for change in its}),
            received_at__gte=min(change.first for change in its),
        )
        for type_, record_id, action, received_at in rows.values_list("type", "record_id", "action", "received_at"):
            assert record_id is not None  # noqa: S101  (one of those asked for)
            found.setdefault((instance_id, type_, record_id), []).append(Hint(action.lower(), received_at))
    return found


def _note_silence(ours: Iterable[int], missed: Mapping[Typed, Sequence[datetime]], now: datetime) -> None:
    """Note at each registration of these instances how long it has been silent, or that it is no more."""
    concerned = Q(instance_id__in={instance_id for instance_id, _ in missed}) | Q(silent_since__isnull=False)
    for row in CallbackRegistration.objects.filter(concerned, instance_id__in=any_of(ours)).order_by("pk"):
        new = missed.get((row.instance_id, row.type), ())
        if not new and row.silent_since is None:
            continue
        times = _unannounced(row, new, now)
        silent = len(times) >= SILENT_AFTER
        since = (row.silent_since or times[0]) if silent else None
        texts = [each.isoformat() for each in times]
        if (texts, since) != (row.unannounced, row.silent_since):
            CallbackRegistration.objects.filter(pk=row.pk).update(unannounced=texts, silent_since=since)


def _unannounced(row: CallbackRegistration, new: Iterable[datetime], now: datetime) -> list[datetime]:
    """Return when the last few changes were recorded that no callback announced, nor has one come since."""
    if row.status != CallbackRegistration.Status.ACTIVE or row.active_since is None:
        return []
    hints = CallbackHint.objects.filter(VERIFIED_HINT, instance_id=row.instance_id, type=row.type)
    heard = hints.aggregate(last=Max("received_at"))["last"] or row.active_since
    after = max(heard, row.active_since, now - DAY)
    known = (datetime.fromisoformat(text) for text in row.unannounced)
    return sorted(each for each in (*known, *new) if each > after)[-SILENT_AFTER:]
