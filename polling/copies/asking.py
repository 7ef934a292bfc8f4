"""Copies as people and programs ask for them, see them, and stop them. What a worker does stands in copy_job.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from instances import audit
from instances.audit import Action
from instances.hub import reads
from instances.models import Instance
from polling.copies.queries import read_query
from polling.detection.watching import site_key
from polling.models import Copy
from polling.workers.queue import wake_on_commit
from polling.workers.wakeups import Kind

MOST_OPEN = 3  # of an instance
MOST_KEPT = 100  # of an instance


def copies_of(instance: Instance) -> QuerySet[Copy]:
    """Return an instance's copies, newest first, but for those that have expired and are about to be deleted."""
    there = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return Copy.objects.filter(there, instance=instance).select_related("instance", "watched_poll").order_by("-pk")


def start_copy(instance: Instance, query: object) -> Copy:
    """Have the workers copy what a query selects; return the copy, which shows how far they came.

    Raises DomainError for a query that can't be read, for a disabled instance (403), and ConflictError where too many
    copies of the instance are under way or kept.
    """
    reads.check_enabled(instance)
    read = read_query(instance, query)
    now = timezone.now()
    with transaction.atomic():
        if (
            not Instance.objects.select_for_update(no_key=True)
            .filter(pk=instance.pk, organization__isnull=False)
            .exists()
        ):
            raise Http404
        _check_room(instance)
        copy = Copy.objects.create(
            instance=instance,
            actor=audit.who()[:200],
            query=read.query,
            resource=read.resource,
            path=read.path,
            params=dict(read.params),
            fields=read.fields,
            mapping=read.mapping,
            site=site_key(instance),
            host=urlsplit(instance.base_url).netloc.lower()[:255],
            asked_at=now,
            next_try_at=now,
        )
        details = {"resource": read.resource, "fields": read.fields or "all", "filtered": "conditions" in read.params}
        audit.record(Action.START_COPY, copy, organization=instance.organization, details=details)
        wake_on_commit(Kind.POLL)
    return copy


def _check_room(instance: Instance) -> None:
    if copies_of(instance).filter(status__in=Copy.OPEN).count() >= MOST_OPEN:
        raise ConflictError(f"{MOST_OPEN} copies of this instance are under way already. Wait for one, or cancel it.")
    if copies_of(instance).exclude(status=Copy.Status.CANCELLED).count() >= MOST_KEPT:
        raise ConflictError(f"{MOST_KEPT} copies of this instance are kept already. Cancel some that nobody needs.")


def cancel_copy(copy: Copy) -> Copy:
    """End a copy where it stands, or drop a complete one's records; return it. One that has failed stays as it is."""
    now = timezone.now()
    with transaction.atomic():
        rows = Copy.objects.filter(pk=copy.pk, status__in=(*Copy.OPEN, Copy.Status.COMPLETED))
        changes: dict[str, Any] = {"status": Copy.Status.CANCELLED, "next_try_at": None, "finished_at": now}
        if rows.end_leases(**changes, expires_at=now + timedelta(days=settings.COPY_DAYS)):
            audit.record(Action.CANCEL_COPY, copy, organization=copy.instance.organization)
    return copies_of(copy.instance).get(pk=copy.pk)


def interrupt_copies(sender: object, *, instance: Instance, **_: object) -> None:
    """Have whoever reads a copy of an instance begin its next page under what is configured now.

    Receiver of `watching_changed`: what was read under the old settings commits nothing more.
    """
    Copy.objects.filter(instance=instance, status__in=Copy.OPEN, lease_token__isnull=False).end_leases()


def stop_copies(sender: object, *, instance: Instance, **_: object) -> None:
    """Have no copy of a deleted instance go on (receiver of `instance_deleted`); its rows go with the instance's."""
    Copy.objects.filter(instance=instance, status__in=Copy.OPEN).end_leases(next_try_at=None)


def state_in_words(copy: Copy) -> str:
    """Return what people read of a copy that waits or has failed; blank where there is nothing to say."""
    if copy.status == Copy.Status.FAILED or (copy.is_open and copy.error):
        return copy.error
    if copy.is_open and copy.instance.disabled:
        return "The instance is disabled: the copy goes on once it is enabled."
    return ""
