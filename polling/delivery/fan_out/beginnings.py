"""From where on a subscription reads the log. It never goes back: what was sent is replayed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cwconnect.core.bulk_sql import db_timestamp
from cwconnect.core.statements import rows_of
from polling.log.event_ids import complete_id
from polling.models import Subscription
from polling.workers.queue import wake_on_commit
from polling.workers.wakeups import Kind

MOST_COUNTED: Final = 10_000  # of what is left of a catch-up
_LOOKED_AT: Final = 10_000

# Ids are taken when a page is recorded, and times are ConnectWise's of when it was read: the order of the one is nearly
# that of the other. So the first by time may not be the first by id, which is among the next few by time.
_FIRST_SINCE = """SELECT MIN(id) FROM (
    SELECT id FROM polling_event WHERE instance_id BETWEEN %s AND %s AND polled_at >= %s
    ORDER BY instance_id, polled_at LIMIT %s
) AS since
"""
_LAST = """SELECT id FROM polling_event WHERE instance_id BETWEEN %s AND %s AND id <= %s
ORDER BY instance_id, id DESC LIMIT 1
"""


def begin(subscription: Subscription, *, since: datetime | None = None) -> None:
    """Have a new subscription, or one that is switched on again, read the log from now on, or from a time on; saved.

    From now on: events that are not committed yet count as later. From a time on: its catch-up is what is recorded by
    now, and an event that it was judged on before is not again. A first one that has its notifications made with the
    events goes on with that, unless a time is given. In the transaction that makes or enables it.
    """
    if subscription.is_first and not subscription.reads_log and since is None:
        # So that what it was off for is not taken for lost (first_subscriptions.py).
        subscription.began_id = complete_id()
        subscription.save(update_fields=["began_id"])
        return
    kept = Subscription.objects.select_for_update().values_list("reached_id", flat=True).get(pk=subscription.pk)
    upto = complete_id()
    before = upto if since is None else min(upto, (_first_since(subscription.instance_id, since) or upto + 1) - 1)
    subscription.reads_log = True
    subscription.began_id = subscription.reached_id = max(before, kept)
    go_on(subscription)


def go_on(subscription: Subscription) -> None:
    """Have a subscription that was off go on where it was: what was recorded since is its catch-up; saved."""
    rows = rows_of(_LAST, [subscription.instance_id, subscription.instance_id, complete_id()])
    last = rows[0][0] if rows else 0
    subscription.catching_up_to = last if last > subscription.reached_id else None
    subscription.save(update_fields=["reads_log", "began_id", "reached_id", "catching_up_to"])
    wake_on_commit(Kind.DELIVER)


def switch_to_log(subscription: Subscription) -> None:
    """Have a first subscription read the log from now on, and no notification be made with its events; for good; saved.

    In the transaction that gives it a filter, a form, fields or a mapping. Others may be recording beside it. Whoever
    does asks in his transaction whether notifications are made with the events (served.py), and commits when he likes:

    * Who asked before this is committed makes them. His events have `Event.notification`, and the fan-out passes over
      those (plans.py), so it does not matter that they may come after `reached_id`.
    * Who asks once it is committed makes none. His ids are beyond `reached_id`: either they are taken after that was
      read, or before, and then he holds a lock until he commits, which `complete_id` does not go beyond (event_ids.py).
    * What is at or before `reached_id` is committed by now, so whoever recorded it asked before, and made them.

    A record's events that were made with their notifications come before those that were not: its changes are recorded
    one after another, and who records the next one asks again. On SQLite each transaction is before this one or after.
    """
    if not subscription.is_first:
        raise ValueError("Only a first subscription can be switched to the log.")
    if Subscription.objects.filter(pk=subscription.pk, reads_log=False).update(reads_log=True):
        upto = complete_id()
        subscription.reads_log, subscription.began_id, subscription.reached_id = True, upto, upto
        subscription.save(update_fields=["reads_log", "began_id", "reached_id"])


def _first_since(instance_id: int, since: datetime) -> int | None:
    rows = rows_of(_FIRST_SINCE, [instance_id, instance_id, db_timestamp(since), _LOOKED_AT])
    return None if rows[0][0] is None else int(rows[0][0])
