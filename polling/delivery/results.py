"""What attempts lead to, written in batches under their leases: delivered, tried again, given up, or paused.

A replay of a notification whose own delivery is over never changes that: it is delivered or given up by itself, and
neither pauses the instance nor holds up what follows, other replays excepted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce

from cwconnect.core.bulk_sql import db_timestamp, update
from polling.alerts.delivery_alerts import resolve, warn_of_tries
from polling.delivery.breaker import ReceiverResults, note_results
from polling.delivery.delivery_request import DeliveryRequest, Outcome
from polling.delivery.pausing import REPLAYED, let_followers_go, pause_delivery
from polling.delivery.replay.ordering import line_up
from polling.delivery.retry_schedule import next_wait, retry_after_seconds
from polling.models import Alert, DeliveryAttempt, DeliveryState, Notification, Replay
from polling.models.leased import LeasedQuerySet

State = Notification.State
GONE = 410
Pair = tuple[DeliveryRequest, Outcome]


@dataclass(frozen=True)
class Result:
    """An attempt of ours and what came of it; `replay_id` as it stands now, a person may have asked meanwhile."""

    delivery_request: DeliveryRequest
    outcome: Outcome
    replay_id: int | None

    @property
    def key(self) -> int:
        """The notification's."""
        return self.delivery_request.notification.pk

    @property
    def is_over(self) -> bool:
        """Whether the notification's own delivery is over, so that this was a replay and nothing else."""
        return self.delivery_request.notification.state in Notification.DELIVERED_OR_GIVEN_UP


def write_results(results: Sequence[Pair], now: datetime) -> None:
    """Write what came of these attempts; those whose notification was taken over meanwhile write nothing."""
    with transaction.atomic():
        ours = _still_ours(results)
        _write_attempts(ours, now)
        _write_unsent(ours)
        _write_delivered([result for result in ours if result.outcome.delivered], now)
        for result in ours:
            if result.outcome.sent and not result.outcome.delivered:
                _write_failure(result, now)
        note_results(_results_by_receiver(ours, now), now)


def _still_ours(results: Sequence[Pair]) -> list[Result]:
    """The fence: lock the rows that still carry our tokens."""
    keys = [delivery_request.notification.pk for delivery_request, _ in results]
    rows = Notification.objects.filter(
        pk__in=keys, lease_token__in={delivery_request.token for delivery_request, _ in results}
    )
    locked = rows.order_by("pk").select_for_update().values_list("pk", "lease_token", "replay_id")
    held = {(pk, token): replay_id for pk, token, replay_id in locked}
    return [
        Result(delivery_request, outcome, held[delivery_request.notification.pk, delivery_request.token])
        for delivery_request, outcome in results
        if (delivery_request.notification.pk, delivery_request.token) in held
    ]


def _write_attempts(results: Sequence[Result], now: datetime) -> None:
    """Complete the rows of the attempts."""
    at = db_timestamp(now)
    rows = [
        (at, *_ended(result.outcome), result.delivery_request.attempt_id) for result in results if result.outcome.sent
    ]
    columns = ("finished_at", "seconds", "status", "error_kind", "error", "request_headers", "response", "unsent")
    update(DeliveryAttempt, columns, rows, key="id")


def _ended(outcome: Outcome) -> tuple[float, int | None, str, str, str, str, bool]:
    headers = orjson.dumps(dict(outcome.headers)).decode()
    return (
        outcome.seconds,
        outcome.status,
        outcome.error_kind,
        outcome.error,
        headers,
        outcome.response,
        outcome.unsent,
    )


def _write_unsent(results: Sequence[Result]) -> None:
    """An attempt that never began is no attempt: the notification is due again at once."""
    unsent = [result for result in results if not result.outcome.sent]
    if unsent:
        DeliveryAttempt.objects.filter(pk__in=[result.delivery_request.attempt_id for result in unsent]).delete()
        _of(unsent).end_leases()


def _write_delivered(results: Sequence[Result], now: datetime) -> None:
    if not results:
        return
    _of(results).end_leases(
        state=State.DELIVERED,
        delivered_at=Coalesce("delivered_at", Value(now)),
        step=F("step") + 1,
        next_attempt_at=None,
        last_error="",
        replay=None,
    )
    _let_followers_go(results, now)
    _count_replays(results, "delivered")
    tried_before = [result.key for result in results if result.delivery_request.notification.step]
    if tried_before:
        resolve(Alert.objects.filter(notification__in=tried_before), now)
    _note_delivery({result.delivery_request.delivery_target.instance_id for result in results}, now)


def _let_followers_go(results: Sequence[Result], now: datetime) -> None:
    """Make due what waited for these, replays excepted that have others to wait for."""
    if replays := [result.key for result in results if result.replay_id is not None]:
        line_up(Notification.objects.filter(REPLAYED, follows__in=replays, next_attempt_at=None))
    let_followers_go([result.key for result in results], now)


def _note_delivery(instance_ids: Collection[int], now: datetime) -> None:
    if DeliveryState.objects.filter(instance_id__in=instance_ids).update(last_delivered_at=now) == len(instance_ids):
        return
    DeliveryState.objects.bulk_create(
        [DeliveryState(instance_id=instance_id, last_delivered_at=now) for instance_id in sorted(instance_ids)],
        update_conflicts=True,
        unique_fields=["instance"],
        update_fields=["last_delivered_at"],
    )


def _write_failure(result: Result, now: datetime) -> None:
    notification, outcome = result.delivery_request.notification, result.outcome
    step = notification.step + 1
    wait = next_wait(
        settings.RETRY_SCHEDULE,
        step,
        status=outcome.status,
        timed_out=outcome.timed_out,
        retry_after=retry_after_seconds(outcome.retry_after, now),
    )
    row = _of([result])
    row.end_leases(step=step, last_error=outcome.sentence(), next_attempt_at=None)
    if outcome.status == GONE:
        if not result.is_over:
            row.update(state=State.EXHAUSTED)
        pause_delivery(notification.instance, "The receiver answered 410: it wants no more notifications.", now)
    elif wait is not None:
        if not _is_paused(notification):
            row.update(next_attempt_at=now + wait)
        if not result.is_over:
            warn_of_tries(notification, settings.RETRY_SCHEDULE, step, outcome.sentence(), now)
    else:
        _give_up(result, step, now)


def _give_up(result: Result, step: int, now: datetime) -> None:
    notification, row = result.delivery_request.notification, _of([result])
    if result.is_over or _anything_got_through(notification):
        if not result.is_over:
            row.update(state=State.FAILED)
        row.update(replay=None)
        _count_replays([result], "failed")
        resolve(Alert.objects.filter(notification=notification.pk), now)
        _let_followers_go([result], now)
        return
    row.update(state=State.EXHAUSTED)
    reason = (
        f"All {step} tries of notification {notification.webhook_id} failed, and nothing else got through. "
        f"Last: {result.outcome.sentence()}"
    )
    pause_delivery(notification.instance, reason, now)


def _is_paused(notification: Notification) -> bool:
    # Locked: a release that comes now waits, and then finds the notification that is about to lose its due time.
    states = DeliveryState.objects.filter(instance_id=notification.instance_id).select_for_update(of=("self",))
    return any(paused_at is not None for paused_at in states.values_list("paused_at", flat=True))


def _anything_got_through(notification: Notification) -> bool:
    since = notification.first_attempt_at
    state = DeliveryState.objects.filter(instance_id=notification.instance_id, last_delivered_at__isnull=False)
    return since is not None and state.filter(last_delivered_at__gte=since).exists()


def _count_replays(results: Sequence[Result], field: str) -> None:
    counts = Counter(result.replay_id for result in results if result.replay_id is not None)
    for replay_id, count in sorted(counts.items()):
        Replay.objects.filter(pk=replay_id).update(**{field: F(field) + count})


def _results_by_receiver(results: Sequence[Result], now: datetime) -> Collection[ReceiverResults]:
    """Sum the attempts up by receiver. A fault of ours says nothing about a receiver."""
    by_receiver: Mapping[int, list[Result]] = defaultdict(list)
    for result in results:
        if (
            result.delivery_request.receiver_id is not None
            and result.outcome.sent
            and result.outcome.error_kind != "internal"
        ):
            by_receiver[result.delivery_request.receiver_id].append(result)
    return [_results_of(receiver_id, group, now) for receiver_id, group in by_receiver.items()]


def _results_of(receiver_id: int, group: Sequence[Result], now: datetime) -> ReceiverResults:
    failed = [result.outcome for result in group if not result.outcome.delivered]
    return ReceiverResults(
        receiver_id=receiver_id,
        delivered=len(failed) < len(group),
        failures=len(failed),
        probed=any(result.delivery_request.probe for result in group),
        retry_after=max((retry_after_seconds(outcome.retry_after, now) or 0.0 for outcome in failed), default=0.0),
        reason=failed[-1].sentence() if failed else "",
    )


def _of(results: Sequence[Result]) -> LeasedQuerySet[Notification]:
    return Notification.objects.filter(pk__in=[result.key for result in results])
