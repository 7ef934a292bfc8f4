"""What attempts lead to, written in batches under their leases: delivered, tried again, given up, or paused.

A replay of a notification whose own delivery is over never changes that: it is delivered or given up by itself, and
neither pauses the subscription nor holds up what follows, other replays excepted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet

from cwconnect.core.bulk_sql import db_timestamp, update
from polling.alerts.delivery_alerts import resolve, warn_of_tries
from polling.delivery.breaker import ReceiverResults, close, count_failures
from polling.delivery.delivery_request import DeliveryRequest, Outcome
from polling.delivery.ends import Held, Pair, end_attempts, pass_on
from polling.delivery.pausing import REPLAYED, let_followers_go, pause_delivery
from polling.delivery.replay.ordering import line_up
from polling.delivery.retry_schedule import next_wait, retry_after_seconds
from polling.models import Alert, DeliveryAttempt, DeliveryState, Notification, Replay

State = Notification.State
GONE = 410


@dataclass(frozen=True)
class Result:
    """An attempt of ours, what came of it, and how its notification stands now."""

    delivery_request: DeliveryRequest
    outcome: Outcome
    held: Held

    @property
    def key(self) -> int:
        """The notification's."""
        return self.delivery_request.notification.pk

    @property
    def replay_id(self) -> int | None:
        """By which replay it is sent; None: by none."""
        return self.held.replay_id

    @property
    def schedule(self) -> Sequence[float]:
        """The retry schedule of its subscription, in seconds."""
        own = self.delivery_request.delivery_target.retry_schedule
        return settings.RETRY_SCHEDULE if own is None else own

    @property
    def is_over(self) -> bool:
        """Whether the notification's own delivery is over, so that this was a replay and nothing else."""
        return self.delivery_request.notification.state in Notification.DELIVERED_OR_GIVEN_UP


def write_results(results: Sequence[Pair], now: datetime) -> None:
    """Write what came of these attempts; those whose notification was taken over meanwhile write nothing."""
    with transaction.atomic():
        held = end_attempts(results, now)
        ours = [
            Result(request, outcome, held[request.notification.pk, request.token])
            for request, outcome in results
            if (request.notification.pk, request.token) in held
        ]
        _write_delivered([result for result in ours if result.outcome.delivered], now)
        _write_failures([result for result in ours if result.outcome.sent and not result.outcome.delivered], now)
        count_failures(_results_by_receiver(ours, now), now)


def _write_delivered(results: Sequence[Result], now: datetime) -> None:
    """Write what follows from deliveries that are written already."""
    if not results:
        return
    _line_up_replays(results)
    requests = [result.delivery_request for result in results]
    subscriptions = {request.subscription.pk for request in requests}
    receivers = {request.receiver_id for request in requests if request.receiver_id is not None}
    passed_on = pass_on([result.key for result in results], subscriptions, receivers, now)
    _note_first_delivery(subscriptions.difference(passed_on.noted), now)
    if passed_on.failing:
        close(passed_on.failing, now)
    _count_replays(results, "delivered")
    if tried_before := [request.notification.pk for request in requests if request.notification.step]:
        resolve(Alert.objects.filter(notification__in=tried_before), now)


def _line_up_replays(results: Sequence[Result]) -> None:
    """Have replays that waited for these, and have others to wait for, wait on for those."""
    if replays := [result.key for result in results if result.replay_id is not None]:
        line_up(Notification.objects.filter(REPLAYED, follows__in=replays, next_attempt_at=None))


def _note_first_delivery(subscription_ids: Collection[int], now: datetime) -> None:
    """Note when something was delivered for subscriptions that have no row for it yet."""
    if not subscription_ids:
        return
    DeliveryState.objects.bulk_create(
        [DeliveryState(subscription_id=key, last_delivered_at=now) for key in sorted(subscription_ids)],
        update_conflicts=True,
        unique_fields=["subscription"],
        update_fields=["last_delivered_at"],
    )


@dataclass(frozen=True)
class _Failure:
    """A failed attempt: the step of the schedule that it used up, and the wait that follows, if any is left."""

    result: Result
    step: int
    wait: timedelta | None

    @property
    def is_final(self) -> bool:
        """Whether it is not tried again by itself."""
        return self.wait is None or self.result.outcome.status == GONE

    @property
    def gives_up(self) -> bool:
        """Whether the notification, or its replay, is given up with it: a replay that met 410 waits for a release."""
        return self.wait is None or (self.is_final and not self.result.is_over)


def _write_failures(results: Sequence[Result], now: datetime) -> None:
    """Free what failed, due again when its schedule says, and say what follows from that."""
    if not results:
        return
    failures = [_failure(result, now) for result in results]
    paused = _paused({result.delivery_request.subscription.pk for result in results})
    columns = ("lease_token", "lease_until", "step", "last_error", "next_attempt_at")
    update(Notification, columns, [_tried(failure, paused, now) for failure in failures], key="id")
    if last := [failure.result.delivery_request.attempt_id for failure in failures if failure.gives_up]:
        DeliveryAttempt.objects.filter(pk__in=last).update(gave_up=True)
    for failure in failures:
        _follow_up(failure, now)


def _failure(result: Result, now: datetime) -> _Failure:
    outcome, step = result.outcome, result.held.step + 1
    wait = next_wait(
        result.schedule,
        step,
        status=outcome.status,
        timed_out=outcome.timed_out,
        retry_after=retry_after_seconds(outcome.retry_after, now),
    )
    return _Failure(result, step, wait)


def _tried(failure: _Failure, paused: Collection[int], now: datetime) -> tuple[Any, ...]:
    """Return the columns of a notification that is free again, and its key."""
    due = None
    if (
        failure.wait is not None
        and not failure.is_final
        and failure.result.delivery_request.subscription.pk not in paused
    ):
        due = db_timestamp(now + failure.wait)
    return (None, None, failure.step, failure.result.outcome.sentence(), due, failure.result.key)


def _follow_up(failure: _Failure, now: datetime) -> None:
    result, subscription = failure.result, failure.result.delivery_request.subscription
    if result.outcome.status == GONE:
        if not result.is_over:
            _of(result).update(state=State.EXHAUSTED)
        pause_delivery(subscription, "The receiver answered 410: it wants no more notifications.", now)
    elif failure.wait is None:
        _give_up(result, failure.step, now)
    elif not result.is_over:
        words = result.outcome.sentence()
        warn_of_tries(_model_of(result), subscription, result.schedule, failure.step, words, now)


def _give_up(result: Result, step: int, now: datetime) -> None:
    request, row = result.delivery_request, _of(result)
    if result.is_over or _anything_got_through(result):
        if not result.is_over:
            row.update(state=State.FAILED)
        row.filter(state=State.FAILED).update(given_up_at=now)  # a replay that failed as well is news again
        row.update(replay=None)
        _count_replays([result], "failed")
        resolve(Alert.objects.filter(notification=result.key), now)
        _line_up_replays([result])
        let_followers_go([result.key], now)
        return
    row.update(state=State.EXHAUSTED)
    reason = (
        f"All {step} tries of notification {request.notification.webhook_id} failed, and nothing else got through. "
        f"Last: {result.outcome.sentence()}"
    )
    pause_delivery(request.subscription, reason, now)


def _paused(subscription_ids: Collection[int]) -> Collection[int]:
    """Return those of these subscriptions whose delivery is paused."""
    # Locked: a release that comes now waits, and then finds the notifications that are about to lose their due times.
    states = DeliveryState.objects.filter(pk__in=subscription_ids).order_by("pk").select_for_update(of=("self",))
    return {key for key, paused_at in states.values_list("pk", "paused_at") if paused_at is not None}


def _anything_got_through(result: Result) -> bool:
    request = result.delivery_request
    since = request.notification.first_attempt_at
    return DeliveryState.objects.filter(pk=request.subscription.pk, last_delivered_at__gte=since).exists()


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


def _of(result: Result) -> QuerySet[Notification]:
    return Notification.objects.filter(pk=result.key)


def _model_of(result: Result) -> Notification:
    """Return the notification as far as a warning tells of it."""
    request = result.delivery_request
    return Notification(pk=result.key, webhook_id=request.notification.webhook_id)
