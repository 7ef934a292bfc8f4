"""What attempts lead to, written in batches under their leases: delivered, tried again, given up, or paused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet

from polling.models import DeliveryAttempt, DeliveryState, Notification
from polling.parcels import Outcome, Parcel
from polling.pausing import let_followers_go, pause_delivery
from polling.schedule import next_wait, retry_after_seconds

State = Notification.State
Result = tuple[Parcel, Outcome]
GONE = 410


def write_results(results: Sequence[Result], now: datetime) -> None:
    """Write what came of these attempts; those whose notification was taken over meanwhile write nothing."""
    with transaction.atomic():
        ours = _still_ours(results)
        _write_attempts(ours, now)
        _write_unsent(ours)
        _write_delivered([result for result in ours if result[1].delivered], now)
        for parcel, outcome in ours:
            if outcome.sent and not outcome.delivered:
                _write_failure(parcel, outcome, now)


def _still_ours(results: Sequence[Result]) -> list[Result]:
    """The fence: lock the rows that still carry our tokens."""
    by_token: dict[str, list[int]] = defaultdict(list)
    for parcel, _ in results:
        by_token[parcel.token].append(parcel.notification.pk)
    held: set[int] = set()
    for token, keys in by_token.items():
        rows = Notification.objects.filter(pk__in=keys, lease_token=token).order_by("pk").select_for_update()
        held.update(rows.values_list("pk", flat=True))
    return [result for result in results if result[0].notification.pk in held]


def _write_attempts(results: Sequence[Result], now: datetime) -> None:
    attempts = [
        DeliveryAttempt(
            id=parcel.attempt_id,
            finished_at=now,
            seconds=outcome.seconds,
            status=outcome.status,
            error_kind=outcome.error_kind,
            error=outcome.error,
            request_headers=dict(outcome.headers),
            response=outcome.response,
        )
        for parcel, outcome in results
        if outcome.sent
    ]
    if attempts:
        DeliveryAttempt.objects.bulk_update(
            attempts, ["finished_at", "seconds", "status", "error_kind", "error", "request_headers", "response"]
        )


def _write_unsent(results: Sequence[Result]) -> None:
    """An attempt that never began is no attempt: the notification is due again at once."""
    unsent = [parcel for parcel, outcome in results if not outcome.sent]
    if unsent:
        DeliveryAttempt.objects.filter(pk__in=[parcel.attempt_id for parcel in unsent]).delete()
        _of(unsent).update(lease_token=None, lease_until=None)


def _write_delivered(results: Sequence[Result], now: datetime) -> None:
    if not results:
        return
    parcels = [parcel for parcel, _ in results]
    _of(parcels).update(
        state=State.DELIVERED,
        delivered_at=now,
        step=F("step") + 1,
        next_attempt_at=None,
        lease_token=None,
        lease_until=None,
        last_error="",
    )
    let_followers_go([parcel.notification.pk for parcel in parcels], now)
    for instance_id in {parcel.envelope.instance_id for parcel in parcels}:
        if not DeliveryState.objects.filter(instance_id=instance_id).update(last_delivered_at=now):
            DeliveryState.objects.create(instance_id=instance_id, last_delivered_at=now)


def _write_failure(parcel: Parcel, outcome: Outcome, now: datetime) -> None:
    notification = parcel.notification
    step = notification.step + 1
    wait = next_wait(
        settings.RETRY_SCHEDULE,
        step,
        status=outcome.status,
        timed_out=outcome.timed_out,
        retry_after=retry_after_seconds(outcome.retry_after, now),
    )
    row = _of([parcel])
    row.update(step=step, last_error=outcome.sentence(), lease_token=None, lease_until=None)
    if outcome.status == GONE:
        row.update(state=State.EXHAUSTED, next_attempt_at=None)
        pause_delivery(notification.instance_id, "The receiver answered 410: it wants no more notifications.", now)
    elif wait is not None:
        paused = DeliveryState.objects.filter(instance_id=notification.instance_id, paused_at__isnull=False).exists()
        row.update(next_attempt_at=None if paused else now + wait)
    elif _anything_got_through(notification):
        row.update(state=State.FAILED, next_attempt_at=None)
        let_followers_go([notification.pk], now)
    else:
        row.update(state=State.EXHAUSTED, next_attempt_at=None)
        pause_delivery(
            notification.instance_id,
            f"All {step} tries of notification {notification.webhook_id} failed, and nothing else got through. "
            f"Last: {outcome.sentence()}",
            now,
        )


def _anything_got_through(notification: Notification) -> bool:
    since = notification.first_attempt_at
    state = DeliveryState.objects.filter(instance_id=notification.instance_id, last_delivered_at__isnull=False)
    return since is not None and state.filter(last_delivered_at__gte=since).exists()


def _of(parcels: Sequence[Parcel]) -> QuerySet[Notification]:
    return Notification.objects.filter(pk__in=[parcel.notification.pk for parcel in parcels])
