"""Keeps the poll states in step with what instances ask for: called inside the transaction that changed them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from instances.configuration.polls import plan_of
from instances.models import Instance, ResourcePoll
from polling.delivery.first_subscriptions import begin_after_last
from polling.delivery.pausing import rearm_all
from polling.detection.deletes.missing_records import calm_healths, missing_records
from polling.detection.jobs import abandon
from polling.detection.tracking import keep_tracking
from polling.models import (
    Event,
    Health,
    MissingRecord,
    PollRun,
    PollState,
    RecordSnapshot,
    Repair,
    SnapshotBody,
    Verification,
)

_CHANGED = "What is polled was changed meanwhile; verify once more."


def site_key(instance: Instance) -> str:
    """Return the key under which ConnectWise counts requests: its site and company, in any spelling of either."""
    return hashlib.sha256(f"{instance.base_url.lower()} {instance.company.lower()}".encode()).hexdigest()


def apply_watching(
    sender: object,
    *,
    instance: Instance,
    begun: list[int] | None = None,
    reset: list[int] | None = None,
    first_url: bool = False,
    **_: Any,
) -> None:
    """Bring the states of an instance's polls to what its rows now say (receiver of `watching_changed`).

    `begun` polls start afresh from their `since`, `reset` ones abandon their open run and keep their cursor. Each state
    that changes loses its lease, so that a run in flight, made under the old settings, can commit nothing more. With a
    `first_url` notifications are made of what is recorded from then on.
    """
    begun_ids, reset_ids = set(begun or ()), set(reset or ())
    states = PollState.objects.filter(resource_poll__instance=instance)
    list(states.order_by("pk").select_for_update(of=("self",)).values_list("pk"))  # as polls lock several
    planned: dict[ResourcePoll, datetime | None] = {}
    for poll in instance.resource_polls.select_related("state"):
        if poll.since is None:
            continue
        state = getattr(poll, "state", None)
        if state is None or poll.pk in begun_ids:
            _begin(instance, poll, state)
            planned[poll] = None
        else:
            if poll.pk in reset_ids:
                _abandon(poll)
            planned[poll] = state.next_sweep_at
    _schedule(instance, planned)
    keep_tracking(instance)
    if first_url:
        begin_after_last(instance)  # what was recorded is seen now: the leases that it was recorded under are taken
    rearm_all(instance, timezone.now())


def _begin(instance: Instance, poll: ResourcePoll, state: PollState | None) -> None:
    if state is not None:
        _abandon(poll)
        RecordSnapshot.objects.filter(resource_poll=poll).delete()
        SnapshotBody.objects.filter(resource_poll=poll).delete()
        missing_records(poll.pk).delete()
        if state.site != site_key(instance):
            # What was recorded of another company's rows says nothing of these, which may have the same ids.
            Event.objects.filter(resource_poll=poll).update(resource_poll=None)
    PollState.objects.update_or_create(
        resource_poll=poll,
        defaults={
            "cursor": poll.since,
            "baseline_at": None,
            "failures": 0,
            "last_error": "",
            "last_good_at": None,
            "next_sweep_at": None,
            "sweep_failures": 0,
            "sweep_error": "",
        },
    )


def _abandon(poll: ResourcePoll) -> None:
    abandon(PollRun.objects.filter(resource_poll=poll))
    Verification.objects.filter(resource_poll=poll, status=Verification.Status.OPEN).end_leases(
        status=Verification.Status.FAILED,
        error=_CHANGED,
        finished_at=timezone.now(),
        comparison=None,
        next_try_at=None,
    )
    Repair.objects.filter(resource_poll=poll, status=Repair.Status.OPEN).update(
        status=Repair.Status.FAILED, error=_CHANGED, finished_at=timezone.now(), next_try_at=None
    )


def _schedule(instance: Instance, planned: Mapping[ResourcePoll, datetime | None]) -> None:
    """Make polls due, or take their times away; `planned` is when each was to be swept next."""
    now = timezone.now()
    silent = [poll.pk for poll in planned if not poll.configuration.get("detectDeletes")]
    MissingRecord.objects.filter(resource_poll__in=silent).delete()  # nobody wants to hear of them any more
    healths = calm_healths([poll.pk for poll in planned])
    for poll, sweep_at in planned.items():
        active = instance.watching and poll.enabled
        PollState.objects.filter(resource_poll=poll).end_leases(
            site=site_key(instance),
            host=urlsplit(instance.base_url).netloc.lower()[:255],
            next_poll_at=now if active else None,
            next_sweep_at=_next_sweep(poll, sweep_at, now) if active else None,
            health=healths[poll.pk] if active else Health.PAUSED,
        )


def _next_sweep(poll: ResourcePoll, planned: datetime | None, now: datetime) -> datetime | None:
    """Return when a poll is swept: as was planned, if it was. A change of something else is no reason to sweep."""
    if not poll.configuration.get("detectDeletes"):
        return None
    latest = now + plan_of(poll.name, poll.configuration).sweep_interval
    return now if planned is None else min(planned, latest)
