"""Notifications made without a poll: many, quickly, of whatever records a test wants."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from django.utils import timezone

from instances.models import Instance, Organization
from instances.secrets import Secret
from polling.delivery.notifications import notification_of
from polling.models import Event, Notification

Records = Sequence[int]


def make_instance(organization: Organization, url: str, name: str = "API_Polling", key: str = "") -> Instance:
    """Make an instance that notifies `url`, without asking any ConnectWise."""
    instance = Instance(
        organization=organization,
        name=name,
        token_hash=secrets.token_hex(32),
        base_url="http://127.0.0.1:9",
        company="acme",
        events_enabled=True,
        callback_url=url,
    )
    instance.public_key = instance.private_key = Secret.of("x")
    instance.signature_key = Secret.of(key) if key else None
    instance.save()
    return instance


def make_notifications(
    instance: Instance,
    batches: Sequence[Records],
    now: datetime | None = None,
    *,
    due: Callable[[int], datetime] | None = None,
    **columns: object,
) -> list[Notification]:
    """Make one notification for each list of records, following none; due at once, or when `due` says by position."""
    at = now or timezone.now()
    last = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    events, notifications = [], []
    for position, records in enumerate(batches):
        carried = []
        for record in records:
            last += 1
            carried.append(_event(last, instance, record, at))
        notification = notification_of(instance, "contacts", carried, at)
        if due is not None:
            notification.next_attempt_at = due(position)
        for name, value in columns.items():
            setattr(notification, name, value)
        for event in carried:
            event.notification_id = notification.pk
        notifications.append(notification)
        events += carried
    Notification.objects.bulk_create(notifications)
    Event.objects.bulk_create(events)
    return notifications


def _event(key: int, instance: Instance, record: int, at: datetime) -> Event:
    return Event(
        id=key,
        instance=instance,
        object_type="contacts",
        object_id=str(record),
        record_id=record,
        kind="UPDATED",
        occurred_at=at,
        polled_at=at,
        record=f'{{"id":{record}}}',
    )
