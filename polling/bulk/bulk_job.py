"""Bulk jobs as the workers carry them out: instance by instance, beside the polls, under a lease of the job.

Each instance has a transaction of its own, which makes the change, says how far the job came, and is fenced by the
lease: a worker that dies leaves the next one to go on with the instance after the last, and none is changed twice. What
is refused, or fails by a fault of ours, is written down with its reason, and the next instance has its turn. A step of
the loop takes as many instances as fit into a short time, so that polls are not kept waiting. Jobs are claimed before
polls, which would else leave them no room: one that makes a thousand instances' polls due would wait behind them all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from cwconnect.core.errors import DomainError
from cwconnect.core.logs import about
from instances import audit
from instances.interactive import asking_nothing
from instances.models import Instance
from polling.bulk.jobs import may_still_ask
from polling.bulk.registry import find_action
from polling.detection.jobs import LEASE, Work
from polling.models import BulkJob, BulkRefusal
from polling.workers.due import may_change_many
from polling.workers.leases import DATABASE_DOWN, LeaseLostError, claim, end_lease, fence, free

log = logging.getLogger(__name__)

AT_A_TIME = 4  # a worker's, each another organization's
STEP_SECONDS = 2.0  # what polls wait at most; a round of theirs takes as long where many fail
NO_CALLS = "ConnectWise would have to be asked about it first: change this instance on its own page."
NO_RIGHTS = "Who asked for it may not change instances any more: what was left to do is left as it is."


class BulkWork(Work):
    """A claimed bulk job."""

    row = BulkJob
    site = host = ""  # of none: no request is made

    def __init__(self, job: BulkJob, token: str) -> None:
        self.job, self.key, self.token = job, job.pk, token

    @property
    def subject(self) -> str:
        """What log lines call it."""
        return str(self.job)

    @property
    def about(self) -> Mapping[str, int | None]:
        """Nothing: each instance's log lines carry its id."""
        return {}

    def request(self) -> Callable[[], Any]:
        """Return a request that asks nothing: all that is done is ours."""
        return _nothing

    def commit(self, answer: Any) -> bool:
        """Go by the next instances, for a short time; give whether some are left."""
        until = time.monotonic() + STEP_SECONDS
        if not may_still_ask(self.job):
            self._end(BulkJob.Status.FAILED, NO_RIGHTS)
            return False
        while self.job.done < self.job.total:
            with transaction.atomic():
                self._go_by(self.job.instances[self.job.done])
            self.job.done += 1
            if time.monotonic() >= until:
                break
        return self.job.done < self.job.total

    def fail(self, error: Exception) -> None:
        """Write that it ends here, by a fault of ours."""
        self._end(BulkJob.Status.FAILED, f"A fault of cwconnect itself ({type(error).__name__}).")

    def _go_by(self, key: int) -> None:
        """Change an instance, or write down why not, and that the job came by it; with the last the job ends."""
        now = timezone.now()
        fence(BulkJob, self.key, self.token, lease_until=now + LEASE, done=F("done") + 1)
        ours = Instance.objects.filter(organization=self.job.organization_id).prefetch_related("resource_polls")
        instance = ours.select_for_update(no_key=True).filter(pk=key).first()
        reason = "There is no such instance any more." if instance is None else self._refusal_of(instance)
        if reason:
            name = instance.name if instance is not None else ""
            BulkRefusal.objects.create(job=self.job, instance_id=key, name=name, reason=reason)
            BulkJob.objects.filter(pk=self.key).update(refused=F("refused") + 1)
        if self.job.done + 1 == self.job.total:
            self._end(BulkJob.Status.COMPLETE)

    def _refusal_of(self, instance: Instance) -> str:
        """Change an instance; give why that was refused, if it was: then nothing of it is left."""
        try:
            with (
                about(instance_id=instance.pk),
                audit.on_behalf_of(self.job.actor, self.job.request_id),
                asking_nothing(NO_CALLS),
                transaction.atomic(),
            ):
                find_action(self.job.action).apply(instance, self.job.arguments)
        except DomainError as error:
            return f"{error.message} {error.provider_message}".strip()
        except (LeaseLostError, *DATABASE_DOWN):
            raise
        except Exception as error:  # a fault of ours with one instance must not stop the others
            log.exception("%s failed for %s", self.job, instance, extra={"instance_id": instance.pk})
            return f"A fault of cwconnect itself ({type(error).__name__}); its log says more."
        return ""

    def _end(self, status: BulkJob.Status, words: str = "") -> None:
        now = timezone.now()
        end_lease(BulkJob, self.key, self.token, status=status, error=words, finished_at=now, next_try_at=None)


def _nothing() -> None:
    """Ask nothing."""


def claim_bulk_jobs(capacity: int, running: Collection[Work]) -> list[Work]:
    """Claim bulk jobs that are due, a few at a time, the longest due first. A source of the workers' loop."""
    capacity = min(capacity, AT_A_TIME - sum(isinstance(job, BulkWork) for job in running))
    now = timezone.now()
    due = may_change_many().filter(next_try_at__lte=now)
    chosen = list(due.filter(free(now)).order_by("next_try_at").values_list("pk", flat=True)[: max(capacity, 0)])
    if not chosen:
        return []
    token, keys = claim(due, chosen, now=now, length=LEASE)
    return [BulkWork(job, token) for job in BulkJob.objects.filter(pk__in=keys)]
