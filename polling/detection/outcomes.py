"""How a run ends: the poll's cursor, health and next time, written under its lease.

Each function raises LeaseLostError when the poll was taken over, and then has written nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from cwconnect.connectwise.errors import ConnectWiseError
from polling.detection.absences import calm_health
from polling.detection.failures import Setback, setback_of
from polling.models import Health, PollRun, PollState, Site
from polling.runtime.leases import fence


def finish_run(state: PollState, token: str, run: PollRun, *, started_at: datetime) -> None:
    """End a complete run: the cursor moves, the next poll is set, the lease is freed. Inside its last transaction."""
    now = timezone.now()
    cursor, next_poll_at = state.cursor, next_poll(state, started_at, now)
    if run.kind == PollRun.Kind.POLL:
        cursor = next_cursor(cursor, run)
    else:
        next_poll_at = now  # the poll that waited behind the backfill
    fence(
        PollState,
        state.pk,
        token,
        lease_token=None,
        lease_until=None,
        cursor=cursor,
        health=calm_health(state.pk),
        failures=0,
        last_error="",
        last_good_at=now,
        next_poll_at=next_poll_at,
    )
    if state.failures:
        _wake_siblings(state, now)


def next_poll(state: PollState, started_at: datetime, now: datetime) -> datetime:
    """Give when to poll next after a good poll that began at `started_at`."""
    return max(started_at + timedelta(minutes=state.resource_poll.instance.refresh_interval), now)


def finish_sweep(state: PollState, token: str, *, next_at: datetime) -> None:
    """End a complete sweep: the next one is set, the lease is freed. Inside its last transaction."""
    now = timezone.now()
    fence(
        PollState,
        state.pk,
        token,
        lease_token=None,
        lease_until=None,
        baseline_at=state.baseline_at or now,
        next_sweep_at=max(next_at, now),
        sweep_failures=0,
        sweep_error="",
    )
    calm = PollState.objects.filter(pk=state.pk, health__in=(Health.HEALTHY, Health.HELD))
    calm.update(health=calm_health(state.pk))


def next_cursor(cursor: datetime | None, run: PollRun) -> datetime | None:
    """Give ConnectWise's clock when the run began; without it the newest stamp of its first page, or no move.

    Of the first page alone, since what is edited behind the reader later on has a stamp after it.
    """
    if run.first_date is not None:
        return run.first_date
    if run.newest_stamp is None or cursor is None:
        return cursor
    return max(cursor, run.newest_stamp)


def fail_run(state: PollState, token: str, run: PollRun | None, error: Exception) -> None:
    """Write that a run did not go on: the cursor stays, an open run stays open at the page it had reached.

    A run that had not committed a page yet is kept as a failed one, so that the failure can be seen.
    """
    now = timezone.now()
    reason = error if isinstance(error, ConnectWiseError) else None
    sentence = sentence_of(reason, error)
    setback = setback_of(reason, state.failures + 1)
    with transaction.atomic():
        fence(
            PollState,
            state.pk,
            token,
            lease_token=None,
            lease_until=None,
            health=setback.health,
            failures=F("failures") + 1,
            last_error=sentence,
            next_poll_at=now + setback.wait,
        )
        if run is not None:
            _note_failure(run, sentence, now)
        _hold_siblings(state, setback, sentence, now)


def fail_sweep(state: PollState, token: str, run: PollRun | None, error: Exception) -> None:
    """Write that a sweep did not go on; it is tried again as a poll would be, and the polls go on meanwhile.

    Unless the login is refused or lacks the right: that holds for the poll as well, and stops it as its own would.
    """
    now = timezone.now()
    reason = error if isinstance(error, ConnectWiseError) else None
    sentence = sentence_of(reason, error)
    setback = setback_of(reason, state.sweep_failures + 1)
    changes: dict[str, Any] = {}
    if setback.health == Health.UNAUTHORIZED:
        changes = {"health": setback.health, "last_error": sentence, "failures": F("failures") + 1}
        changes["next_poll_at"] = now + setback.wait
    with transaction.atomic():
        fence(
            PollState,
            state.pk,
            token,
            lease_token=None,
            lease_until=None,
            sweep_failures=F("sweep_failures") + 1,
            sweep_error=sentence,
            next_sweep_at=now + setback.wait,
            **changes,
        )
        if run is not None:
            _note_failure(run, sentence, now)
        _hold_siblings(state, setback, sentence, now)


def sentence_of(reason: ConnectWiseError | None, error: Exception) -> str:
    return str(error) if reason else f"A fault of cwconnect itself ({type(error).__name__}); see its log."


def _note_failure(run: PollRun, sentence: str, now: datetime) -> None:
    run.error = sentence
    if run.pk is None:
        run.status, run.finished_at = PollRun.Status.FAILED, now
        run.save()
    else:
        # No more than this: a backfill may have been widened meanwhile.
        run.save(update_fields=["status", "finished_at", "error"])


def _hold_siblings(state: PollState, setback: Setback, sentence: str, now: datetime) -> None:
    if setback.stops_instance:
        _siblings(state).update(next_poll_at=None, health=Health.UNAUTHORIZED, last_error=sentence)
    if setback.login_accepted:
        _wake_siblings(state, now)
    if setback.site_waits:
        block_site(state.site, now + setback.wait)


def _wake_siblings(state: PollState, now: datetime) -> None:
    """Let those polls go on that a refused login stopped: it is accepted again, whatever became of this poll since."""
    _siblings(state).filter(health=Health.UNAUTHORIZED, next_poll_at=None).update(next_poll_at=now)


def block_site(key: str, until: datetime) -> None:
    """Hold all polls of a company; a longer wait that another poll was told stands."""
    Site.objects.bulk_create([Site(key=key, blocked_until=until)], ignore_conflicts=True)
    Site.objects.filter(key=key, blocked_until__lt=until).update(blocked_until=until)


def _siblings(state: PollState) -> QuerySet[PollState]:
    polls = PollState.objects.filter(resource_poll__instance_id=state.resource_poll.instance_id)
    return polls.exclude(pk=state.pk).exclude(health=Health.PAUSED)
