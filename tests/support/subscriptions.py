"""Subscriptions made without their API, and notifications for them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from instances.models import Instance
from instances.secrets import Secret
from polling.delivery.pausing import pause_by_hand, subscriptions_of
from polling.log.event_ids import complete_id, take_ids
from polling.models import Event, Notification, NotificationBody, Subscription, SubscriptionEvent
from polling.models.subscriptions import FURTHER_FROM

_numbers = itertools.count(1)


def make_subscription(
    instance: Instance,
    url: str,
    name: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    key: str = "",
    **given: Any,
) -> Subscription:
    """Make a further subscription of an instance that notifies `url`."""
    number = next(_numbers)
    made = Subscription(
        pk=FURTHER_FROM + number,
        instance=instance,
        name=name or f"Receiver {number}",
        callback_url=url,
        reads_log=True,
        **given,
    )
    made.signature_key = Secret.of(key) if key else None
    made.callback_headers = Secret.of(json.dumps(dict(headers))) if headers else None
    made.save(force_insert=True)
    return made


def carry(subscription: Subscription, batches: Sequence[Sequence[Event]], **columns: Any) -> list[Notification]:
    """Make notifications that carry these events for a subscription, due at once, their bytes shared by hash.

    Nothing else of the log is made for it until then.
    """
    made = []
    for events, key in zip(batches, take_ids(len(batches)), strict=True):
        body = json.dumps([event.pk for event in events])
        digest = hashlib.sha256(body.encode()).hexdigest()
        NotificationBody.objects.get_or_create(hash=digest, defaults={"body": body, "used_at": timezone.now()})
        notification = Notification.objects.create(
            id=key,
            instance=subscription.instance,
            subscription=subscription,
            object_type=events[0].object_type,
            webhook_id=f"msg_{key}",
            shared_body_id=digest,
            event_count=len(events),
            created_at=timezone.now(),
            **{"next_attempt_at": timezone.now(), **columns},
        )
        SubscriptionEvent.objects.bulk_create(
            SubscriptionEvent(subscription=subscription, event=event, notification=notification) for event in events
        )
        made.append(notification)
    Subscription.objects.filter(pk=subscription.pk).update(reached_id=complete_id())
    return made


def pause_all_by_hand(instance: Instance, now: datetime) -> bool:
    """Pause all subscriptions of an instance; return whether one was not paused yet."""
    paused = [pause_by_hand(each, now) for each in subscriptions_of(instance)]
    return any(paused)
