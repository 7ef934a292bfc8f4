"""The page *Verify*: ConnectWise compared with what was told, resource by resource, and the repair of what is missing.

The workers compare; the page asks for it, and each row of its table asks how far they came until they are done. A
repair reads just the rows that are missing, within the request, and has the resource compared once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.contrib import messages
from django.db.models import Count, Max
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from cwconnect.connectwise.errors import ConnectWiseError
from cwconnect.errors import Refusal
from instances.access import PageRequest, page
from instances.models import ResourcePoll
from instances.secrets import SecretUnreadableError
from instances.templatetags.cw import counted
from polling.detection.repair import BusyError, Repaired, repair
from polling.detection.verification import Finding, finding_of, start_verification
from polling.models import KnownRecord, Verification
from polling.pages.parts import own_poll
from polling.reports.standing import standing_of
from polling.runtime.leases import LeaseLostError

_IDS = 20
_PATIENCE = timedelta(seconds=30)  # a person waits for the answer


@dataclass(frozen=True)
class Row:
    """One resource in the table: its last verification, if there was any, and what that found once it is complete."""

    poll: ResourcePoll
    verification: Verification | None
    finding: Finding | None
    expected: int

    @property
    def open(self) -> bool:
        """Whether it is compared at present."""
        return self.verification is not None and self.verification.status == Verification.Status.OPEN

    @property
    def missing(self) -> str:
        """Name the first rows that are missing."""
        found = self.finding
        ids = sorted({*found.missed, *found.stale, *found.deleted}) if found else []
        return ", ".join(str(number) for number in ids[:_IDS]) + (", …" if len(ids) > _IDS else "")


@page
def verify_page(request: PageRequest, number: int) -> HttpResponse:
    """Show the resources with what was found of each last; have them all compared."""
    instance = request.person.instance(number)
    polls = list(instance.resource_polls.filter(enabled=True, since__isnull=False).order_by("name"))
    if request.method == "POST":
        for poll in polls:
            _start(request, poll)
        return redirect("verify-page", number)
    context = {"instance": instance, "rows": _rows(polls), "standing": standing_of(instance, timezone.now())}
    return render(request, "polling/verify.html", context | {"tab": "verify", "here": "instances"})


@page
def verify_poll(request: PageRequest, number: int, poll: int) -> HttpResponse:
    """Tell how far one resource's comparison came; have it compared, or repaired and compared once more."""
    found = own_poll(request, number, poll)
    if request.method != "POST":
        context = {"instance": found.instance, "row": _rows([found])[0]}
        return render(request, "polling/parts/verified.html", context)
    if "repair" in request.POST:
        _repair(request, found)
    else:
        _start(request, found)
    return redirect("verify-page", number)


def _rows(polls: Sequence[ResourcePoll]) -> list[Row]:
    """Give the rows of these resources: three queries."""
    newest = Verification.objects.filter(resource_poll__in=polls).values("resource_poll").annotate(newest=Max("pk"))
    keys = [row["newest"] for row in newest.order_by()]
    found = {row.resource_poll_id: row for row in Verification.objects.filter(pk__in=keys).defer("comparison")}
    under_way = [key for key, row in found.items() if row.status == Verification.Status.OPEN]
    living = KnownRecord.objects.filter(resource_poll__in=under_way, gone=False)
    known = dict(living.values_list("resource_poll").annotate(n=Count("record_id")).order_by())
    return [_row(poll, found.get(poll.pk), known.get(poll.pk, 0)) for poll in polls]


def _row(poll: ResourcePoll, verification: Verification | None, known: int) -> Row:
    if verification is None:
        return Row(poll, None, None, 0)
    verification.resource_poll = poll
    return Row(poll, verification, finding_of(verification), max(known, verification.source))


def _start(request: PageRequest, poll: ResourcePoll) -> None:
    try:
        start_verification(poll, timezone.now())
    except Refusal as refusal:
        messages.error(request, f"{poll.name} can't be compared. {refusal.message}")


def _repair(request: PageRequest, poll: ResourcePoll) -> None:
    """Repair what the last verification found, and look once more."""
    (row,) = _rows([poll])
    if row.finding is None:
        messages.warning(request, f"{poll.name} is being compared, or was never: what is missing is not known yet.")
        return
    try:
        repaired = repair(row.finding, patience=_PATIENCE)
    except (ConnectWiseError, BusyError, LeaseLostError, SecretUnreadableError) as error:
        messages.error(request, f"{poll.name} is not repaired. {error}")
        return
    messages.success(request, f"{poll.name} is repaired: {_words(repaired)} It is compared once more.")
    _start(request, poll)


def _words(repaired: Repaired) -> str:
    rows = counted(repaired.rows, "record was read,records were read")
    told, sent = counted(repaired.events, "event is told,events are told"), counted(repaired.resent, "event,events")
    return f"{rows} again, {told}, {sent} sent again."
