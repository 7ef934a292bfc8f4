"""When a subscription's delivery rests, and how it goes on: nothing is lost meanwhile, later events are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.lookups import Exact

from instances import audit
from instances.audit import Action
from instances.models import Instance
from polling.alerts import delivery_alerts
from polling.delivery.first_subscriptions import ensure_first, first_subscription
from polling.models import DeliveryState, Notification, Receiver, Subscription
from polling.models.deliveries import TO
from polling.models.subscriptions import HAS_URL
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
SENDING = Q(
    HAS_URL,
    enabled=True,
    deleted_at=None,
    instance__events_enabled=True,
    instance__disabled=False,
)
"""The subscriptions for which something may be sent as they are set up, as a condition."""


def may_send(subscription: Subscription) -> bool:
    """Whether something may be sent for the subscription as it is set up, whether or not it is paused."""
    active = subscription.enabled and subscription.deleted_at is None and subscription.instance.watching
    return active and bool(subscription.notification_settings.callback_url)


def is_resting(subscription: Subscription) -> bool:
    """Whether nothing may be sent for it now: it or its instance is off, it has no URL, or delivery is paused."""
    return not may_send(subscription) or _paused().filter(pk=subscription.pk).exists()


def sending_among(subscription_ids: Collection[int]) -> list[int]:
    """Return the ids of those of these subscriptions for which something may be sent now."""
    sending = Subscription.objects.filter(SENDING, pk__in=subscription_ids)
    return list(sending.exclude(delivery_state__paused_at__isnull=False).values_list("pk", flat=True))


def pause_delivery(subscription: Subscription, reason: str, now: datetime) -> bool:
    """Pause: what is due waits for a person's release. Inside the transaction that found the reason.

    Return whether it was not paused yet. What was keeps the time and the reason of that, and nobody is warned again:
    what is found meanwhile is found once more after the release, if it is still so.
    """
    DeliveryState.objects.bulk_create([DeliveryState(subscription_id=subscription.pk)], ignore_conflicts=True)
    not_paused = DeliveryState.objects.filter(pk=subscription.pk, paused_at=None)
    paused = bool(not_paused.update(paused_at=now, pause_reason=reason))
    take_due_times(_due_of(subscription, now))
    if paused:
        delivery_alerts.warn_of_pause(subscription, f"Delivery of {subscription} is paused: {reason}", now)
    return paused


def pause_by_hand(subscription: Subscription, now: datetime) -> bool:
    """Pause as a person wishes, until released; give whether it was not paused yet."""
    with transaction.atomic():
        if not pause_delivery(subscription, f"Paused by hand: {audit.who()}.", now):
            return False
        _record(Action.PAUSE, subscription)
        return True


def release(subscription: Subscription, now: datetime) -> int:
    """Go on after a pause, the exhausted notifications first, with a fresh schedule; give how many are to be sent."""
    with transaction.atomic():
        DeliveryState.objects.filter(pk=subscription.pk).update(paused_at=None, pause_reason="")
        delivery_alerts.resolve(delivery_alerts.of_delivery(subscription), now)
        ours = _of(subscription)
        # Claims go by due time: a moment earlier puts these before all that rearm() makes due.
        first = now - timedelta(milliseconds=1)
        waiting = ours.filter(state=EXHAUSTED)
        waiting.update(state=PENDING, step=0, first_attempt_at=None, next_attempt_at=first)
        rearm(subscription, now)
        count = ours.filter(ON_ITS_WAY).count()
        _record(Action.RELEASE, subscription, {"to send": count})
        return count


def release_all_of(instance: Instance, now: datetime) -> int:
    """Release those subscriptions of an instance that are paused, or the first; return how many are to be sent."""
    ours = subscriptions_of(instance)
    paused = set(_paused().filter(pk__in=[each.pk for each in ours]).values_list("pk", flat=True))
    return sum(release(each, now) for each in ours if each.pk in paused or (not paused and each.is_first))


def rearm(subscription: Subscription, now: datetime) -> None:
    """Bring the due times of a subscription's notifications in step with whether, and where, it may send now.

    In a transaction.
    """
    url = subscription.notification_settings.callback_url
    elsewhere = Receiver.objects.filter(delivery_states=subscription.pk).exclude(url=url)
    DeliveryState.objects.filter(pk=subscription.pk, receiver__in=elsewhere.values("pk")).update(receiver=None)
    if is_resting(subscription):
        take_due_times(_due_of(subscription, now))
    else:
        waiting = _of(subscription).filter(ON_ITS_WAY, next_attempt_at=None)
        if make_due(waiting.exclude(BLOCKED), now):
            wake_on_commit(Kind.DELIVER)


def rearm_all(instance: Instance, now: datetime) -> None:
    """Do so for all subscriptions of an instance."""
    for subscription in subscriptions_of(instance):
        rearm(subscription, now)


def subscriptions_of(instance: Instance) -> list[Subscription]:
    """Return the subscriptions of an instance, the first one first; each has `instance` as it was given."""
    found = list(Subscription.objects.filter(instance=instance, deleted_at=None).order_by("pk"))
    if not found or not found[0].is_first:  # ids of further ones are beyond all of instances
        found.insert(0, first_subscription(instance))
    for each in found:
        each.instance = instance
    return found


def let_followers_go(done: Collection[int], now: datetime) -> None:
    """Make due what waited for these notifications, now delivered or given up."""
    Notification.objects.filter(ON_ITS_WAY, follows_id__in=done, next_attempt_at=None).update(next_attempt_at=now)


def make_due(waiting: QuerySet[Notification], now: datetime) -> int:
    """Make those of these notifications due that still wait on their way; return how many.

    They are asked for once more by their own columns: of a row that PostgreSQL waited for it asks nothing else, and it
    may have been delivered meanwhile.
    """
    still = Notification.objects.filter(ON_ITS_WAY, next_attempt_at=None, pk__in=waiting.order_by().values("pk"))
    return still.update(next_attempt_at=now)


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
    """Make due what has no due time for no reason any more; give of how many subscriptions.

    Whoever found a subscription paused, or a breaker open, just before that ended may write what it found just after.
    And what a process of the version before held of an instance that it made itself nobody finds by its subscription.
    """
    ensure_first()
    waiting = Notification.objects.filter(instance=OuterRef("instance"), next_attempt_at=None).exclude(BLOCKED)
    waiting = waiting.filter(Exact(TO, OuterRef("pk")))
    undelivered = waiting.filter(free(now), state=PENDING, state__in=Notification.UNDELIVERED)
    held = Q(delivery_state__paused_at__isnull=False) | Q(delivery_state__receiver__holds=True)
    active = Subscription.objects.filter(SENDING).exclude(held).select_related("instance")
    forgotten = list(active.filter(Exists(undelivered)).order_by("pk"))
    replayed = Notification.objects.filter(REPLAYED, next_attempt_at=None)
    forgotten += active.filter(pk__in=replayed.values_list(TO))
    for subscription in forgotten:
        with transaction.atomic():
            rearm(subscription, now)
    return len(forgotten)


def _paused() -> QuerySet[DeliveryState]:
    return DeliveryState.objects.filter(paused_at__isnull=False)


def _record(action: Action, subscription: Subscription, details: Mapping[str, object] | None = None) -> None:
    """Record what somebody did with a subscription: as done to its instance, with its name unless it is the first."""
    instance = subscription.instance
    which = {} if subscription.is_first else {"subscription": subscription.name}
    audit.record(action, instance, organization=instance.organization, details={**which, **(details or {})})


def _of(subscription: Subscription) -> QuerySet[Notification]:
    """Return the notifications of a subscription: by its instance too, which other indexes have."""
    return Notification.objects.filter(instance=subscription.instance_id).to([subscription.pk])


def _due_of(subscription: Subscription, now: datetime) -> QuerySet[Notification]:
    return _of(subscription).filter(free(now), next_attempt_at__isnull=False)
