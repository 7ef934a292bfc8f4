"""Claimed notifications into delivery requests: settings opened, attempts written. In the claim's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from cwconnect.core.bulk_sql import db_timestamp, insert
from instances.models import Instance
from instances.secrets import SecretUnreadableError
from polling.delivery.breaker import host_of
from polling.delivery.delivery_request import DeliveryRequest, DeliveryTarget, delivery_target_of
from polling.delivery.pausing import pause_delivery, resting_among
from polling.delivery.scheduler import Choice
from polling.models import DeliveryAttempt, Notification


def prepare(
    rows: list[Notification], choice: Choice, *, token: str, lease_end: float, now: datetime
) -> list[DeliveryRequest]:
    """Return the delivery requests of claimed rows, in order; those that may not be sent now are freed and wait."""
    delivery_targets = _delivery_targets(rows, now)
    resting = [row.pk for row in rows if delivery_targets[row.instance_id] is None]
    if resting:
        Notification.objects.filter(pk__in=resting).end_leases(next_attempt_at=None)
    sent = [
        (row, delivery_target) for row in rows if (delivery_target := delivery_targets[row.instance_id]) is not None
    ]
    replays = _may_have_arrived([row.pk for row, _ in sent if row.replay_id is not None])
    attempts = _write_attempts(sent, replays, now)
    return [
        DeliveryRequest(
            notification=row,
            delivery_target=delivery_target,
            attempt_id=attempts[row.pk],
            started_at=now,
            token=token,
            lease_end=lease_end,
            body=row.body.encode(),
            host=host_of(delivery_target.url),
            receiver_id=_receiver(choice, delivery_target),
            probe=row.pk in choice.probes,
            batch=choice.batches[row.pk],
            replay=row.pk in replays,
        )
        for row, delivery_target in sent
    ]


def _may_have_arrived(keys: Sequence[int]) -> Collection[int]:
    """Return those of these notifications of which an earlier attempt may have arrived: they are repeats.

    One without an end counts: it was cut off by a crash, after the POST as likely as before it.
    """
    if not keys:
        return ()
    arrived = DeliveryAttempt.objects.filter(notification__in=keys, unsent=False)
    return set(arrived.values_list("notification_id", flat=True))


def _write_attempts(
    sent: Sequence[tuple[Notification, DeliveryTarget]], replays: Collection[int], now: datetime
) -> Mapping[int, int]:
    """Write an attempt for each row; give their keys by notification."""
    columns = ("notification_id", "url", "started_at", "replay", "error_kind", "error", "request_headers", "response")
    at = db_timestamp(now)
    rows = [(row.pk, delivery_target.url, at, row.pk in replays, "", "", "{}", "") for row, delivery_target in sent]
    insert(DeliveryAttempt, columns, rows)
    # An attempt of the same moment can only be an earlier one of a clock that stands still.
    written = DeliveryAttempt.objects.filter(notification__in=[row.pk for row, _ in sent], started_at=now)
    return dict(written.order_by("pk").values_list("notification_id", "pk"))


def _delivery_targets(rows: list[Notification], now: datetime) -> Mapping[int, DeliveryTarget | None]:
    """Return where to send by instance, and each row its instance, read once for all."""
    instances = Instance.objects.in_bulk({row.instance_id for row in rows})
    resting = resting_among(instances.values())
    for row in rows:
        row.instance = instances[row.instance_id]
    return {key: None if key in resting else _delivery_target(instance, now) for key, instance in instances.items()}


def _delivery_target(instance: Instance, now: datetime) -> DeliveryTarget | None:
    """Return where to send, or None where a secret that is needed can't be opened: that pauses the instance."""
    try:
        return delivery_target_of(instance, now)
    except SecretUnreadableError as error:
        pause_delivery(instance, str(error), now)
        return None


def _receiver(choice: Choice, delivery_target: DeliveryTarget) -> int | None:
    """Return the receiver whose breaker counts the attempt; None where the URL has changed since the look."""
    target = choice.targets.get(delivery_target.instance_id)
    return target.receiver_id if target is not None and target.url == delivery_target.url else None
