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
from instances.secrets import SecretUnreadableError
from polling.detection.deletes.missing_records import calm_health
from polling.detection.failures import RetryDecision, decide_retry
from polling.models import Health, PollRun, PollState, Site
from polling.workers.leases import end_lease

FARTHEST = timedelta(days=1)


def finish_run(state: PollState, token: str, run: PollRun, *, started_at: datetime) -> None:
    """End a complete run: the cursor moves, the next poll is set, the lease is freed. Inside its last transaction."""
    now = timezone.now()
    cursor, next_poll_at = state.cursor, _next_poll_as_stored(state, started_at, now)
    if run.kind == PollRun.Kind.POLL:
        cursor = next_cursor(state, run)
    else:
        next_poll_at = now  # the poll that waited behind the backfill
    end_lease(
        PollState,
        state.pk,
        token,
        cursor=cursor,
        health=calm_health(state.pk),
        failures=0,
        last_error="",
        last_good_at=now,
        next_poll_at=next_poll_at,
    )
    if state.failures:
        _wake_siblings(state, now)


def rest_run(state: PollState, token: str, *, started_at: datetime) -> None:
    """Leave a run open for the next poll to carry on. Inside the transaction of its page."""
    next_poll_at = _next_poll_as_stored(state, started_at, timezone.now())
    end_lease(PollState, state.pk, token, next_poll_at=next_poll_at)


def _next_poll_as_stored(state: PollState, started_at: datetime, now: datetime) -> datetime:
    asked = PollState.objects.values_list("next_poll_at", flat=True).get(pk=state.pk)
    return next_poll(state, asked, started_at, now)


def next_poll(state: PollState, asked: datetime | None, started_at: datetime, now: datetime) -> datetime:
    """Return when to poll next after a good poll that began at `started_at`; `asked` is the due time as it stands now.

    Who asked for a poll while it ran, for the sake of a backfill maybe, gets another, then or when it was asked for.
    """
    regular = max(started_at + timedelta(minutes=state.resource_poll.instance.refresh_interval), now)
    if asked is not None and was_asked(state.next_poll_at, asked):
        return min(max(asked, now), regular)
    return regular


def was_asked(claimed: datetime | None, stored: datetime | None) -> bool:
    """Whether somebody made a poll or sweep due while it ran: its due time is later than when it was claimed."""
    return claimed is not None and stored is not None and stored > claimed


def finish_sweep(state: PollState, token: str, *, next_at: datetime) -> None:
    """End a complete sweep: the next one is set, the lease is freed. Inside its last transaction."""
    now = timezone.now()
    asked = PollState.objects.values_list("next_sweep_at", flat=True).get(pk=state.pk)
    end_lease(
        PollState,
        state.pk,
        token,
        baseline_at=state.baseline_at or now,
        next_sweep_at=now if was_asked(state.next_sweep_at, asked) else max(next_at, now),
        sweep_failures=0,
        sweep_error="",
    )
    calm = PollState.objects.filter(pk=state.pk, health__in=(Health.HEALTHY, Health.HELD))
    calm.update(health=calm_health(state.pk))


def usable_date(date: datetime | None, now: datetime) -> datetime | None:
    """Return ConnectWise's `Date` if it can be a clock; None if it is more than a day from ours.

    A server that believes it is 1970 would have all since then recorded as changed. Where it is our clock that is
    wrong, the stamps move the cursor, or it stays: that costs rows, and loses none.
    """
    return date if date is not None and abs(date - now) <= FARTHEST else None


def next_cursor(state: PollState, run: PollRun) -> datetime | None:
    """Return ConnectWise's clock when the run began; without it the newest stamp of its first page, or no move.

    Of the first page alone, since what is edited behind the reader later on has a stamp after it. Our own clock is no
    source, but bounds both (`usable_date`, `AHEAD`): nobody vouches for what a single header or record says.

    A clock that was set back has left stamps behind the window that was read: the next one opens as far back as the run
    before it began. How long ago that was our clock is asked as well, for no stamp shows it.
    """
    cursor = state.cursor
    if run.first_date is None:
        return cursor if run.newest_stamp is None or cursor is None else max(cursor, run.newest_stamp)
    if cursor is None or run.first_date >= cursor:
        return run.first_date
    # To the whole second, as stamps are.
    return (run.first_date - _time_since_the_run_before(state, run)).replace(microsecond=0)


def _time_since_the_run_before(state: PollState, run: PollRun) -> timedelta:
    """Return how long ago the last good run began; nothing for the first, which follows the beginning of watching."""
    complete = PollRun.objects.filter(kind=PollRun.Kind.POLL, status=PollRun.Status.COMPLETE)
    earlier = complete.filter(resource_poll=run.resource_poll, started_at__lt=run.started_at)
    before = earlier.order_by("-started_at").values_list("started_at", flat=True).first()
    return timedelta(0) if before is None or state.last_good_at is None else run.started_at - before


def fail_run(state: PollState, token: str, run: PollRun | None, error: Exception) -> None:
    """Write that a run did not go on: the cursor stays, an open run stays open at the page it had reached.

    A run that had not committed a page yet is kept as a failed one, so that the failure can be seen.
    """
    sentence, decision = _judge(error, state.failures + 1)
    _fail(state, token, run, sentence, decision, _of_poll(sentence, decision))


def fail_sweep(state: PollState, token: str, run: PollRun | None, error: Exception) -> None:
    """Write that a sweep did not go on; it is tried again as a poll would be, and the polls go on meanwhile.

    Unless the login is refused or lacks the right: that holds for the poll as well, and stops it as its own would.
    """
    sentence, decision = _judge(error, state.sweep_failures + 1)
    changes = _of_poll(sentence, decision) if decision.health == Health.UNAUTHORIZED else {}
    changes |= {
        "sweep_failures": F("sweep_failures") + 1,
        "sweep_error": sentence,
        "next_sweep_at": timezone.now() + decision.wait,
    }
    _fail(state, token, run, sentence, decision, changes)


def _judge(error: Exception, failures: int) -> tuple[str, RetryDecision]:
    """Return the sentence for people, and what follows from the `failures`-th failure in a row."""
    reason = error if isinstance(error, ConnectWiseError) else None
    return sentence_of(reason, error), decide_retry(reason, failures)


def _of_poll(sentence: str, decision: RetryDecision) -> dict[str, Any]:
    return {
        "health": decision.health,
        "failures": F("failures") + 1,
        "last_error": sentence,
        "next_poll_at": timezone.now() + decision.wait,
    }


def _fail(
    state: PollState, token: str, run: PollRun | None, sentence: str, decision: RetryDecision, changes: dict[str, Any]
) -> None:
    """Free the lease with these changes, and let the run and the polls beside it know."""
    now = timezone.now()
    with transaction.atomic():
        if decision.stops_instance or decision.login_accepted:
            # All polls of the instance in one order: two that fail at a time would wait for each other's rows.
            polls = PollState.objects.filter(resource_poll__instance_id=state.resource_poll.instance_id)
            list(polls.order_by("pk").select_for_update(of=("self",)).values_list("pk"))
        end_lease(PollState, state.pk, token, **changes)
        if run is not None:
            _note_failure(run, sentence, now)
        _hold_siblings(state, decision, sentence, now)


def sentence_of(reason: ConnectWiseError | None, error: Exception) -> str:
    """Return what people read of a failure; `reason` is the error where it is ConnectWise's."""
    in_words = reason is not None or isinstance(error, SecretUnreadableError)
    return str(error) if in_words else f"A fault of cwconnect itself ({type(error).__name__}); see its log."


def _note_failure(run: PollRun, sentence: str, now: datetime) -> None:
    run.error = sentence
    if run.pk is None:
        run.status, run.finished_at = PollRun.Status.FAILED, now
        run.save()
    else:
        # No more than this: a backfill may have been widened meanwhile.
        run.save(update_fields=["status", "finished_at", "error"])


def _hold_siblings(state: PollState, decision: RetryDecision, sentence: str, now: datetime) -> None:
    if decision.stops_instance:
        _siblings(state).update(next_poll_at=None, health=Health.UNAUTHORIZED, last_error=sentence)
    if decision.login_accepted:
        _wake_siblings(state, now)
    if decision.site_waits:
        block_site(state.site, now + decision.wait)


def _wake_siblings(state: PollState, now: datetime) -> None:
    """Let those polls go on that a refused login stopped: it is accepted again, whatever became of this poll since."""
    _siblings(state).filter(health=Health.UNAUTHORIZED, next_poll_at=None).update(next_poll_at=now)


def block_site(key: str, until: datetime) -> None:
    """Hold all polls of a company; a longer wait that another poll met stands."""
    Site.objects.bulk_create([Site(key=key, blocked_until=until)], ignore_conflicts=True)
    Site.objects.filter(key=key, blocked_until__lt=until).update(blocked_until=until)


def _siblings(state: PollState) -> QuerySet[PollState]:
    polls = PollState.objects.filter(resource_poll__instance_id=state.resource_poll.instance_id)
    return polls.exclude(pk=state.pk).exclude(health=Health.PAUSED)
