"""Verifications as the workers carry them out: beside the polls, under a lease of their own, kept step by step.

They wait where the company's polls wait for ConnectWise's rate limit, and while the instance is disabled. What fails
for a reason that passes is tried again as a poll would be, a few times; what ConnectWise refuses ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from cwconnect.connectwise.client import Page
from cwconnect.connectwise.errors import ConnectWiseError
from instances.secrets import SecretUnreadableError
from polling.detection.failures import decide_retry
from polling.detection.jobs import LEASE, Work
from polling.detection.outcomes import block_site, sentence_of
from polling.models import Verification
from polling.verification.comparison import Comparison
from polling.verification.report import conclude
from polling.workers.due import may_verify
from polling.workers.leases import claim, end_lease, fence, free

AT_A_TIME = 2  # a worker's: each keeps one request under way, beside up to fourteen of polls
MOST_FAILURES = 5  # in a row, over some ten minutes: then a person is to look


class VerificationJob(Work):
    """A claimed verification."""

    row = Verification

    def __init__(self, verification: Verification, token: str) -> None:
        self.verification = verification
        self.poll = verification.resource_poll
        self.key, self.token = verification.pk, token
        self.site, self.host = self.poll.state.site, self.poll.state.host
        now, kept = verification.asked_at, verification.comparison
        self.comparison = Comparison.begin(self.poll, now) if kept is None else Comparison.resume(self.poll, now, kept)
        self._request = self.comparison.request()

    @property
    def about(self) -> Mapping[str, int | None]:
        """The instance."""
        return {"instance_id": self.poll.instance_id}

    def request(self) -> Callable[[], Page]:
        """Return the next request: one that is at its end is complete, and is not claimed."""
        assert self._request is not None  # noqa: S101  (see above)
        return self._request

    def commit(self, answer: Page) -> bool:
        """Keep what a request brought; give whether there is more to ask."""
        self.comparison.take(answer)
        self._request = self.comparison.request()
        now, source = timezone.now(), self.comparison.source
        if self._request is None:
            found = conclude(self.comparison).as_json()
            end(self.key, self.token, now, status=Verification.Status.COMPLETE, source=source, finding=found, error="")
            return False
        kept = {"comparison": self.comparison.kept(), "source": source, "failures": 0, "error": ""}
        fence(Verification, self.key, self.token, lease_until=now + LEASE, **kept)
        self.verification.failures = 0
        return True

    def fail(self, error: Exception) -> None:
        """Write that it did not go on, and when it is tried again, if at all."""
        fail(self.verification, self.token, error, site=self.site)


def end(key: int, token: str, now: datetime, **changes: Any) -> None:
    """Write that a verification has ended."""
    end_lease(Verification, key, token, comparison=None, next_try_at=None, finished_at=now, **changes)


def fail(verification: Verification, token: str, error: Exception, *, site: str) -> None:
    """Write that a verification did not go on. What it has kept stays, for the next try."""
    now, failures = timezone.now(), verification.failures + 1
    retry = retry_of(error, failures, now, site=site)
    if retry.ends:
        end(verification.pk, token, now, status=Verification.Status.FAILED, failures=failures, error=retry.words)
        return
    again = {"failures": failures, "error": retry.words, "next_try_at": retry.again_at}
    end_lease(Verification, verification.pk, token, **again)


@dataclass(frozen=True)
class JobRetry:
    """What follows from a failure: the sentence for people, and when it is tried again unless it ends there."""

    words: str
    again_at: datetime
    ends: bool


def retry_of(error: Exception, failures: int, now: datetime, *, site: str) -> JobRetry:
    """Return what follows from the `failures`-th failure in a row; a company that is to wait has its polls wait too."""
    reason = error if isinstance(error, ConnectWiseError) else None
    decision = decide_retry(reason, failures)
    if decision.site_waits:
        block_site(site, now + decision.wait)
    ends = reason is None or not reason.retryable or failures >= MOST_FAILURES
    return JobRetry(sentence_of(reason, error), now + decision.wait, ends)


def claim_verifications(capacity: int, running: Collection[Work]) -> list[Work]:
    """Claim verifications that are due, a few at a time, the longest due first."""
    capacity = min(capacity, AT_A_TIME - sum(isinstance(job, VerificationJob) for job in running))
    now = timezone.now()
    due = may_verify(now).filter(next_try_at__lte=now)
    chosen = list(due.filter(free(now)).order_by("next_try_at").values_list("pk", flat=True)[: max(capacity, 0)])
    if not chosen:
        return []
    token, keys = claim(due, chosen, now=now, length=LEASE)
    rows = Verification.objects.filter(pk__in=keys).select_related(
        "resource_poll__state", "resource_poll__instance__organization"
    )
    return [job for row in rows if (job := _start(row, token)) is not None]


def _start(row: Verification, token: str) -> VerificationJob | None:
    try:
        return VerificationJob(row, token)
    except SecretUnreadableError as error:
        fail(row, token, error, site=row.resource_poll.state.site)
        return None
