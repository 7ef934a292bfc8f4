"""When an instance's delivery rests, and how it goes on: nothing is lost meanwhile, later events are kept."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime

from django.db.models import Q

from instances.models import Instance
from polling.models import DeliveryState, Notification

log = logging.getLogger(__name__)

PENDING = Notification.State.PENDING
EXHAUSTED = Notification.State.EXHAUSTED
_BLOCKED_BY = Q(follows__state__in=Notification.UNDELIVERED)


def is_resting(instance: Instance) -> bool:
    """Whether nothing may be sent for the instance now: it is disabled, its events are off, or delivery is paused."""
    if not instance.watching or not instance.callback_url:
        return True
    return DeliveryState.objects.filter(instance=instance, paused_at__isnull=False).exists()


def pause_delivery(instance_id: int, reason: str, now: datetime) -> None:
    """Pause: what is due waits for a person's release. Inside the transaction that found the reason."""
    DeliveryState.objects.update_or_create(instance_id=instance_id, defaults={"paused_at": now, "pause_reason": reason})
    Notification.objects.filter(instance_id=instance_id, state=PENDING).update(next_attempt_at=None)
    log.warning("Delivery of instance %s is paused: %s", instance_id, reason)


def release_delivery(instance: Instance, now: datetime) -> int:
    """Go on after a pause, the exhausted notifications first, with a fresh schedule; give how many are to be sent."""
    DeliveryState.objects.filter(instance=instance).update(paused_at=None, pause_reason="")
    Notification.objects.filter(instance=instance, state=EXHAUSTED).update(
        state=PENDING, step=0, first_attempt_at=None, next_attempt_at=now
    )
    rearm(instance, now)
    return Notification.objects.filter(instance=instance, state=PENDING).count()


def rearm(instance: Instance, now: datetime) -> None:
    """Bring the due times of an instance's notifications in step with whether it may send now."""
    pending = Notification.objects.filter(instance=instance, state=PENDING)
    if is_resting(instance):
        pending.update(next_attempt_at=None)
    else:
        pending.filter(next_attempt_at=None).exclude(_BLOCKED_BY).update(next_attempt_at=now)


def let_followers_go(done: Collection[int], now: datetime) -> None:
    """Make due what waited for these notifications, now delivered or given up."""
    Notification.objects.filter(follows_id__in=done, state=PENDING, next_attempt_at=None).update(next_attempt_at=now)
