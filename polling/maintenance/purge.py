"""Deleted instances and subscriptions: nobody's at once, their rows gone by and by.

A deletion takes the instance from its organization (instances/provisioning.py). Whatever people and programs read they
read as their organization's, so that from its commit on nobody sees the instance or any event of it; what is
polled and sent goes by rows that are deleted with it (`stop_instance`). The rest may be millions of rows. A job
deletes them in short batches, as retention does, and the instance last: so what a crash leaves is found by whoever
comes next.

A deleted subscription is marked so (`deleted_at`), and its undelivered notifications discarded, by whoever deletes it;
what it left goes in the same way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from math import inf
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from instances.models import Instance
from polling.delivery.pausing import rearm_all
from polling.delivery.replay.replays import count_out
from polling.maintenance.old_copies import delete_pages
from polling.maintenance.old_events import delete_events, delete_notifications, read_events
from polling.maintenance.retention import Progress, silent
from polling.maintenance.unhurried import BATCH, HEAD, Batch, Place, stretch, unhurried
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
    Subscription,
    SubscriptionEvent,
    Verification,
)
from polling.subscriptions.ends import forget_further
from polling.subscriptions.held_counts import keep_counts
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
    forget_further(instance)
    rearm_all(instance, timezone.now())


def purge_deleted(now: datetime) -> int:
    """Delete rows of deleted instances and subscriptions, for a stretch at most; give how many are gone for good."""
    until = stretch()
    return purge(silent, until=until) + purge_subscriptions(silent, until=until)


def purge(progress: Progress, *, until: float = inf) -> int:
    """Delete rows of deleted instances, `until` then (monotonic seconds), else all; `progress` hears of each batch.

    Give how many instances are gone.
    """
    deleted = Instance.objects.filter(organization=None).order_by("pk")
    return sum(
        _purge_one(
            str(instance), _batches(instance), partial(_end, instance), partial(progress, "of deleted instances"), until
        )
        for instance in deleted
    )


def purge_subscriptions(progress: Progress, *, until: float = inf) -> int:
    """Delete rows of deleted subscriptions of instances that are there, as `purge` does; give how many are gone."""
    deleted = Subscription.objects.filter(deleted_at__isnull=False, instance__organization__isnull=False)
    report = partial(progress, "of deleted subscriptions")
    return sum(
        _purge_one(str(row), _batches_of(row), partial(_end_subscription, row), report, until)
        for row in deleted.exclude(pk=F("instance_id")).select_related("instance").order_by("pk")
    )


def _purge_one(
    name: str,
    batches: Iterable[Callable[[], int]],
    end: Callable[[], bool],
    report: Callable[[int], None],
    until: float,
) -> bool:
    """Delete what one left, batch by batch, and at last itself; give whether it is gone."""
    rows = 0
    for batch in batches:
        for count in unhurried(_from_the_head(batch), until):
            report(count)
            rows += count
    ended = time.monotonic() < until and not stopping() and end()
    log.info("%s: %s rows deleted, %s.", name, rows, "the last" if ended else "more are left")
    return ended


def _from_the_head(batch: Callable[[], int]) -> Batch:
    def first(_: Place) -> tuple[int, Place | None]:
        count = batch()
        return count, HEAD if count else None

    return first


def _batches(instance: Instance) -> list[Callable[[], int]]:
    """Return what deletes a batch of each table, of those that hold many rows; what points to others first."""
    polls = list(instance.resource_polls.values_list("pk", flat=True))
    return [
        partial(_delete_notifications, Notification.objects.filter(instance=instance)),
        partial(_delete_events, instance),  # that no notification was made with
        partial(_delete_some, CallbackHint.objects.filter(instance=instance)),
        partial(delete_pages, CopyPage.objects.filter(copy__instance=instance).order_by("pk")),
        partial(_delete_some, PollRun.objects.filter(resource_poll__in=polls)),
        *(
            partial(_delete_records, model, poll)
            for model in (RecordSnapshot, SnapshotBody, MissingRecord, AnnouncedRecord, RecordWord)
            for poll in polls
        ),
    ]


def _batches_of(subscription: Subscription) -> list[Callable[[], int]]:
    """Return what deletes a batch of what a further subscription has many rows of; its instance's events stay."""
    return [
        partial(_delete_notifications, Notification.objects.filter(subscription=subscription)),
        partial(_delete_some, SubscriptionEvent.objects.filter(subscription=subscription)),
    ]


def _delete_notifications(rows: QuerySet[Notification]) -> int:
    now = timezone.now()
    with transaction.atomic():
        waited_for = rows.filter(free(now))  # an attempt under way is waited for
        keys = list(waited_for.order_by("pk").values_list("pk", flat=True)[:BATCH])
        count_out(Notification.objects.filter(pk__in=keys))  # what was under way as its subscription was deleted
        return len(keys) + delete_notifications(keys, now=now)


@transaction.atomic
def _delete_events(instance: Instance) -> int:
    return delete_events(read_events(Event.objects.filter(instance=instance).order_by("pk")[:NARROW]))


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
    keep_counts(Subscription.objects.filter(instance=instance))
    instance.delete()
    return True


@transaction.atomic
def _end_subscription(subscription: Subscription) -> bool:
    """Delete a subscription with the few rows that are left; False if a notification of it is still on its way."""
    if not Subscription.objects.filter(free(timezone.now()), pk=subscription.pk).select_for_update().exists():
        return False  # somebody reads the log for it at this moment
    if Notification.objects.filter(subscription=subscription).exists():
        return False
    if SubscriptionEvent.objects.filter(subscription=subscription).exists():
        return False
    DeliveryState.objects.filter(pk=subscription.pk).delete()
    keep_counts(Subscription.objects.filter(pk=subscription.pk))
    subscription.delete()
    return True
