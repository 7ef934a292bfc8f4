"""Bulk jobs as people ask for them, and stop them. What a worker does with them stands in bulk_job.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from cwconnect.core.errors import DomainError
from instances import audit
from instances.audit import Action
from instances.models import Membership, Role
from instances.pages.access import Person
from polling.bulk.registry import BulkAction
from polling.models import BulkJob
from polling.workers.queue import wake_on_commit
from polling.workers.wakeups import Kind

MOST_INSTANCES = 10_000  # of one job
MOST_OPEN = 50  # jobs of an organization


@transaction.atomic
def start_bulk_job(
    person: Person, action: BulkAction, instances: Sequence[int], arguments: Mapping[str, Any]
) -> BulkJob:
    """Have the workers do this to each of these instances, by their ids; give the job, which shows how far they came.

    What is not the organization's is refused instance by instance, as what is gone is. Raises DomainError where none
    is named, too many are, or too many jobs wait already.
    """
    keys = list(dict.fromkeys(instances))
    if not keys:
        raise DomainError("No instance was chosen.")
    if len(keys) > MOST_INSTANCES:
        raise DomainError(f"A job takes {MOST_INSTANCES:,} instances at most; choose fewer.")
    if BulkJob.objects.filter(organization=person.organization, next_try_at__isnull=False).count() >= MOST_OPEN:
        raise DomainError(f"{MOST_OPEN} jobs wait already. Try again once some have ended.")
    now = timezone.now()
    job = BulkJob.objects.create(
        organization=person.organization,
        account_id=person.account.pk,
        actor=audit.who()[:200],
        request_id=audit.asking_request_id(),
        action=action.name,
        arguments=dict(arguments),
        title=action.title(len(keys), arguments)[:300],
        instances=keys,
        total=len(keys),
        asked_at=now,
        next_try_at=now,
    )
    details = {"action": action.name, **arguments, "instances": len(keys)}
    audit.record(Action.START_JOB, job, organization=person.organization, details=details)
    wake_on_commit(Kind.POLL)
    return job


@transaction.atomic
def stop_bulk_job(job: BulkJob, now: datetime) -> bool:
    """End a job where it stands, if it is open: what is done stays done. Give whether it was open."""
    stopped = BulkJob.objects.filter(pk=job.pk, status=BulkJob.Status.OPEN).end_leases(
        status=BulkJob.Status.FAILED, error=f"Stopped by {audit.who()}.", finished_at=now, next_try_at=None
    )
    if stopped:
        audit.record(Action.STOP_JOB, job, organization=job.organization)
    return bool(stopped)


def may_still_ask(job: BulkJob) -> bool:
    """Whether who asked for a job still may change the organization's instances: roles and accounts come and go."""
    if job.account_id is None:
        return False
    operators = Membership.objects.filter(organization=job.organization_id, role=Role.OPERATOR)
    active = User.objects.filter(pk=job.account_id, is_active=True)
    return operators.filter(account__in=active.values("pk")).exists()
