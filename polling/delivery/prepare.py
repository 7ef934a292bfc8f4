"""What the scheduler chose into delivery requests: settings opened, leases taken, attempts begun."""

from __future__ import annotations

from datetime import datetime, timedelta

from cwconnect.core.statements import Condition
from polling.delivery.breaker import host_of
from polling.delivery.claims import claim_and_begin
from polling.delivery.delivery_request import DeliveryRequest, DeliveryTarget
from polling.delivery.scheduler import Choice
from polling.delivery.targets import Targets, rest
from polling.workers.leases import new_token


def prepare(
    choice: Choice, targets: Targets, among: Condition, *, length: timedelta, lease_end: float, now: datetime
) -> list[DeliveryRequest]:
    """Claim what was chosen; return its delivery requests, in order. What may not be sent now is left, and waits.

    The lease is of `length`, and ends at `lease_end` (monotonic seconds).
    """
    found = targets.read({batch.subscription_id for batch in choice.batches.values()}, now)
    wanted = {key for key, batch in choice.batches.items() if batch.subscription_id in found}
    if resting := choice.batches.keys() - wanted:
        rest(resting, now)
    token = new_token()
    urls = {subscription_id: target.url for subscription_id, target in found.items()}
    claimed = claim_and_begin(wanted, urls, among, token=token, now=now, length=length)
    hosts = {subscription_id: host_of(target.url) for subscription_id, target in found.items()}
    return [
        DeliveryRequest(
            notification=row,
            subscription=targets.subscription(row.subscription_id),
            delivery_target=found[row.subscription_id],
            token=token,
            lease_end=lease_end,
            body=row.body.encode(),
            host=hosts[row.subscription_id],
            receiver_id=_receiver(choice, found[row.subscription_id]),
            probe=row.pk in choice.probes,
            batch=choice.batches[row.pk],
        )
        for row in claimed
    ]


def _receiver(choice: Choice, delivery_target: DeliveryTarget) -> int | None:
    """Return the receiver whose breaker counts the attempt; None where the URL has changed since the look."""
    target = choice.targets.get(delivery_target.subscription_id)
    return target.receiver_id if target is not None and target.url == delivery_target.url else None
