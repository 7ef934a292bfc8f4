"""What ends with a subscription: its secrets, and what is on its way to it."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.db.models import BooleanField, F
from django.db.models.expressions import RawSQL

from instances.models import Instance
from polling.delivery.replay.replays import count_out
from polling.models import Notification, Replay, Subscription
from polling.subscriptions.stored import COLUMNS
from polling.workers.leases import free

# Written out: SQLite takes a partial index for constants alone. It is asked in a subquery, whose own column this is.
_STATES = tuple(map(str, Notification.UNDELIVERED))
_UNDELIVERED = RawSQL(f"state IN {_STATES}", [], output_field=BooleanField())  # noqa: S611  (our own constants)


def forget(subscription: Subscription) -> None:
    """Switch a further subscription off for good, and blank its secrets and URL. In the transaction that locked it."""
    subscription.enabled, subscription.callback_url, subscription.basic_username = False, "", ""
    subscription.signature_key = subscription.previous_signature_key = None
    subscription.callback_headers = subscription.basic_password = None
    subscription.save(update_fields=[*COLUMNS, "deleted_at"])


def discard_all(subscription: Subscription, now: datetime) -> None:
    """Discard what was not delivered to a subscription, and take what is sent again to it out of its replays.

    An attempt under way is left to its own result. So is what another transaction has locked: to wait for it here,
    while it waits for a row of ours, would be a deadlock.
    """
    skip = connection.features.has_select_for_update_skip_locked
    ours = Notification.objects.to([subscription.pk]).filter(free(now)).order_by()
    undelivered = ours.filter(_UNDELIVERED).select_for_update(skip_locked=skip)
    discarded = Notification.State.DISCARDED
    Notification.objects.filter(pk__in=undelivered.values("pk")).update(state=discarded, next_attempt_at=None)
    replayed = ours.filter(replay__isnull=False)
    count_out(replayed)
    chosen = replayed.select_for_update(skip_locked=skip).values("pk")
    Notification.objects.filter(pk__in=chosen).update(replay=None, next_attempt_at=None)
    of_its_own = Replay.objects.filter(instance=subscription.instance_id, queued_at=None)
    of_its_own.filter(selection__subscription=subscription.pk).update(queued_at=now, total=F("queued"))


def forget_further(instance: Instance) -> None:
    """Switch the further subscriptions of an instance that is deleted off, and blank their secrets."""
    further = Subscription.objects.filter(instance=instance, deleted_at=None).exclude(pk=instance.pk)
    for subscription in further.select_for_update(no_key=True).order_by("pk"):
        forget(subscription)
