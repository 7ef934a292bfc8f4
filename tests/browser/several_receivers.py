"""Subscriptions in every state that their cards can show, of one instance: rows alone, of which nothing is due."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from instances.models import Instance
from instances.secrets import Secret
from polling.delivery.breaker import url_hash
from polling.delivery.pausing import pause_delivery
from polling.models import (
    Alert,
    DeliveryAttempt,
    DeliveryState,
    Event,
    Notification,
    Receiver,
    Subscription,
    SubscriptionEvent,
)
from tests.support.rows import further_subscription

_CLOSED = {
    "resources": ["contacts"],
    "kinds": ["UPDATED"],
    "where": "company.name LIKE '%Bundesministerium für Wirtschaft und Klimaschutz%' AND id > 4",
    "changed": ["status", "owner.id"],
    "from": {"status.name": ["New", "In progress"]},
    "to": {"status.name": "Closed", "customFields.Kostenstelle": None},
}


def subscribe(instance: Instance) -> int:
    """Make the subscriptions, and return the id of one that has everything."""
    now = timezone.now()
    closed = _make(
        instance, 1, name="Closed " + "Vorgangsbearbeitung" * 9, filter=json.dumps(_CLOSED), form="cloudevents",
        fields=["id", "status", "company"], held=1204, passed=31, retry_schedule=[0, 300, 7200], retention_days=9,
        signature_key=Secret.of("whsec_aHVzaA=="), previous_signature_key=Secret.of("hush"),
        previous_key_until=now + timedelta(hours=9), callback_headers=Secret.of('{"X-Token": "hush"}'),
        basic_username="cwconnect", basic_password=Secret.of("hush"),
    )  # fmt: skip
    _hold(closed)
    _make(instance, 2, name="Off", enabled=False)
    paused = _make(instance, 3, name="Paused", form="thin")
    pause_delivery(paused, "The receiver answered 410 Gone.", now)
    _break(_make(instance, 4, name="Failing", callback_url=f"https://example.com/{'path/' * 60}"), now)
    _warn(_make(instance, 5, name="Running out"), now)
    _make(instance, 6, name="Catching up", catching_up_to=2 * _newest(instance))
    busy = _make(instance, 7, name="Busy", callback_url="https://busy.example.com/hook", filter='{"kinds":["DELETED"]}')
    _try(busy, now)
    return closed.pk


def _make(instance: Instance, number: int, **columns: Any) -> Subscription:
    """Make one that has come to the end of the log, so that nothing is made of that for it."""
    return further_subscription(instance, instance.pk * 100 + number, reached_id=_newest(instance), **columns)


def _newest(instance: Instance) -> int:
    return Event.objects.filter(instance=instance).latest("pk").pk


def _hold(subscription: Subscription) -> None:
    """Have each of its instance's events held back from it, and one let pass unjudged."""
    long = "where: company.name LIKE '%" + "Bundesministerium" * 12 + "%'"
    SubscriptionEvent.objects.bulk_create(
        SubscriptionEvent(subscription=subscription, event_id=key, held_by=long if key % 3 else "kinds: CREATED")
        for key in Event.objects.filter(instance=subscription.instance_id).values_list("pk", flat=True)
    )


def _break(subscription: Subscription, now: datetime) -> None:
    receiver = _receiver(subscription, failures=12, opened_at=now, open_until=now + timedelta(days=1))
    DeliveryState.objects.create(subscription=subscription, receiver=receiver)


def _warn(subscription: Subscription, now: datetime) -> None:
    instance = subscription.instance
    assert instance.organization is not None
    Alert.objects.create(
        kind=Alert.Kind.LAST_TRY, text="It failed 9 of 10 times: one try is left. Last: 503.", created_at=now,
        organization=instance.organization, instance=instance, subscription=subscription,
    )  # fmt: skip


def _try(subscription: Subscription, now: datetime) -> None:
    """Have what it was sent fail and arrive in the last hours."""
    DeliveryState.objects.create(
        subscription=subscription, receiver=_receiver(subscription), last_delivered_at=now - timedelta(minutes=2)
    )
    first = 10**9
    states = Notification.State
    Notification.objects.bulk_create(
        Notification(
            id=first + number, instance=subscription.instance, subscription=subscription, object_type="contacts",
            webhook_id=f"msg_{first + number}", body="{}", event_count=1, created_at=now,
            state=states.DELIVERED if number % 4 else states.FAILED, delivered_at=now if number % 4 else None,
        )
        for number in range(40)
    )  # fmt: skip
    DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(
            notification_id=first + number, url=subscription.callback_url, seconds=0.02 * number,
            started_at=now - timedelta(minutes=33 * number), finished_at=now - timedelta(minutes=33 * number),
            status=204 if number % 4 else 503, error_kind="" if number % 4 else "status", gave_up=number % 8 == 0,
        )
        for number in range(40)
    )  # fmt: skip


def _receiver(subscription: Subscription, **columns: Any) -> Receiver:
    url, organization = subscription.callback_url, subscription.instance.organization
    assert organization is not None
    return Receiver.objects.create(organization=organization, url=url, url_hash=url_hash(url), **columns)
