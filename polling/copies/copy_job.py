"""Copies as the workers read them: page by page by id, beside the polls and behind them, under a lease of their own.

A page is kept in the transaction that says how far the copy came, fenced by the lease: a worker that dies leaves the
next one to go on with the page after the last, and none is kept twice. One copy of a company is read at a time, one
request after another, and a poll of the company that is due goes first. What fails for a reason that passes is tried
again as a poll would be; what ConnectWise refuses ends it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from cwconnect.connectwise.client import Client, Page
from cwconnect.connectwise.errors import BadAnswer, ConnectWiseError, Forbidden, NotFound, Rejected
from instances.connections import client_for
from instances.hub import mappings
from instances.hub.reads import shown_as
from instances.models import ResourcePoll, Transformation
from instances.secrets import SecretUnreadableError
from polling.copies.page_bodies import Columns, columns_of, joined, pack
from polling.copies.watched import watching_of
from polling.detection.claiming import with_room
from polling.detection.failures import decide_retry
from polling.detection.jobs import LEASE, Work, more_notes
from polling.detection.outcomes import block_site, sentence_of
from polling.detection.snapshots import meet
from polling.detection.watching import site_key
from polling.models import Copy, CopyPage, PollState
from polling.workers.due import may_copy
from polling.workers.leases import claim, end_lease, fence, free

log = logging.getLogger(__name__)

AT_A_TIME = 2  # a worker's, each of another company
MOST_FAILURES = 24  # in a row: some five hours
BEHIND_POLLS = timedelta(seconds=1)
ANOTHER_COMPANY = "The instance was given another ConnectWise company meanwhile. Start another copy."
_UNCOUNTED = (BadAnswer, Forbidden, NotFound, Rejected)  # of a list that is read well all the same


@dataclass(frozen=True)
class CopyAnswer:
    """A page of a copy as it was read and is to be kept, and how many records there are, where that was asked."""

    page: Page
    body: bytes
    columns: Columns
    total: int | None


class CopyJob(Work):
    """A claimed copy."""

    row = Copy

    def __init__(self, copy: Copy, token: str) -> None:
        self.copy, self.instance = copy, copy.instance
        self.key, self.token = copy.pk, token
        self.site, self.host = copy.site, copy.host
        self.client = client_for(self.instance)
        self.mapping = mappings.mapping_of(Transformation(**copy.mapping)) if copy.mapping else None
        # Read before the first page is: what the poll had seen by then, the copy finds.
        found = watching_of(self.instance, copy.path)
        self.watching = found if found and found.on else None

    @property
    def subject(self) -> str:
        """What log lines call it."""
        return str(self.copy)

    @property
    def about(self) -> Mapping[str, int | None]:
        """The instance."""
        return {"instance_id": self.instance.pk}

    def request(self) -> Callable[[], CopyAnswer]:
        """Return the next request; with the first, the records are counted."""
        client, copy, mapping, keep_nulls = self.client, self.copy, self.mapping, not self.instance.filter_nulls
        path, params, after_id, counts = copy.path, copy.params, copy.reached_id, copy.reached_id == 0

        def read() -> CopyAnswer:
            total = count(client, path, params) if counts else None
            page = client.page(path, params, after_id=after_id)
            shown = [shown_as(record, mapping, keep_nulls=keep_nulls) for record in page.records]
            return CopyAnswer(page, pack(shown), columns_of(shown), total)

        return read

    def commit(self, answer: CopyAnswer) -> bool:
        """Keep a page; return whether the copy goes on here and now."""
        copy, page, now = self.copy, answer.page, timezone.now()
        if copy.reached_id == 0:
            copy.total = answer.total
            self._begin_watching()
        meets = self._meeting_poll()
        copy.watches_deletes = meets is not None
        copy.records += len(page.records)
        copy.failed += len(page.skipped)
        copy.notes = more_notes(copy.notes, page.skipped)
        copy.reached_id = max(copy.reached_id, page.last_id)
        copy.columns = [*joined(dict(copy.columns), answer.columns).items()]
        copy.pages += bool(page.records)
        copy.size += len(answer.body) if page.records else 0
        with transaction.atomic():
            fence(Copy, self.key, self.token, lease_until=now + LEASE, failures=0, error="", **self._advanced())
            if page.records:
                CopyPage.objects.create(copy_id=self.key, number=copy.pages, body=answer.body)
            if meets is not None:
                meet(meets.pk, [record["id"] for record in page.records])
            waits = not page.is_last and self._polls_wait(now)
            if page.is_last:
                end(copy, self.token, now, status=Copy.Status.COMPLETED)
            elif waits:
                end_lease(Copy, self.key, self.token, next_try_at=now + BEHIND_POLLS)
        copy.failures = 0
        return not (page.is_last or waits)

    def fail(self, error: Exception) -> None:
        """Write that it did not go on, and when it is tried again, if at all."""
        fail(self.copy, self.token, error)

    def _begin_watching(self) -> None:
        copy, watching = self.copy, self.watching
        copy.watched_poll = watching.poll if watching else None
        copy.watched_from = watching.since if watching else None
        copy.watches_deletes = watching is not None and watching.plan.detect_deletes

    def _meeting_poll(self) -> ResourcePoll | None:
        """Return the poll that is to know each record by its id, so that a sweep finds what is deleted from now on."""
        copy, watching = self.copy, self.watching
        if not copy.watches_deletes or watching is None or not watching.plan.detect_deletes:
            return None
        return watching.poll if watching.poll == copy.watched_poll else None

    def _advanced(self) -> dict[str, Any]:
        copy = self.copy
        names = ("total", "records", "failed", "notes", "reached_id", "columns", "pages", "size")
        watched = ("watched_poll", "watched_from", "watches_deletes")
        return {name: getattr(copy, name) for name in (*names, *watched)}

    def _polls_wait(self, now: datetime) -> bool:
        """Whether a poll of the company is due and nobody has it: it goes before the next page."""
        return PollState.objects.filter(free(now), site=self.site, next_poll_at__lte=now).exists()


def count(client: Client, path: str, params: Mapping[str, str]) -> int | None:
    """Return how many records a copy will have; None where the list can't be counted."""
    try:
        return client.count(path, params.get("conditions"), params.get("childConditions"))
    except _UNCOUNTED as error:
        log.info("%s is not counted: %s", path, error)
        return None


def end(copy: Copy, token: str, now: datetime, **changes: Any) -> None:
    """Write that a copy has ended, and until when it is kept."""
    until = now + timedelta(days=settings.COPY_DAYS)
    end_lease(Copy, copy.pk, token, finished_at=now, expires_at=until, next_try_at=None, **changes)


def fail(copy: Copy, token: str, error: Exception) -> None:
    """Write that a copy did not go on. What it has kept stays, for the next try."""
    now, failures = timezone.now(), copy.failures + 1
    reason = error if isinstance(error, ConnectWiseError) else None
    decision, words = decide_retry(reason, failures), sentence_of(reason, error)
    if decision.site_waits:
        block_site(copy.site, now + decision.wait)
    if reason is None or not reason.retryable or failures >= MOST_FAILURES:
        end(copy, token, now, status=Copy.Status.FAILED, failures=failures, error=words)
        return
    end_lease(Copy, copy.pk, token, failures=failures, error=words, next_try_at=now + decision.wait)


def claim_copies(capacity: int, running: Collection[Work]) -> list[Work]:
    """Claim copies that are due, one of a company, the longest due first. A source of the workers' loop."""
    capacity = min(capacity, AT_A_TIME - sum(isinstance(job, CopyJob) for job in running))
    now = timezone.now()
    due = may_copy(now).filter(next_try_at__lte=now)
    if capacity <= 0:
        return []
    rows = due.filter(free(now)).order_by("next_try_at").values_list("pk", "site", "host")[:100]
    chosen = with_room(rows, capacity, running, alone=CopyJob)
    if not chosen:
        return []
    token, keys = claim(due, chosen, now=now, length=LEASE)
    Copy.objects.filter(pk__in=keys, status=Copy.Status.CREATED).update(status=Copy.Status.RUNNING, started_at=now)
    copies = Copy.objects.filter(pk__in=keys).select_related("instance__organization", "watched_poll")
    return [job for copy in copies if (job := _start(copy, token)) is not None]


def _start(copy: Copy, token: str) -> CopyJob | None:
    """Return the job; None where it can't begin, which ends the copy."""
    if copy.site != site_key(copy.instance):
        end(copy, token, timezone.now(), status=Copy.Status.FAILED, error=ANOTHER_COMPANY)
        return None
    try:
        return CopyJob(copy, token)
    except SecretUnreadableError as error:
        fail(copy, token, error)
        return None
