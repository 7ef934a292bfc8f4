"""Where the instances of one loop want their notifications, read at each claim and opened when it has changed.

To open an instance's settings means to decrypt all its secrets: what is signed with, and what is to be masked in what
its receiver answers. So a target is kept beside the row that it was made of, and made again where that row is another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from cwconnect.core.bulk_sql import keys
from cwconnect.core.statements import rows_of
from instances.models import Instance
from instances.secrets import SecretUnreadableError
from polling.delivery.delivery_request import DeliveryTarget, delivery_target_of
from polling.delivery.pausing import pause_delivery, take_due_times
from polling.models import Notification
from polling.workers.leases import free

MOST = 1000  # targets kept; of more than a claim may have, so that one claim never empties what it just read

_ROWS = {
    "postgresql": """SELECT instances_instance.id, paused_at IS NOT NULL, CAST(instances_instance AS text)
FROM instances_instance
LEFT JOIN polling_deliverystate ON instance_id = instances_instance.id WHERE instances_instance.id = ANY(%s)
""",
    "sqlite": """SELECT instances_instance.id, paused_at IS NOT NULL, instances_instance.* FROM instances_instance
LEFT JOIN polling_deliverystate ON instance_id = instances_instance.id
WHERE instances_instance.id IN (SELECT value FROM json_each(%s))
""",
}


@dataclass(frozen=True)
class _Opened:
    """An instance and its target, as long as its row is `row`, and until a key that signs beside the new one ends."""

    row: tuple[Any, ...]
    instance: Instance
    target: DeliveryTarget
    until: datetime | None


class Targets:
    """The targets of one loop's instances."""

    def __init__(self) -> None:
        self._opened: dict[int, _Opened] = {}

    def read(self, instance_ids: Collection[int], now: datetime) -> Mapping[int, DeliveryTarget]:
        """Return where to send by instance, those left out for which nothing may be sent now.

        One with a secret that can't be opened is paused.
        """
        rows = rows_of(_ROWS, [keys(instance_ids)])
        active = {key: tuple(row) for key, paused, *row in rows if not paused}
        self._open_changed([key for key, row in active.items() if not self._is_current(key, row, now)], active, now)
        return {key: self._opened[key].target for key in active if key in self._opened}

    def instance(self, instance_id: int) -> Instance:
        """Return an instance whose target was read."""
        return self._opened[instance_id].instance

    def _is_current(self, instance_id: int, row: tuple[Any, ...], now: datetime) -> bool:
        opened = self._opened.get(instance_id)
        return opened is not None and opened.row == row and (opened.until is None or now < opened.until)

    def _open_changed(self, changed: Collection[int], rows: Mapping[int, tuple[Any, ...]], now: datetime) -> None:
        if not changed:
            return
        if len(self._opened) + len(changed) > MOST:
            self._opened = {key: self._opened[key] for key in rows if key in self._opened}
        for key in changed:
            self._opened.pop(key, None)
        # Read after its row: what changes in between is found at the next claim.
        for key, instance in Instance.objects.in_bulk(list(changed)).items():
            if instance.watching and instance.callback_url and (target := _target(instance, now)) is not None:
                until = instance.previous_key_until if len(target.keys) > 1 else None
                self._opened[key] = _Opened(rows[key], instance, target, until)


def rest(notifications: Iterable[int], now: datetime) -> None:
    """Take the due times of what may not be sent now: it waits for a release."""
    with transaction.atomic():
        take_due_times(Notification.objects.filter(free(now), pk__in=list(notifications)))


def _target(instance: Instance, now: datetime) -> DeliveryTarget | None:
    """Return where to send, or None where a secret that is needed can't be opened: that pauses the instance."""
    try:
        return delivery_target_of(instance, now)
    except SecretUnreadableError as error:
        with transaction.atomic():
            pause_delivery(instance, str(error), now)
        return None
