"""Warnings to the operator, kept as rows: raised inside the transaction that found the reason, sent elsewhere.

An episode has one alert of a kind, however often its reason comes up: until it is resolved no other is made.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from cwconnect.core.text import counted
from instances.models import ApiUser, Instance
from polling.models import Alert, Notification, Receiver, Subscription

log = logging.getLogger(__name__)


def warn(
    kind: Alert.Kind, instance: Instance, text: str, now: datetime, *, notification: Notification | None = None
) -> None:
    """Raise an alert about an instance, unless one of its kind is open, or it was deleted: then nobody is to hear."""
    if (organization_id := _whose(instance.pk)) is None:
        return
    _raise(
        Alert(
            kind=kind,
            organization_id=organization_id,
            instance=instance,
            notification=notification,
            text=text,
            created_at=now,
        ),
        Alert.objects.filter(kind=kind, instance=instance, subscription=None),
    )


def warn_of_pause(subscription: Subscription, text: str, now: datetime) -> None:
    """Raise an alert that delivery to a subscription is paused, unless one is open or its instance was deleted."""
    _warn_of_delivery(Alert(kind=Alert.Kind.PAUSED, text=text, created_at=now), subscription)


def of_delivery(subscription: Subscription) -> QuerySet[Alert]:
    """Return the alerts about delivery to a subscription: what ends when it is released."""
    others = (Alert.Kind.REFUSED, Alert.Kind.TOKEN_EXPIRES)
    ours = Alert.objects.filter(instance=subscription.instance_id, subscription=_further(subscription))
    return ours.exclude(kind__in=others)


def raise_resolved(kind: Alert.Kind, instance: Instance, text: str, now: datetime) -> None:
    """Raise an alert that asks for nothing: what it warns of is over as soon as it is sent."""
    if (organization_id := _whose(instance.pk)) is None:
        return
    Alert.objects.create(
        kind=kind,
        organization_id=organization_id,
        instance=instance,
        text=text,
        created_at=now,
        resolved_at=now,
    )
    transaction.on_commit(lambda: log.info("%s", text, extra={"instance_id": instance.pk}))


def warn_of_breaker(receiver: Receiver, reason: str, now: datetime) -> None:
    """Raise an alert about a receiver whose breaker opened."""
    text = (
        f"The receiver {receiver} of {receiver.organization} failed {counted(receiver.failures, 'time')} in a row. "
        f"One notification at a time is tried until one arrives; the others wait. Last: {reason}"
    )
    _raise(
        Alert(
            kind=Alert.Kind.BREAKER,
            organization_id=receiver.organization_id,
            receiver=receiver,
            text=text,
            created_at=now,
        ),
        Alert.objects.filter(kind=Alert.Kind.BREAKER, receiver=receiver),
    )


def warn_of_key(user: ApiUser, text: str, now: datetime) -> None:
    """Raise an alert about an API user's key that expires."""
    kind, number = Alert.Kind.KEY_EXPIRES, user.pk
    alert = Alert(kind=kind, organization_id=user.organization_id, key_number=number, text=text, created_at=now)
    _raise(alert, Alert.objects.filter(kind=kind, key_number=number))


def warn_of_tries(
    notification: Notification,
    subscription: Subscription,
    schedule: Collection[float],
    step: int,
    reason: str,
    now: datetime,
) -> None:
    """Raise what the tries used up so far call for: half of the schedule, or all but one."""
    left = len(schedule) - step
    tries = f"{step} of {counted(len(schedule), 'time')}"
    said = f"Notification {notification.webhook_id} of {subscription} failed {tries}"
    alert = Alert(notification=notification, created_at=now)
    if left == 1:
        alert.kind, alert.text = Alert.Kind.LAST_TRY, f"{said}: one try is left. Last: {reason}"
    elif step == len(schedule) // 2:
        alert.kind, alert.text = Alert.Kind.HALF_USED, f"{said}: half of its retry schedule is used up. Last: {reason}"
    else:
        return
    _warn_of_delivery(alert, subscription)


def resolve(alerts: QuerySet[Alert], now: datetime) -> None:
    """End the episodes of those of `alerts` that are open."""
    alerts.filter(resolved_at=None).update(resolved_at=now)


def _warn_of_delivery(alert: Alert, subscription: Subscription) -> None:
    """Raise an alert about a subscription, unless one of its kind is open, or it or its instance was deleted."""
    if (organization_id := _whose(subscription.instance_id)) is None:
        return
    if Subscription.objects.filter(pk=subscription.pk, deleted_at__isnull=False).exists():
        return
    alert.organization_id, alert.instance_id = organization_id, subscription.instance_id
    alert.subscription_id = _further(subscription)
    like_it = Alert.objects.filter(
        kind=alert.kind, instance=subscription.instance_id, subscription=alert.subscription_id
    )
    _raise(alert, like_it)


def _further(subscription: Subscription) -> int | None:
    """Return what an alert has as its subscription: nothing for the first one, as in processes of earlier versions."""
    return None if subscription.is_first else subscription.pk


def _whose(instance_id: int) -> int | None:
    """Return the organization that has the instance now: who found the reason read it before its request."""
    return Instance.objects.values_list("organization_id", flat=True).filter(pk=instance_id).first()


def _raise(alert: Alert, like_it: QuerySet[Alert]) -> None:
    if like_it.filter(resolved_at=None).exists():
        return
    # Two workers may come here at a time: the constraint keeps one alert, and costs neither its transaction.
    Alert.objects.bulk_create([alert], ignore_conflicts=True)
    at = {"instance_id": alert.instance_id, "notification_id": alert.notification_id}
    extra = {name: value for name, value in at.items() if value is not None}
    transaction.on_commit(lambda: log.warning("%s", alert.text, extra=extra))
