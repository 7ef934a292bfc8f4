"""Where the subscriptions of one loop want their notifications, read at each claim and opened when it has changed.

To open a subscription's settings means to decrypt all its secrets: what is signed with, and what is to be masked in
what its receiver answers. So a target is kept beside the row that it was made of, and made again where that row is
another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from cwconnect.core.bulk_sql import keys
from cwconnect.core.statements import rows_of
from instances.secrets import SecretUnreadableError
from polling.delivery.delivery_request import DeliveryTarget, delivery_target_of
from polling.delivery.pausing import may_send, pause_delivery, take_due_times
from polling.models import Notification, Subscription
from polling.workers.leases import free

MOST = 1000  # targets kept; of more than a claim may have, so that one claim never empties what it just read

# Not what changes with each page of the log or each delivery: that would have secrets opened again.
_SETTINGS = """enabled, deleted_at, polling_subscription.callback_url, polling_subscription.signature_key,
    polling_subscription.previous_signature_key, polling_subscription.previous_key_until,
    polling_subscription.callback_headers, polling_subscription.basic_username, polling_subscription.basic_password,
    retry_schedule"""
_FROM = """FROM polling_subscription JOIN instances_instance ON instances_instance.id = polling_subscription.instance_id
LEFT JOIN polling_deliverystate ON polling_deliverystate.instance_id = polling_subscription.id"""
_ROWS = {
    "postgresql": f"""SELECT polling_subscription.id, paused_at IS NOT NULL, {_SETTINGS},
    CAST(instances_instance AS text)
{_FROM} WHERE polling_subscription.id = ANY(%s)
""",
    "sqlite": f"""SELECT polling_subscription.id, paused_at IS NOT NULL, {_SETTINGS}, instances_instance.*
{_FROM} WHERE polling_subscription.id IN (SELECT value FROM json_each(%s))
""",  # noqa: S608  (as above)
}


@dataclass(frozen=True)
class _Opened:
    """A subscription and its target, while its row is `row`, and until a key that signs beside the new one ends."""

    row: tuple[Any, ...]
    subscription: Subscription
    target: DeliveryTarget
    until: datetime | None


class Targets:
    """The targets of one loop's subscriptions."""

    def __init__(self) -> None:
        self._opened: dict[int, _Opened] = {}

    def read(self, subscription_ids: Collection[int], now: datetime) -> Mapping[int, DeliveryTarget]:
        """Return where to send by subscription, those left out for which nothing may be sent now.

        One with a secret that can't be opened is paused.
        """
        rows = rows_of(_ROWS, [keys(subscription_ids)])
        active = {key: tuple(row) for key, paused, *row in rows if not paused}
        self._open_changed([key for key, row in active.items() if not self._is_current(key, row, now)], active, now)
        return {key: self._opened[key].target for key in active if key in self._opened}

    def subscription(self, subscription_id: int) -> Subscription:
        """Return a subscription whose target was read."""
        return self._opened[subscription_id].subscription

    def _is_current(self, subscription_id: int, row: tuple[Any, ...], now: datetime) -> bool:
        opened = self._opened.get(subscription_id)
        return opened is not None and opened.row == row and (opened.until is None or now < opened.until)

    def _open_changed(self, changed: Collection[int], rows: Mapping[int, tuple[Any, ...]], now: datetime) -> None:
        if not changed:
            return
        if len(self._opened) + len(changed) > MOST:
            self._opened = {key: self._opened[key] for key in rows if key in self._opened}
        for key in changed:
            self._opened.pop(key, None)
        # Read after its row: what changes in between is found at the next claim.
        for subscription in Subscription.objects.filter(pk__in=list(changed)).select_related("instance"):
            if may_send(subscription) and (target := _target(subscription, now)) is not None:
                until = subscription.notification_settings.previous_key_until if len(target.keys) > 1 else None
                self._opened[subscription.pk] = _Opened(rows[subscription.pk], subscription, target, until)


def rest(notifications: Iterable[int], now: datetime) -> None:
    """Take the due times of what may not be sent now: it waits for a release."""
    with transaction.atomic():
        take_due_times(Notification.objects.filter(free(now), pk__in=list(notifications)))


def _target(subscription: Subscription, now: datetime) -> DeliveryTarget | None:
    """Return where to send, or None where a secret that is needed can't be opened: that pauses the subscription."""
    try:
        return delivery_target_of(subscription, now)
    except SecretUnreadableError as error:
        with transaction.atomic():
            pause_delivery(subscription, str(error), now)
        return None
