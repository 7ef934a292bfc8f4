"""What a woken poll did not bring: announced records read by their ids, and announced deletes confirmed.

A note or a time entry beneath a ticket may change it without moving its stamp, so that no window shows it. It is read
by its id, once, and judged and recorded as a poll's record is; where nothing changed, nothing is recorded.

An announced delete is believed when two questions by id, some seconds apart, are answered 404 `NotFound` while a row
known to live is there. It is recorded as a sweep would record it, under the sweep's guard: together with what else went
since the last sweep it is held where that is very much. A sweep under way goes first: it finds the row gone as well.

What fails is tried again a few times; then the next poll or sweep finds what there is to be found.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from cwconnect.connectwise.client import Page
from cwconnect.connectwise.errors import RateLimited
from cwconnect.core.bulk_sql import any_of
from polling.callbacks.announced_deletes import Confirmation, hold_or_record
from polling.callbacks.waking import LATER
from polling.detection.changes import Watch
from polling.detection.claiming import with_room
from polling.detection.deletes.sweeps import EVER
from polling.detection.jobs import LEASE, Claimed, Work, more_notes
from polling.detection.outcomes import block_site, usable_date
from polling.detection.reading import Reading, read_records
from polling.detection.reads_by_id import id_batches, read_rows, rows_answered
from polling.detection.recording import ReadPage, record_page, watch_of
from polling.detection.snapshots import read_snapshots
from polling.models import AnnouncedRecord, Event, PollRun, PollState, RecordSnapshot, Site
from polling.workers.due import WELL, sweep_goes_first
from polling.workers.leases import DATABASE_DOWN, claim, end_lease, fence, free, release

log = logging.getLogger(__name__)

MOST_TRIES = 3
NOT_FOUND_TWICE = 2
CHANGES_AT_ONCE, DELETES_AT_ONCE = 200, 20
DELETES_APART = timedelta(seconds=3)  # two questions for a record that is said to be gone
AGAIN_AFTER = timedelta(seconds=10)
FORGOTTEN_AFTER = timedelta(days=1)


def to_be_read(now: datetime) -> QuerySet[AnnouncedRecord]:
    """Find the announced records whose time to be read has come."""
    return AnnouncedRecord.objects.filter(next_read_at__lte=now)


def announced_due(polls: QuerySet[PollState]) -> QuerySet[PollState]:
    """Return those of these polls whose announced records may be read: their own poll is over, and no sweep runs.

    The same that wakes a worker (`due.may_read_announced`), asked of the rows that a claim locks.
    """
    now = timezone.now()
    waiting = to_be_read(now).filter(resource_poll=OuterRef("resource_poll"))
    well = polls.filter(Exists(waiting), free(now), health__in=WELL, next_poll_at__gt=now)
    return well.exclude(sweep_goes_first())


def forget_settled() -> None:
    """Drop announced records that nobody needs to ask for.

    That is, those of which an event was recorded by a run that began after the callback arrived; deletes of what was
    never known, or is known to be gone: one that came and went between two polls is no event; and what has waited for
    a day for a poll that ConnectWise refuses.
    """
    now = timezone.now()
    mine = {"resource_poll": OuterRef("resource_poll"), "record_id": OuterRef("record_id")}
    living = RecordSnapshot.objects.filter(**mine, gone=False)
    brought = Event.objects.filter(**mine, run__started_at__gte=OuterRef("announced_at"))
    settled = (
        Q(Exists(brought), deleted=False) | Q(~Exists(living), deleted=True) | Q(announced_at__lt=now - FORGOTTEN_AFTER)
    )
    found = to_be_read(now).filter(settled).order_by("resource_poll_id", "record_id")
    for poll_id, record_id, at in found.values_list("resource_poll_id", "record_id", "announced_at"):
        AnnouncedRecord.objects.filter(pk=(poll_id, record_id), announced_at=at).delete()


def claim_announced(capacity: int, running: Collection[Work]) -> list[Work]:
    """Claim polls with announced records to read, where company and host have room. A source of the workers' loop."""
    if capacity <= 0 or not to_be_read(timezone.now()).exists():
        return []
    forget_settled()
    now = timezone.now()
    blocked = Site.objects.filter(blocked_until__gt=now).values("key")
    due = announced_due(PollState.objects.exclude(site__in=blocked))
    rows = due.order_by("pk").values_list("pk", "site", "host")[: 4 * capacity]
    chosen = with_room(rows, capacity, running)
    token, keys = claim(due, chosen, now=now, length=LEASE) if chosen else ("", [])
    states = PollState.objects.filter(pk__in=keys).select_related("resource_poll__instance")
    return [job for state in states if (job := _start(state, token)) is not None]


def _start(state: PollState, token: str) -> AnnouncedJob | None:
    """Return the job; None where it can't begin, for a secret that no key opens maybe: the poll will say so."""
    try:
        return AnnouncedJob(state, token)
    except DATABASE_DOWN:
        raise
    except Exception as error:  # noqa: BLE001  (one that can't begin must not stop the others)
        log.warning("%s: announced records can't be read: %s", state.resource_poll, error)
        put_off(to_be_read(timezone.now()).filter(resource_poll=state.resource_poll), LATER)
        release(PollState, [state.pk], token)
        return None


def put_off(rows: QuerySet[AnnouncedRecord], wait: timedelta, **changes: Any) -> None:
    """Have these tried again after a while, a few times, and write `changes` along."""
    rows.filter(tries__gte=MOST_TRIES).delete()
    rows.update(tries=F("tries") + 1, next_read_at=timezone.now() + wait, **changes)


class AnnouncedJob(Claimed, Work):
    """A claimed poll whose announced records are read: changes by one request, then deletes one by one."""

    def __init__(self, state: PollState, token: str) -> None:
        super().__init__(state, token)
        rows = to_be_read(self.started_at).filter(resource_poll=self.poll)
        changes = rows.filter(deleted=False).order_by("record_id")[:CHANGES_AT_ONCE]
        self._changed = {row.record_id: row for row in changes}
        gone = rows.filter(deleted=True).order_by("next_read_at", "record_id")[:DELETES_AT_ONCE]
        if not self.plan.detect_deletes:  # any more
            rows.filter(deleted=True).delete()
        self._confirmation = Confirmation(self.poll.pk, list(gone))
        self._settle: Callable[[Any], bool] = self._commit_changes
        self._batch: Sequence[int] = ()

    @property
    def about(self) -> Mapping[str, int | None]:
        """The instance."""
        return {"instance_id": self.instance.pk}

    def open_run(self) -> PollRun:
        """Return a run, not yet stored: a read stores it, and a round of questions only with deletes."""
        kind = PollRun.Kind.ANNOUNCED
        return PollRun(resource_poll=self.poll, kind=kind, opening=None, started_at=self.started_at)

    def request(self) -> Callable[[], Any]:
        """Return the next request: changed records by their ids, a record said to be gone, or the canary."""
        client, plan = self.client, self.plan
        if self._changed:
            opening = plan.opening(self.since)
            batch = next(iter(id_batches(plan, sorted(self._changed), opening=opening, filtered=True)))
            self._settle, self._batch = self._commit_changes, batch
            return lambda: read_rows(client, plan, batch, opening=opening, filtered=True)
        self._settle = self._commit_answer
        return self._confirmation.request(client, plan.hub.path)

    def commit(self, answer: Any) -> bool:
        """Write what a request brought; give whether there is more to ask."""
        return self._settle(answer)

    def fail(self, error: Exception) -> None:
        """Have it tried again in a while, a few times."""
        now = timezone.now()
        ids = [*self._changed, *self._confirmation.ids]
        with transaction.atomic():
            end_lease(PollState, self.key, self.token)
            put_off(self._rows(ids), LATER)
            if isinstance(error, RateLimited):
                block_site(self.site, now + LATER)

    def _rows(self, ids: Collection[int]) -> QuerySet[AnnouncedRecord]:
        """Return these records' rows, unless they were announced anew since this began.

        Locked by their ids, as a callback writes them: in another order the two would wait for each other.
        """
        rows = AnnouncedRecord.objects.filter(resource_poll=self.poll, record_id__in=any_of(ids))
        list(rows.order_by("record_id").select_for_update().values_list("record_id"))
        return rows.filter(announced_at__lte=self.started_at)

    def _commit_changes(self, page: Page) -> bool:
        now = timezone.now()
        nulls, closing = self.instance.filter_nulls, usable_date(page.date, now)
        reading = read_records(page.records, self.plan, opening=EVER, closing=closing, filter_nulls=nulls)
        watch = watch_of(self.poll, self.plan, self.since, vouched=self.plan.hub.windowed)
        answered = rows_answered(self._batch, page)
        with transaction.atomic():
            fence(PollState, self.key, self.token, lease_until=now + LEASE)
            self._store_run(len(page.records), [*page.skipped, *page.notes, *reading.problems], now)
            self.run.skipped += reading.skipped + len(page.skipped)
            read = ReadPage(self.poll, self.plan, watch, self._judgeable(reading, watch), page.date or now)
            self.run.events += record_page(read, self.run, now=now)
            self.run.save()
            self._rows(answered).delete()
            more = self._take(answered)
            if not more:
                end_lease(PollState, self.key, self.token)
        return more

    def _judgeable(self, reading: Reading, watch: Watch) -> Reading:
        """Leave out what looks as it was before watching began, and was never read: its poll is to say what it is.

        That knows of a clock that was set back; remembered in silence here, it would be old news there.
        """
        known = read_snapshots(self.poll.pk, [read.seen.record_id for read in reading.records])
        read_before = {number for number, snapshot in known.items() if not snapshot.unread}
        return replace(
            reading,
            records=[
                read
                for read in reading.records
                if read.seen.record_id in read_before
                or read.seen.record_id > watch.high_water_id
                or not watch.from_before(read.seen)
            ],
        )

    def _take(self, answered: Collection[int]) -> bool:
        """Leave out what was answered; give whether there is more to ask."""
        for number in answered:
            self._changed.pop(number, None)
        return bool(self._changed or self._confirmation.ids)

    def _store_run(self, records: int, problems: list[str], now: datetime) -> None:
        run = self.run
        run.page += 1
        run.records += records
        run.notes = more_notes(run.notes, problems)
        run.status, run.finished_at = PollRun.Status.COMPLETE, now
        run.save()

    def _commit_answer(self, answer: Any) -> bool:
        now = timezone.now()
        found = self._confirmation
        with transaction.atomic():
            fence(PollState, self.key, self.token, lease_until=now + LEASE)
            if not found.take(answer):
                return True
            asked_again = self._rows(found.absent).filter(not_found__lt=NOT_FOUND_TWICE - 1)
            asked_again.update(not_found=F("not_found") + 1, next_read_at=now + DELETES_APART)
            put_off(self._rows(found.there), AGAIN_AFTER, not_found=0)
            if found.confirmed:
                self._store_run(0, [], now)
                health = hold_or_record(
                    self.poll, self.plan, self.run, found.confirmed, now, anyone_left=found.anyone_left
                )
                self.run.save()
                self._rows(found.confirmed).delete()
                end_lease(PollState, self.key, self.token, health=health)
            else:
                end_lease(PollState, self.key, self.token)
        return False
