"""The page *Verify*: ConnectWise compared with what was told, resource by resource, and the repair of what is missing.

A comparison reads ids and stamps only, a request for each 1,000 rows, within the request of the page; each resource is
a request of its own, one after another, so the table fills as answers come.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST

from cwconnect.connectwise.errors import ConnectWiseError
from instances.access import PageRequest, page
from instances.models import ResourcePoll
from instances.secrets import SecretUnreadableError
from polling.detection.repair import BusyError, Repaired, repair
from polling.detection.verification import Finding, verify
from polling.pages.parts import own_poll
from polling.reports.standing import standing_of
from polling.runtime.leases import LeaseLostError

_IDS = 20
_PATIENCE = timedelta(seconds=30)  # a person waits for the answer


@page
def verify_page(request: PageRequest, number: int) -> HttpResponse:
    """Show the table, still empty, and the button that fills it."""
    instance = request.person.instance(number)
    polls = ResourcePoll.objects.filter(instance=instance, enabled=True, since__isnull=False).order_by("name")
    context = {"instance": instance, "polls": polls, "standing": standing_of(instance, timezone.now())}
    return render(request, "polling/verify.html", context | {"tab": "verify", "here": "instances"})


@require_POST
@page
def verify_poll(request: PageRequest, number: int, poll: int) -> HttpResponse:
    """Compare one resource; with `repair`, read and send again just what is missing, and compare once more."""
    found = own_poll(request, number, poll)
    context: dict[str, Any] = {"poll": found, "instance": found.instance}
    try:
        finding = verify(found, timezone.now())
        repaired: Repaired | None = None
        if "repair" in request.POST and not finding.whole:
            repaired = repair(finding, patience=_PATIENCE)
            finding = verify(found, timezone.now())
        context |= {"finding": finding, "repaired": repaired, "missing": _missing(finding)}
    except (ConnectWiseError, BusyError, LeaseLostError, SecretUnreadableError) as error:
        context["error"] = str(error)
    return render(request, "polling/parts/verified.html", context)


def _missing(finding: Finding) -> str:
    """Name the first rows that are missing."""
    ids = sorted({*finding.missed, *finding.stale, *finding.deleted})
    return ", ".join(str(number) for number in ids[:_IDS]) + (", …" if len(ids) > _IDS else "")
