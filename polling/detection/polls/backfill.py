"""Backfill: a window that is polled again on demand. What is known stays silent, what was missed becomes events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from instances import audit
from instances.audit import Action
from polling.models import PollRun, PollState


def request_backfill(polls: Iterable[PollState], since: datetime) -> None:
    """Open a backfill from `since` (ConnectWise's clock) for each poll; its next runs carry it out.

    One that is open already is widened, and begins anew: a worker in the middle of it writes nothing more of it.
    """
    for state in polls:
        while not _open_or_widen(state.pk, since):
            pass  # it was complete between the look and the write; now a new one can be opened
        poll = state.resource_poll
        details = {"since": since.isoformat(timespec="seconds")}
        audit.record(Action.BACKFILL, poll, organization=poll.instance.organization, details=details)


def _open_or_widen(poll_id: int, since: datetime) -> bool:
    with transaction.atomic():
        run, created = PollRun.objects.get_or_create(
            resource_poll_id=poll_id,
            kind=PollRun.Kind.BACKFILL,
            status=PollRun.Status.OPEN,
            defaults={"opening": since, "started_at": timezone.now()},
        )
        still_open = PollRun.objects.filter(pk=run.pk, status=PollRun.Status.OPEN)
        widened = {"opening": min(since, run.opening or since), "page": 0, "reached_id": 0, "error": ""}
        return created or still_open.update(**widened) == 1
