"""The page *Verify*: ConnectWise compared with the event log, resource by resource, and the repair of what is missing.

The workers compare and repair; the page asks for it, and each row of its table asks how far they came until they are
done. What was repaired is compared once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from django.contrib import messages
from django.db.models import Count, Max, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from cwconnect.core.errors import DomainError
from cwconnect.core.text import counted
from instances.models import ResourcePoll
from instances.pages.access import PageRequest, page
from polling.models import RecordSnapshot, Repair, Verification
from polling.pages.named_records import NamedRecord, named_records
from polling.pages.refreshing import refreshed_part
from polling.pages.shared import own_poll
from polling.reports.instance_status import instance_status_of
from polling.verification.repair_job import start_repair
from polling.verification.report import Finding, finding_of, start_verification

_IDS = 20
Asked = TypeVar("Asked", Verification, Repair)


@dataclass(frozen=True)
class Row:
    """One resource in the table: its last verification and repair, if there were any, and what the former found."""

    poll: ResourcePoll
    verification: Verification | None
    repair: Repair | None
    finding: Finding | None
    expected: int
    records: Sequence[NamedRecord] = ()

    @property
    def comparing(self) -> bool:
        """Whether it is compared at present."""
        return self.verification is not None and self.verification.status == Verification.Status.OPEN

    @property
    def repairing(self) -> bool:
        """Whether it is repaired at present."""
        return self.repair is not None and self.repair.status == Repair.Status.OPEN

    @property
    def open(self) -> bool:
        """Whether the workers are at it."""
        return self.comparing or self.repairing

    @property
    def missing(self) -> int:
        """How many records are missing; `records` are the first of them."""
        return len(missing_ids(self.finding))

    @property
    def verdict(self) -> str:
        """What came of it, in words: only what was compared to the last record is plainly complete."""
        found = self.finding
        if found is None or not found.whole:
            return "incomplete" if self.missing or (found and found.lost) else "pending"
        return "complete as far as known" if found.not_known or found.held else "complete"

    @property
    def repair_error(self) -> str:
        """Say why what this verification found could not be repaired."""
        done, looked = self.repair, self.verification
        if done is None or looked is None or done.verification_id != looked.pk:
            return ""
        return done.error if done.status == Repair.Status.FAILED else ""

    @property
    def repaired(self) -> str:
        """Say what the repair did that this verification looks at."""
        done, looks = self.repair, self.verification
        if done is None or looks is None or done.finished_at is None or done.finished_at != looks.asked_at:
            return ""
        rows = counted(done.rows, "record was read", "records were read")
        recorded = counted(done.events, "event was recorded", "events were recorded")
        return f"{rows} again, {recorded}, {counted(done.resent, 'event')} sent again."


@page
def verify_page(request: PageRequest, number: int) -> HttpResponse:
    """Show the resources with what was found of each last; have them all compared."""
    instance = request.person.instance(number)
    polls = list(instance.resource_polls.filter(enabled=True, since__isnull=False).order_by("name"))
    if request.method == "POST":
        for poll in polls:
            _start(request, poll)
        return redirect("verify-page", number)
    context = {"instance": instance, "rows": _rows(polls), "status": instance_status_of(instance, timezone.now())}
    return render(request, "polling/verify.html", context | {"tab": "verify", "here": "instances"})


@page
def verify_poll(request: PageRequest, number: int, poll: int) -> HttpResponse:
    """Show how far one resource's comparison came; have it compared, or repaired and compared once more."""
    found = own_poll(request, number, poll)
    if request.method != "POST":
        context = {"instance": found.instance, "row": _rows([found])[0]}
        return refreshed_part(request, "polling/parts/verified.html", context)
    if "repair" in request.POST:
        _repair(request, found)
    else:
        _start(request, found)
    return redirect("verify-page", number)


def _rows(polls: Sequence[ResourcePoll]) -> list[Row]:
    """Return the rows of these resources: seven queries."""
    verifications = {row.resource_poll_id: row for row in _newest(Verification.objects.defer("comparison"), polls)}
    repairs = {row.resource_poll_id: row for row in _newest(Repair.objects.all(), polls)}
    under_way = [key for key, row in verifications.items() if row.status == Verification.Status.OPEN]
    living = RecordSnapshot.objects.filter(resource_poll__in=under_way, gone=False)
    known = dict(living.values_list("resource_poll").annotate(n=Count("record_id")).order_by())
    rows = [_row(poll, verifications.get(poll.pk), repairs.get(poll.pk), known.get(poll.pk, 0)) for poll in polls]
    records = named_records({row.poll: missing_ids(row.finding)[:_IDS] for row in rows})
    return [replace(row, records=records[row.poll.pk]) for row in rows]


def missing_ids(finding: Finding | None) -> list[int]:
    """Return the ids of the records that a comparison found missing, in their order."""
    return sorted({*finding.missed, *finding.stale, *finding.deleted, *finding.undated}) if finding else []


def _newest(rows: QuerySet[Asked], polls: Sequence[ResourcePoll]) -> QuerySet[Asked]:
    """Return the newest row of each poll."""
    newest = rows.filter(resource_poll__in=polls).values("resource_poll").annotate(newest=Max("pk")).order_by()
    return rows.filter(pk__in=[row["newest"] for row in newest])


def _row(poll: ResourcePoll, verification: Verification | None, repair: Repair | None, known: int) -> Row:
    if verification is None:
        return Row(poll, None, None, None, 0)
    verification.resource_poll = poll
    return Row(poll, verification, repair, finding_of(verification), max(known, verification.source))


def _start(request: PageRequest, poll: ResourcePoll) -> None:
    try:
        start_verification(poll, timezone.now())
    except DomainError as error:
        messages.error(request, f"{poll.name} can't be compared. {error.message}")


def _repair(request: PageRequest, poll: ResourcePoll) -> None:
    try:
        start_repair(poll, timezone.now())
    except DomainError as error:
        messages.error(request, f"{poll.name} is not repaired. {error.message}")
