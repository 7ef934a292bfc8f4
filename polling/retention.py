"""Retention: what has been delivered is forgotten after CWCONNECT_RETENTION_DAYS; what is undelivered never is.

Deleted are delivered or discarded notifications with their events and attempts, those that are being sent again
excepted, ended runs that hold nothing back, and ended verifications.
Kept for as long as their resource is polled are known rows, and their texts where the poll asks for texts: the next
change is told by them. Work goes in batches of their own short transactions, so that writers never wait long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from instances.models import ResourcePoll
from polling.models import DeliveryAttempt, Event, KnownBody, Notification, PollRun, Verification

BATCH = 1000
DONE = (Notification.State.DELIVERED, Notification.State.DISCARDED)

Progress = Callable[[str, int], None]


@dataclass
class Pruned:
    """How many rows of each kind were deleted."""

    notifications: int = 0
    events: int = 0
    runs: int = 0
    bodies: int = 0


def prune(now: datetime, *, progress: Progress = lambda what, count: None) -> Pruned:
    """Apply retention; `progress` hears of each batch. Safe to interrupt, and to run beside everything else."""
    before = now - timedelta(days=settings.RETENTION_DAYS)
    pruned = Pruned()
    while count := _prune_notifications(before, pruned):
        progress("notifications", count)
    while count := _prune_runs(before):
        pruned.runs += count
        progress("runs", count)
    Verification.objects.filter(finished_at__lt=before).delete()  # few: each was asked for by a person
    while count := _prune_bodies():
        pruned.bodies += count
        progress("texts", count)
    return pruned


def _prune_notifications(before: datetime, pruned: Pruned) -> int:
    old = Notification.objects.filter(state__in=DONE, created_at__lt=before, replay=None)
    with transaction.atomic():
        keys = list(old.order_by("created_at").values_list("pk", flat=True)[:BATCH])
        DeliveryAttempt.objects.filter(notification_id__in=keys).delete()
        pruned.events += Event.objects.filter(notification_id__in=keys).delete()[0]
        Notification.objects.filter(pk__in=keys).delete()
    pruned.notifications += len(keys)
    return len(keys)


def _prune_runs(before: datetime) -> int:
    told = Event.objects.filter(run=OuterRef("pk"))
    # What has ended before has begun before, and by their beginning runs are in an index.
    ended = PollRun.objects.filter(started_at__lt=before, finished_at__lt=before)
    old = ended.filter(~Q(status=PollRun.Status.OPEN), ~Exists(told), held=[])
    keys = list(old.order_by("started_at").values_list("pk", flat=True)[:BATCH])
    PollRun.objects.filter(pk__in=keys).delete()
    return len(keys)


def _prune_bodies() -> int:
    """Delete texts that no poll asks for any more: its deletes and field changes were switched off."""
    silent = ResourcePoll.objects.filter(_off("detectDeletes"), _off("trackChanges")).values("pk")
    bodies = KnownBody.objects.filter(resource_poll__in=silent)
    poll_id = bodies.values_list("resource_poll_id", flat=True).first()
    if poll_id is None:
        return 0
    records = list(bodies.filter(resource_poll_id=poll_id).values_list("record_id", flat=True)[:BATCH])
    KnownBody.objects.filter(resource_poll_id=poll_id, record_id__in=records).delete()
    return len(records)


def _off(key: str) -> Q:
    return Q(**{f"configuration__{key}__isnull": True}) | Q(**{f"configuration__{key}": False})
