"""Repairs what verification found, at once, for the foreground; repair_job.py has the workers do the same."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from polling.delivery.replay.replays import replay_now
from polling.detection.deletes.deletions import sweep_now
from polling.detection.jobs import LEASE
from polling.detection.poll_loop import sweep_these
from polling.models import PollRun, PollState
from polling.verification.repair_steps import (
    RowRepair,
    revive_lost,
    rows_to_read,
    send_again,
)
from polling.verification.report import Finding
from polling.workers.leases import claim, release

PATIENCE = timedelta(minutes=3)  # a worker that died holds its lease for no longer


class BusyError(Exception):
    """A worker was at the poll all the time, so nothing was read; to be tried again."""


@dataclass(frozen=True)
class Repaired:
    """What a repair did: rows read, events recorded, and whether what has not arrived is on its way again."""

    rows: int
    events: int
    resent: int


def repair(finding: Finding, *, patience: timedelta = PATIENCE) -> Repaired:
    """Read what the finding misses and record it, and make what has not arrived due; deliveries are the worker's.

    Raises ConnectWiseError, LeaseLostError, or BusyError when no worker let go of the poll within `patience`; done
    twice it does no harm.
    """
    run = _poll_again(finding, patience) if rows_to_read(finding) else None
    sweep = _sweep_again(finding, patience) if finding.deleted else None
    resent = send_again(finding.poll, timezone.now(), replay=replay_now) if finding.undelivered or finding.lost else 0
    return Repaired(run.records if run else 0, sum(done.events for done in (run, sweep) if done), resent)


def _sweep_again(finding: Finding, patience: timedelta) -> PollRun | None:
    """Sweep for the deletes that were lost; give the sweep, None if it is left to the worker."""
    state, token = _claim(finding.poll.pk, patience)
    try:
        revive_lost(state, token, finding)
    finally:
        release(PollState, [state.pk], token)
    sweep_now(PollState.objects.filter(pk=state.pk))
    seen: list[PollRun] = []
    sweep_these([state.pk], report=lambda job, run: seen.append(run))
    return next((run for run in reversed(seen) if run.kind == PollRun.Kind.SWEEP), None)


def _poll_again(finding: Finding, patience: timedelta) -> PollRun:
    state, token = _claim(finding.poll.pk, patience)
    try:
        reading = RowRepair(state, token, finding)
        for batch in reading.id_batches:
            rest = batch
            while rest:
                page = reading.read(rest)()
                with transaction.atomic():
                    rest = rest[reading.write(page, rest) :]
        return reading.run
    finally:
        release(PollState, [state.pk], token)


def _claim(key: int, patience: timedelta) -> tuple[PollState, str]:
    begun = time.monotonic()
    states = PollState.objects.filter(pk=key)
    while True:
        token, keys = claim(states, [key], now=timezone.now(), length=LEASE)
        if keys:
            return states.select_related("resource_poll__instance__organization").get(), token
        if time.monotonic() - begun > patience.total_seconds():
            raise BusyError("A worker is polling this resource; try again when it has finished.")
        time.sleep(0.2)
