"""What is due: the two questions that decide whether a worker is woken, each answered by one statement from indexes.

A row under a lease is left out until the lease ends: someone works on it, or died on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from cwconnect.core.one_statement import Question, Questions, Row, time_of
from instances.models import Instance
from polling.log.readers import somebody_lags
from polling.models import (
    AnnouncedRecord,
    BulkJob,
    CallbackEndpoint,
    CallbackHint,
    Copy,
    Health,
    Notification,
    PollRun,
    PollState,
    Receiver,
    Repair,
    Replay,
    Site,
    Verification,
)
from polling.workers.leases import free

NO_SWEEP = (Health.PAUSED, Health.UNAUTHORIZED)
PAUSED = Q(health=Health.PAUSED)
"""The polls that nothing makes due: their resource, their instance or its events are off."""
WELL = (Health.HEALTHY, Health.HELD)
"""What a poll has to be for callbacks to have any effect on it."""
_OPEN_SWEEPS = PollRun.objects.filter(kind=PollRun.Kind.SWEEP, status=PollRun.Status.OPEN)


def poll_due_at(now: datetime) -> datetime | None:
    """Return when the next poll, sweep or job beside them is due (in the past: one is), None if nothing is."""
    return _earliest(_POLLS.ask(now=now))


def _poll_questions(now: datetime) -> dict[str, Question]:
    states = PollState.objects.exclude(site__in=_blocked(now))
    hints = CallbackHint.objects.filter(status=CallbackHint.Status.WAITING)
    return {
        "poll": _first_free(states.filter(next_poll_at__isnull=False), "next_poll_at", now),
        "sweep": _first_free(may_sweep(states.filter(next_sweep_at__isnull=False)), "next_sweep_at", now),
        "verification": _first_free(may_verify(now), "next_try_at", now),
        "repair": _first(may_repair(now), "next_try_at"),
        "hint": _first(hints, "judge_at"),
        "announced": _first(may_read_announced(now), "next_read_at"),
        "registration": _first_free(may_compare(now), "next_compare_at", now),
        "bulk": _first_free(may_change_many(), "next_try_at", now),
        "copy": _first_free(may_copy(now), "next_try_at", now),
    }


def may_read_announced(now: datetime) -> QuerySet[AnnouncedRecord]:
    """Find the announced records whose poll fares well, has been made since, and is free, as its company is."""
    poll = "resource_poll__state__"
    well = {f"{poll}health__in": WELL, f"{poll}next_poll_at__gt": now}
    nobody = Q(**{f"{poll}lease_until": None}) | Q(**{f"{poll}lease_until__lt": now})
    found = AnnouncedRecord.objects.filter(nobody, **well).exclude(**{f"{poll}site__in": _blocked(now)})
    return found.exclude(sweep_goes_first(poll))


def sweep_goes_first(state: str = "") -> Q:
    """Return the condition that a sweep of the resource is open and will go on; `state` leads to the poll state."""
    return Q(Exists(_OPEN_SWEEPS.filter(resource_poll=OuterRef("resource_poll")))) & Q(
        **{f"{state}next_sweep_at__isnull": False}
    )


def may_compare(now: datetime) -> QuerySet[CallbackEndpoint]:
    """Find the instances whose callbacks' registrations are to be compared, less those whose company has to wait."""
    found = CallbackEndpoint.objects.filter(next_compare_at__isnull=False)
    return found.exclude(site__in=_blocked(now))


def may_verify(now: datetime) -> QuerySet[Verification]:
    """Find the open verifications, less those whose company waits for its rate limit or whose instance is disabled."""
    found = Verification.objects.filter(next_try_at__isnull=False, resource_poll__instance__disabled=False)
    return found.exclude(resource_poll__state__site__in=_blocked(now))


def may_repair(now: datetime) -> QuerySet[Repair]:
    """Find the open repairs that can go on: no company waits, nobody works on the poll, the sweep they need has ended.

    Where no sweep is planned any more none is waited for.
    """
    poll = "resource_poll__state__"
    found = Repair.objects.filter(next_try_at__isnull=False, resource_poll__instance__disabled=False)
    nobody = Q(**{f"{poll}lease_until": None}) | Q(**{f"{poll}lease_until__lt": now})
    sweeps = PollRun.objects.filter(kind=PollRun.Kind.SWEEP, status=PollRun.Status.COMPLETE)
    swept = Exists(sweeps.filter(resource_poll=OuterRef("resource_poll"), started_at__gte=OuterRef("swept_from")))
    sweeping = Q(swept_from__isnull=False, **{f"{poll}next_sweep_at__isnull": False}) & ~Q(swept)
    return found.filter(nobody).exclude(sweeping).exclude(resource_poll__state__site__in=_blocked(now))


def may_change_many() -> QuerySet[BulkJob]:
    """Find the open bulk jobs, of an organization's the first alone: they go on in the order they were asked for."""
    earlier = BulkJob.objects.filter(
        next_try_at__isnull=False, organization=OuterRef("organization"), pk__lt=OuterRef("pk")
    )
    return BulkJob.objects.filter(~Exists(earlier), next_try_at__isnull=False)


def may_copy(now: datetime) -> QuerySet[Copy]:
    """Find the open copies that can go on: no company waits or has another copy read, no instance is off or deleted."""
    held = Copy.objects.filter(site=OuterRef("site"), lease_token__isnull=False, lease_until__gte=now)
    found = Copy.objects.filter(
        ~Exists(held), next_try_at__isnull=False, instance__disabled=False, instance__organization__isnull=False
    )
    return found.exclude(site__in=_blocked(now))


def _blocked(now: datetime) -> QuerySet[Site, str]:
    return Site.objects.filter(blocked_until__gt=now).values_list("key", flat=True)


def may_sweep(states: QuerySet[PollState]) -> QuerySet[PollState]:
    """Leave out polls that are paused, or refused for their login or role: the hourly poll is to find that over."""
    return states.exclude(health__in=NO_SWEEP)


def delivery_due_at(now: datetime) -> datetime | None:
    """Return when the next delivery attempt is due (in the past: one is), None if nothing waits.

    That of a notification which a breaker holds is the breaker's next probe. A replay that is still to be queued is due
    since it was asked for, and now what is to be made of the log for a subscription that lags.
    """
    found = _earliest(_DELIVERIES.ask(now=now))
    return min(now, found or now) if somebody_lags(now) else found


def _delivery_questions(now: datetime) -> dict[str, Question]:
    holding = Receiver.objects.filter(open_until__isnull=False, holds=True)
    return {
        "attempt": _first_free(Notification.objects.filter(next_attempt_at__isnull=False), "next_attempt_at", now),
        "probe": _first(holding, "open_until"),
        "replay": _first_free(Replay.objects.filter(queued_at=None), "asked_at", now),
    }


def poll_now(instance: Instance) -> int:
    """Make the instance's polls due at once, those that are paused excepted; give how many."""
    return make_due(PollState.objects.filter(resource_poll__instance=instance))


def make_due(states: QuerySet[PollState]) -> int:
    """Make these polls due at once, those stopped by a failure too, those that are paused excepted; give how many."""
    return states.exclude(PAUSED).update(next_poll_at=timezone.now())


def _first_free(rows: QuerySet[Any], field: str, now: datetime) -> Question:
    # The head of an index; few rows are leased at a time, so it skips few.
    return _first(rows.filter(free(now)), field)


def _first(rows: QuerySet[Any], field: str) -> Question:
    return rows.order_by(field)[:1], [field]


def _earliest(found: Mapping[str, Iterable[Row]]) -> datetime | None:
    times = (time_of(text) for rows in found.values() for row in rows for text in row.values())
    return min((at for at in times if at is not None), default=None)


# Asked each second of every supervisor and by each wake-up: to build these queries anew took ten times as long.
_POLLS, _DELIVERIES = Questions(_poll_questions), Questions(_delivery_questions)
