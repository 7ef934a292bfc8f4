"""When an instance's delivery rests, and how it goes on: nothing is lost meanwhile, later events are kept."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from instances import audit
from instances.audit import Action
from instances.models import Instance
from polling.alerts import delivery_alerts
from polling.models import Alert, DeliveryState, Notification, Receiver
from polling.workers.leases import free
from polling.workers.queue import wake_on_commit
from polling.workers.wakeups import Kind

PENDING = Notification.State.PENDING
EXHAUSTED = Notification.State.EXHAUSTED
REPLAYED = Q(replay__isnull=False, state__in=Notification.DELIVERED_OR_GIVEN_UP)
"""What is sent again although its own delivery is over."""
ON_ITS_WAY = Q(state=PENDING) | REPLAYED
BLOCKED = Q(state=PENDING, follows__state__in=Notification.UNDELIVERED) | Q(
    REPLAYED, follows__replay__isnull=False, follows__state__in=Notification.DELIVERED_OR_GIVEN_UP
)
"""What waits for the notification that it follows: its own delivery for that one's, its replay for that one's."""


def is_resting(instance: Instance) -> bool:
    """Whether nothing may be sent for the instance now: it is disabled, its events are off, or delivery is paused."""
    return bool(resting_among([instance]))


def resting_among(instances: Collection[Instance]) -> Collection[int]:
    """Return the ids of those instances for which nothing may be sent now."""
    off = {instance.pk for instance in instances if not instance.watching or not instance.callback_url}
    on = [instance.pk for instance in instances if instance.pk not in off]
    paused = DeliveryState.objects.filter(instance__in=on, paused_at__isnull=False)
    return off.union(paused.values_list("instance_id", flat=True)) if on else off


def pause_delivery(instance: Instance, reason: str, now: datetime) -> None:
    """Pause: what is due waits for a person's release. Inside the transaction that found the reason."""
    DeliveryState.objects.update_or_create(instance_id=instance.pk, defaults={"paused_at": now, "pause_reason": reason})
    take_due_times(_due_of(instance, now))
    delivery_alerts.warn(Alert.Kind.PAUSED, instance, f"Delivery of {instance} is paused: {reason}", now)


def pause_by_hand(instance: Instance, now: datetime) -> bool:
    """Pause as a person wishes, until released; give whether it was not paused yet."""
    with transaction.atomic():
        if DeliveryState.objects.filter(instance=instance, paused_at__isnull=False).exists():
            return False
        pause_delivery(instance, f"Paused by hand: {audit.who()}.", now)
        audit.record(Action.PAUSE, instance, organization=instance.organization)
        return True


def release_delivery(instance: Instance, now: datetime) -> int:
    """Go on after a pause, the exhausted notifications first, with a fresh schedule; give how many are to be sent."""
    with transaction.atomic():
        DeliveryState.objects.filter(instance=instance).update(paused_at=None, pause_reason="")
        others = (Alert.Kind.REFUSED, Alert.Kind.TOKEN_EXPIRES)
        delivery_alerts.resolve(Alert.objects.filter(instance=instance).exclude(kind__in=others), now)
        waiting = Notification.objects.filter(instance=instance, state=EXHAUSTED)
        # Claims go by due time: a moment earlier puts these before all that rearm() makes due.
        first = now - timedelta(milliseconds=1)
        waiting.update(state=PENDING, step=0, first_attempt_at=None, next_attempt_at=first)
        rearm(instance, now)
        count = Notification.objects.filter(ON_ITS_WAY, instance=instance).count()
        audit.record(Action.RELEASE, instance, organization=instance.organization, details={"to send": count})
        return count


def rearm(instance: Instance, now: datetime) -> None:
    """Bring the due times of an instance's notifications in step with whether, and where, it may send now.

    In a transaction.
    """
    elsewhere = Receiver.objects.filter(delivery_states=instance.pk).exclude(url=instance.callback_url)
    DeliveryState.objects.filter(instance=instance, receiver__in=elsewhere.values("pk")).update(receiver=None)
    if is_resting(instance):
        take_due_times(_due_of(instance, now))
    else:
        waiting = Notification.objects.filter(ON_ITS_WAY, instance=instance, next_attempt_at=None)
        if waiting.exclude(BLOCKED).update(next_attempt_at=now):
            wake_on_commit(Kind.DELIVER)


def let_followers_go(done: Collection[int], now: datetime) -> None:
    """Make due what waited for these notifications, now delivered or given up."""
    Notification.objects.filter(ON_ITS_WAY, follows_id__in=done, next_attempt_at=None).update(next_attempt_at=now)


def take_due_times(due: QuerySet[Notification]) -> None:
    """Take the due times of these notifications away, those excepted that somebody works on.

    They are left to their own result, or to the look that finds them resting or held: to wait for their rows here,
    while their worker waits for a row of ours, would be a deadlock.
    """
    if connection.features.has_select_for_update_skip_locked:
        keys = list(due.order_by("pk").select_for_update(skip_locked=True).values_list("pk", flat=True))
        due = Notification.objects.filter(pk__in=keys)
    due.update(next_attempt_at=None)


def rearm_stranded(now: datetime) -> int:
    """Make due what has no due time for no reason any more; give of how many instances.

    Whoever found an instance paused, or a breaker open, just before that ended may write what it found just after.
    """
    waiting = Notification.objects.filter(instance=OuterRef("pk"), next_attempt_at=None).exclude(BLOCKED)
    undelivered = waiting.filter(free(now), state=PENDING, state__in=Notification.UNDELIVERED)
    held = Q(delivery_state__paused_at__isnull=False) | Q(delivery_state__receiver__holds=True)
    active = Instance.objects.filter(events_enabled=True, disabled=False).exclude(callback_url="").exclude(held)
    forgotten = list(active.filter(Exists(undelivered)).order_by("pk"))
    forgotten += active.filter(pk__in=Notification.objects.filter(REPLAYED, next_attempt_at=None).values("instance"))
    for instance in forgotten:
        with transaction.atomic():
            rearm(instance, now)
    return len(forgotten)


def _due_of(instance: Instance, now: datetime) -> QuerySet[Notification]:
    return Notification.objects.filter(free(now), instance=instance, next_attempt_at__isnull=False)
