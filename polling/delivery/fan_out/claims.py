"""Claims of subscriptions that lag: one worker at a time reads the log for each, under a lease."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from cwconnect.core.bulk_sql import db_timestamp, keys
from cwconnect.core.statements import AMONG, rows_of
from polling.workers.leases import new_token

LEASE = timedelta(seconds=60)

_COLUMNS = "id, instance_id, reached_id, filter, form, CAST(fields AS text), mapping"  # of a `Claimed`, in order
_READS = "reads_log AND enabled AND deleted_at IS NULL"
_CLAIM = f"""UPDATE polling_subscription SET lease_token = %s, lease_until = %s
WHERE id IN (
    SELECT id FROM polling_subscription
    WHERE id {{among}} AND {_READS} AND (lease_until IS NULL OR lease_until < %s){{skip}}
)
RETURNING {_COLUMNS}
"""  # noqa: S608  (our own)
_LOCK = f"SELECT {_COLUMNS} FROM polling_subscription WHERE id = %s AND {_READS}{{lock}}"  # noqa: S608  (as above)
_SKIP = {"postgresql": " FOR UPDATE SKIP LOCKED", "sqlite": ""}


class Asks(NamedTuple):
    """What a subscription asks for, as the database has it: subscriptions that ask alike are served alike."""

    filter: str
    form: str
    fields: str
    mapping: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A subscription that is ours, as it was claimed: looked at up to `reached`."""

    id: int
    instance_id: int
    reached: int
    asks: Asks
    token: str

    @property
    def place(self) -> tuple[int, int]:
        """From where on it reads: those of an instance that are equally far read the same."""
        return self.instance_id, self.reached

    @property
    def is_first(self) -> bool:
        """Whether it is the instance's own."""
        return self.id == self.instance_id


def lock_reader(subscription_id: int) -> Claimed | None:
    """Lock a subscription that reads the log, to the end of the transaction, whoever has it claimed; None: it is off.

    Whoever reads the log for it waits with what he has to write.
    """
    lock = " FOR UPDATE" if connection.vendor == "postgresql" else ""
    for row in rows_of(_LOCK.format(lock=lock), [subscription_id]):
        return _claimed(row, "")
    return None


def claim_readers(subscription_ids: Collection[int], now: datetime) -> list[Claimed]:
    """Claim those of these subscriptions that nobody works on; return them in the order of their ids."""
    token, vendor = new_token(), connection.vendor
    at = [db_timestamp(now + LEASE), keys(subscription_ids), db_timestamp(now)]
    rows = rows_of(_CLAIM.format(among=AMONG[vendor], skip=_SKIP[vendor]), [token, *at])
    return sorted((_claimed(row, token) for row in rows), key=lambda claimed: claimed.id)


def _claimed(row: Sequence[Any], token: str) -> Claimed:
    key, instance, reached, *asks = row
    return Claimed(key, instance, reached, Asks(*asks), token)
