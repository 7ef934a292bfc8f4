"""Events, further subscriptions and what they carried and held, written as the poller and the fan-out write them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from instances.models import Instance
from polling.log.event_ids import take_ids
from polling.models import Event, Notification, PollRun, Subscription, SubscriptionEvent
from polling.models.subscriptions import FURTHER_FROM


def record(instance: Instance, record_id: int, *, notified: bool = True, at: datetime | None = None) -> Event:
    """Record one event of the instance's contacts, delivered where somebody was `notified` of it."""
    now = at or timezone.now()
    poll = instance.resource_polls.get()
    with transaction.atomic():
        [key] = take_ids(1)
        carried_by = _notification(instance, key, now, "delivered") if notified else None
        return Event.objects.create(
            id=key,
            instance=instance,
            resource_poll=poll,
            run=PollRun.objects.create(resource_poll=poll, status="complete", started_at=now, finished_at=now),
            notification=carried_by,
            object_type="contacts",
            object_id=str(record_id),
            record_id=record_id,
            kind=Event.Kind.UPDATED,
            occurred_at=now,
            polled_at=now,
            record="{}",
        )


def further(instance: Instance, *, reached: int, days: int | None = None) -> Subscription:
    """Make a further subscription that reads the log and has come to the event `reached`."""
    number = Subscription.objects.filter(pk__gt=FURTHER_FROM).count() + 1
    return Subscription.objects.create(
        id=FURTHER_FROM + number,
        instance=instance,
        name=f"Further {number}",
        callback_url="http://127.0.0.1:9/",
        reads_log=True,
        reached_id=reached,
        retention_days=days,
    )


def carry(subscription: Subscription, events: Sequence[Event], *, state: str, **columns: Any) -> Notification:
    """Have a notification of the subscription carry these events."""
    with transaction.atomic():
        [key] = take_ids(1)
    at = events[-1].polled_at
    sent = _notification(subscription.instance, key, at, state, subscription=subscription, **columns)
    SubscriptionEvent.objects.bulk_create(
        SubscriptionEvent(subscription=subscription, event=event, notification=sent) for event in events
    )
    return sent


def hold(subscription: Subscription, events: Sequence[Event]) -> None:
    """Have the subscription's filter hold these events back."""
    SubscriptionEvent.objects.bulk_create(
        SubscriptionEvent(subscription=subscription, event=event, held_by="kinds") for event in events
    )


def _notification(instance: Instance, key: int, at: datetime, state: str, **columns: Any) -> Notification:
    return Notification.objects.create(
        id=key,
        instance=instance,
        object_type="contacts",
        webhook_id=f"msg_{uuid.uuid4()}",
        body="{}",
        event_count=1,
        state=state,
        created_at=at,
        **columns,
    )
