"""Repairs as the workers carry them out: beside the polls, kept step by step, under the lease of the resource's poll.

| Step | Is kept as |
|---|---|
| rows that were missed or are stale are read again and recorded, batch by batch | the run and its events, `done` |
| rows whose delete was lost are known again as living, for a sweep to miss them | `swept_from` |
| once that sweep has ended: what has not arrived is made due, and it is compared once more | the repair's end |

Each step is one transaction, fenced by the lease, that also says how far the repair came: a worker that dies leaves the
next one to go on after the last step. After each a poll or sweep that is due goes first. Done is what `repair` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q, Sum
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from instances import audit
from instances.audit import Action
from instances.models import ResourcePoll
from instances.secrets import SecretUnreadableError
from polling.delivery.replay.replays import start_replay
from polling.detection.deletes.deletions import sweep_now
from polling.detection.jobs import LEASE, Job, Work
from polling.models import PollRun, PollState, Repair, Verification
from polling.verification.repair_steps import (
    RowRepair,
    revive_lost,
    rows_to_read,
    send_again,
)
from polling.verification.report import finding_of, undelivered_events
from polling.verification.verification_job import retry_of
from polling.workers.due import may_repair
from polling.workers.leases import (
    LeaseLostError,
    claim,
    end_lease,
    release,
)

AT_A_TIME = 2  # a worker's, as with verifications


def start_repair(poll: ResourcePoll, now: datetime) -> Repair:
    """Have the workers repair what the last verification found; give the row that shows how far they came.

    The open one, if there is one already. Raises ConflictError where it is not known what is missing.
    """
    newest = Verification.objects.filter(resource_poll=poll).order_by("-pk").first()
    finding = finding_of(newest) if newest else None
    if newest is None or finding is None:
        raise ConflictError("It is being compared, or was never: what is missing is not known yet.")
    if poll.instance.disabled:
        raise ConflictError("The instance is disabled; it is repaired once it goes on.")
    values = {"verification": newest, "asked_at": now, "next_try_at": now, "total": len(rows_to_read(finding))}
    with transaction.atomic():
        found, made = Repair.objects.get_or_create(resource_poll=poll, status=Repair.Status.OPEN, defaults=values)
        if made:
            audit.record(Action.REPAIR, poll, organization=poll.instance.organization)
    return found


class RepairJob(RowRepair, Job):
    """A claimed poll whose resource is repaired. `commit` and `fail` raise LeaseLostError when it was taken over."""

    def __init__(self, state: PollState, token: str, repair: Repair) -> None:
        finding = finding_of(repair.verification)
        if finding is None:
            raise LeaseLostError(f"{repair} has nothing to go by.")
        self.repair, self._finding = repair, finding
        reached = rows_to_read(finding)[repair.done - 1] if repair.done else 0
        super().__init__(state, token, finding, after=reached)
        self._batch: Sequence[int] = next(self.id_batches, ())

    def open_run(self) -> PollRun:
        """Return the repair's run to carry on, or a new one, not yet stored."""
        kind, since = PollRun.Kind.REPAIR, self.repair.asked_at
        runs = PollRun.objects.filter(resource_poll=self.poll, kind=kind, status=PollRun.Status.OPEN)
        return runs.filter(started_at__gte=since).first() or self.new_run()

    def request(self) -> Callable[[], Any]:
        """Return the next lot's request; the other steps ask nothing."""
        return self.read(self._batch) if self._batch else _nothing

    def commit(self, answer: Any) -> bool:
        """Write a step; give whether it goes on here and now."""
        now = timezone.now()
        with transaction.atomic():
            if self._batch:
                return self._write_batch(answer, now)
            if self._finding.deleted and self.repair.swept_from is None:
                return self._revive(now)
            return self._finish(now)

    def _write_batch(self, answer: Any, now: datetime) -> bool:
        before = self.run
        answered = self.write(answer, self._batch)
        rows, events = self.run.records - before.records, self.run.events - before.events
        self._keep(done=F("done") + answered, rows=F("rows") + rows, events=F("events") + events)
        self._batch = self._batch[answered:] or next(self.id_batches, ())
        return not self._steps_aside(now)

    def _revive(self, now: datetime) -> bool:
        revive_lost(self.state, self.token, self._finding)
        sweep_now(PollState.objects.filter(pk=self.key))
        self._keep(swept_from=now)
        return not self._steps_aside(now)

    def _steps_aside(self, now: datetime) -> bool:
        """Free the lease for a poll or a sweep that is due; give whether."""
        due = PollState.objects.filter(Q(next_poll_at__lte=now) | Q(next_sweep_at__lte=timezone.now()), pk=self.key)
        if not due.exists():
            return False
        end_lease(PollState, self.key, self.token)
        return True

    def _finish(self, now: datetime) -> bool:
        end_lease(PollState, self.key, self.token)
        resent = 0
        if self._finding.undelivered or self._finding.lost:  # those just recorded are sent for the first time
            waiting = undelivered_events(self.poll)
            new = waiting.filter(polled_at__gte=self.repair.asked_at).count()
            resent = max(0, send_again(self.poll, now, replay=start_replay) - new)
        ended = {"status": Repair.Status.COMPLETE, "finished_at": now, "next_try_at": None}
        self._keep(**ended, resent=resent, events=F("events") + self._swept())
        Verification.objects.get_or_create(
            resource_poll=self.poll, status=Verification.Status.OPEN, defaults={"asked_at": now, "next_try_at": now}
        )
        return False

    def _swept(self) -> int:
        """Return how many deletes the sweep recorded."""
        if self.repair.swept_from is None:
            return 0
        sweeps = PollRun.objects.filter(resource_poll=self.poll, kind=PollRun.Kind.SWEEP)
        return sweeps.filter(started_at__gte=self.repair.swept_from).aggregate(recorded=Sum("events"))["recorded"] or 0

    def _keep(self, **changes: Any) -> None:
        changes = {"failures": 0, "error": "", **changes}
        if not Repair.objects.filter(pk=self.repair.pk, status=Repair.Status.OPEN).update(**changes):
            raise LeaseLostError(f"{self.repair} was ended meanwhile.")
        self.repair.refresh_from_db()

    def fail(self, error: Exception) -> None:
        """Write that it did not go on, and when it is tried again, if at all. What was kept stays."""
        _fail(self.repair, self.state, self.token, error)


def _nothing() -> None:
    """Ask nothing: the step is one of ours."""


def _fail(repair: Repair, state: PollState, token: str, error: Exception) -> None:
    now, failures = timezone.now(), repair.failures + 1
    retry = retry_of(error, failures, now, site=state.site)
    changes: dict[str, Any] = {"failures": failures, "error": retry.words, "next_try_at": retry.again_at}
    if retry.ends:
        changes |= {"status": Repair.Status.FAILED, "finished_at": now, "next_try_at": None}
    with transaction.atomic():
        end_lease(PollState, state.pk, token)
        Repair.objects.filter(pk=repair.pk, status=Repair.Status.OPEN).update(**changes)
        if retry.ends:
            runs = PollRun.objects.filter(resource_poll=state.pk, kind=PollRun.Kind.REPAIR, status=PollRun.Status.OPEN)
            runs.update(status=PollRun.Status.FAILED, finished_at=now, error=retry.words)


def claim_repairs(capacity: int, running: Collection[Work]) -> list[Work]:
    """Claim the polls whose resources are to be repaired, a few at a time, the longest due first."""
    capacity = min(capacity, AT_A_TIME - sum(isinstance(job, RepairJob) for job in running))
    now = timezone.now()
    due = may_repair(now).filter(next_try_at__lte=now).order_by("next_try_at")
    chosen = list(due.values_list("resource_poll_id", flat=True)[: max(capacity, 0)])
    if not chosen:
        return []
    token, keys = claim(PollState.objects.all(), chosen, now=now, length=LEASE)
    found = Repair.objects.filter(resource_poll__in=keys, status=Repair.Status.OPEN)
    repairs = {row.resource_poll_id: row for row in found.select_related("verification__resource_poll")}
    states = PollState.objects.filter(pk__in=keys).select_related("resource_poll__instance__organization")
    return [job for state in states if (job := _start(state, token, repairs.get(state.pk))) is not None]


def _start(state: PollState, token: str, repair: Repair | None) -> RepairJob | None:
    if repair is None:  # it ended meanwhile
        release(PollState, [state.pk], token)
        return None
    try:
        return RepairJob(state, token, repair)
    except (LeaseLostError, SecretUnreadableError) as error:
        _fail(repair, state, token, error)
        return None
