"""Deleted instances: nobody's at once, their rows gone by and by.

A deletion takes the instance from its organization (instances/provisioning.py). Whatever people and programs read they
read as their organization's, so that from its commit on nobody sees the instance or any event of it; what is
polled and sent goes by rows that are deleted with it (`stop_instance`). The rest may be millions of rows. A job
deletes them in short batches, as retention does, and the instance last: so what a crash leaves is found by whoever
comes next.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from math import inf
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from instances.models import Instance
from polling.delivery.pausing import rearm_all
from polling.maintenance.old_copies import delete_pages
from polling.maintenance.retention import (
    BATCH,
    Batch,
    Progress,
    delete_notifications,
    silent,
    stretch,
    unhurried,
)
from polling.models import (
    Alert,
    AnnouncedRecord,
    CallbackEndpoint,
    CallbackHint,
    CopyPage,
    DeliveryState,
    Event,
    MissingRecord,
    Notification,
    PollRun,
    PollState,
    RecordSnapshot,
    RecordWord,
    Replay,
    SnapshotBody,
    Verification,
)
from polling.workers.leases import free
from polling.workers.stopping import stopping

log = logging.getLogger(__name__)

NARROW = 1000  # a batch of rows that are small


def stop_instance(sender: object, *, instance: Instance, **_: object) -> None:
    """Delete what would have it polled, sent for or warned of (receiver of `instance_deleted`).

    A run in flight loses its fence with its state, and can commit nothing more.
    """
    polls = instance.resource_polls.all()
    PollState.objects.filter(resource_poll__in=polls).delete()
    Verification.objects.filter(resource_poll__in=polls).delete()
    Alert.objects.filter(instance=instance).delete()
    DeliveryState.objects.filter(subscription__instance=instance).delete()
    Replay.objects.filter(instance=instance, queued_at=None).update(queued_at=timezone.now())
    rearm_all(instance, timezone.now())


def purge_deleted(now: datetime) -> int:
    """Delete rows of deleted instances, for a stretch at most; give how many instances are gone for good."""
    return purge(silent, until=stretch())


def purge(progress: Progress, *, until: float = inf) -> int:
    """Delete rows of deleted instances, `until` then (monotonic seconds), else all; `progress` hears of each batch.

    Give how many instances are gone.
    """
    gone = 0
    for instance in Instance.objects.filter(organization=None).order_by("pk"):
        name, rows = str(instance), 0
        for batch in _batches(instance):
            for count in unhurried(_from_the_head(batch), until):
                progress("of deleted instances", count)
                rows += count
        ended = time.monotonic() < until and not stopping() and _end(instance)
        log.info("%s: %s rows deleted, %s.", name, rows, "the last" if ended else "more are left")
        gone += ended
    return gone


def _from_the_head(batch: Callable[[], int]) -> Batch:
    return lambda since: (batch(), since)


def _batches(instance: Instance) -> list[Callable[[], int]]:
    """Return what deletes a batch of each table, of those that hold many rows; what points to others first."""
    polls = list(instance.resource_polls.values_list("pk", flat=True))
    return [
        partial(_delete_notifications, instance),
        partial(_delete_some, Event.objects.filter(instance=instance)),  # that no notification carries
        partial(_delete_some, CallbackHint.objects.filter(instance=instance)),
        partial(delete_pages, CopyPage.objects.filter(copy__instance=instance).order_by("pk")),
        partial(_delete_some, PollRun.objects.filter(resource_poll__in=polls)),
        *(
            partial(_delete_records, model, poll)
            for model in (RecordSnapshot, SnapshotBody, MissingRecord, AnnouncedRecord, RecordWord)
            for poll in polls
        ),
    ]


def _delete_notifications(instance: Instance) -> int:
    rows = Notification.objects.filter(free(timezone.now()), instance=instance)  # an attempt under way is waited for
    with transaction.atomic():
        keys = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
        return len(keys) + delete_notifications(keys)


def _delete_some(rows: QuerySet[Any]) -> int:
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[:NARROW])
    rows.model.objects.filter(pk__in=keys).delete()
    return len(keys)


def _delete_records(model: Any, poll_id: int) -> int:
    """Delete the first of the rows that a poll has of a model with an id of ConnectWise's."""
    rows = model.objects.filter(resource_poll_id=poll_id)
    records = list(rows.order_by("record_id").values_list("record_id", flat=True)[:NARROW])
    if records:
        rows.filter(record_id__lte=records[-1]).delete()
    return len(records)


@transaction.atomic
def _end(instance: Instance) -> bool:
    """Delete the instance with the few rows that are left.

    False if a notification is still on its way, or a callback of it still registered at ConnectWise.
    """
    if Notification.objects.filter(instance=instance).exists():
        return False
    if CallbackEndpoint.objects.filter(instance=instance).exists():
        return False
    instance.delete()
    return True
