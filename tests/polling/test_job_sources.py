"""Who has further jobs for the workers is asked only where there are any."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from polling.detection.job_sources import JobSources, registered
from polling.detection.jobs import Work
from polling.models import PollState, Repair, Site, Verification
from polling.verification.repair_job import claim_repairs
from polling.verification.verification_job import claim_verifications
from tests.support.polled_instance import PolledInstance


def test_sources_without_due_rows_are_not_asked(watched: PolledInstance, django_assert_num_queries: Any) -> None:
    poll, now = watched.state.resource_poll, timezone.now()
    first, others = registered()
    others.with_work(now)  # compiled once
    later = {"resource_poll": poll, "asked_at": now, "next_try_at": now + timedelta(seconds=1)}
    verification = Verification.objects.create(**later)
    Repair.objects.create(verification=verification, **later)
    with django_assert_num_queries(1):
        assert others.with_work(now) == []
    assert others.with_work(now + timedelta(seconds=2)) == [claim_verifications, claim_repairs]
    assert first.with_work(now) == []


def test_sources_are_asked_in_their_order(watched: PolledInstance, django_assert_num_queries: Any) -> None:
    def none(capacity: int, running: object) -> list[Work]:
        return []

    def some(capacity: int, running: object) -> list[Work]:
        return []

    sources = JobSources()
    with django_assert_num_queries(0):
        assert sources.with_work(timezone.now()) == []
    sources.add(some, lambda now: PollState.objects.filter(next_poll_at__lte=now).order_by("-cursor"))
    sources.add(none, _blocked)
    sources.add(none, lambda now: PollState.objects.filter(next_poll_at__isnull=False))
    far = timezone.now() + timedelta(days=1)
    assert sources.with_work(far) == [some, none]
    assert sources.with_work(timezone.now() - timedelta(days=1)) == [none]


def _blocked(now: Any) -> QuerySet[Site]:
    return Site.objects.filter(blocked_until__gt=now)
