"""The worker's loop over due notifications: claimed by lease, attempts written before their POST, results in batches.

At least once: a POST whose result could not be written (the process died, the database was away) is made again, with
the same `webhook-id` and the same bytes. Each subscription and each receiving host has its share of the threads, so one
that hangs holds up nobody else.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from datetime import timedelta

from django.db import OperationalError, connection
from django.db.models import QuerySet
from django.utils import timezone

from cwconnect.outbound import NOTIFICATION_LIMITS
from instances.connections import outbound_client
from polling.delivery.adaptive_limits import AdaptiveLimits, Batch
from polling.delivery.delivery_request import DeliveryRequest, Outcome
from polling.delivery.fan_out.step import FanOut
from polling.delivery.prepare import prepare
from polling.delivery.replay.replays import queue_due_replays
from polling.delivery.results import write_results
from polling.delivery.scheduler import Choice, Scheduler
from polling.delivery.targets import Targets
from polling.models import Notification
from polling.workers.leases import release_or_owe
from polling.workers.loop import Loop, never

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=NOTIFICATION_LIMITS.total + 30)
THREADS = 32
QUEUEING_SECONDS = 5.0
WRITES = 4  # times that results are written before they are given up: a repeat costs the receiver more

Report = Callable[[DeliveryRequest, Outcome], None]


def deliver_due(
    *, deadline: float, overtime: float = 0.0, linger: float = 0.0, stopping: Callable[[], bool] = never
) -> int:
    """Send what is due until nothing is left, `deadline` (monotonic seconds) has come, or `stopping()`.

    It looks on for `linger` seconds after nothing was left; `overtime`: see `Loop`. What large replays ask for is
    queued first, for a short while at a time: deliveries wait behind it. Gives the number of notifications that were
    taken up; those of a batch that ended early go back unsent and count again.
    """
    queue_due_replays(deadline=min(deadline, time.monotonic() + QUEUEING_SECONDS), stopping=stopping)
    loop = DeliveryLoop(Notification.objects.all(), deadline=deadline, overtime=overtime, stopping=stopping)
    loop.linger = linger
    return loop.run()


def deliver_these(
    instances: Iterable[int], *, report: Report | None = None, stopping: Callable[[], bool] = never
) -> int:
    """Send what is due of these instances, in the foreground; give the number of attempts made.

    The log is read for their subscriptions alone: others' are the workers'.
    """
    keys = list(instances)
    due, fan_out = Notification.objects.filter(instance_id__in=keys), FanOut(keys)
    return DeliveryLoop(due, deadline=float("inf"), stopping=stopping, report=report, fan_out=fan_out).run()


class DeliveryLoop(Loop[DeliveryRequest, Outcome]):
    """One worker's attempts under way; `among` states what may be claimed."""

    threads = THREADS
    scan_every = 0.05
    slow_after = 1.0
    # After something was claimed or answered more often follows soon than not. On SQLite each claim is a commit that
    # others wait for, and few large ones let more through.
    scan_first = {"postgresql": 0.005, "sqlite": 0.02}

    def __init__(
        self,
        among: QuerySet[Notification],
        *,
        deadline: float,
        overtime: float = 0.0,
        stopping: Callable[[], bool] = never,
        report: Report | None = None,
        fan_out: FanOut | None = None,
    ) -> None:
        super().__init__(deadline=deadline, overtime=overtime, stopping=stopping)
        self._fan_out = fan_out or FanOut()
        self.limits = AdaptiveLimits()
        self._scheduler = Scheduler(among, self.limits, probe_length=LEASE)
        self._targets = Targets()
        self._report = report
        self._active_at = time.monotonic()

    def scan_wait(self) -> float:
        """Return a wait that grows with the time since something was claimed or answered."""
        first = self.scan_first[connection.vendor]
        return min(self.scan_every, max(first, (time.monotonic() - self._active_at) / 2))

    def _lingers(self) -> bool:
        return super()._lingers() or (self._fan_out.more and self._open())

    def claim(self, capacity: int, running: Collection[DeliveryRequest]) -> list[DeliveryRequest]:
        """Claim due notifications that have room at their subscription and host, and write their attempts.

        First those are made that the log has for subscriptions that read it. After the deadline none goes to a host
        that is still waited for, and no receiver is probed.
        """
        now = timezone.now()
        if self._fan_out.step(now):
            self._active_at = time.monotonic()
        slow = {job.host for job in self.overdue()}
        choice = self._scheduler.choose(capacity, running, now, slow=slow)
        return self._claim(choice) if choice.batches else []

    def _claim(self, choice: Choice) -> list[DeliveryRequest]:
        now = timezone.now()
        lease_end = time.monotonic() + LEASE.total_seconds()
        delivery_requests = prepare(
            choice, self._targets, self._scheduler.among, length=LEASE, lease_end=lease_end, now=now
        )
        self._scheduler.settle_claim(choice, delivery_requests, now)
        if delivery_requests:
            self._active_at = time.monotonic()
        return delivery_requests

    def batches(self, jobs: Iterable[DeliveryRequest]) -> Iterable[Sequence[DeliveryRequest]]:
        """Group by batch, in order."""
        batches: dict[Batch, list[DeliveryRequest]] = defaultdict(list)
        for job in jobs:
            batches[job.batch].append(job)
        return batches.values()

    def request(self, job: DeliveryRequest) -> Callable[[], Outcome]:
        """Return the POST; once the loop is halted, what a batch has left is not sent."""
        return lambda: Outcome(sent=False) if self.halted else job.send_in_batch(outbound_client())

    def settle(self, done: list[tuple[DeliveryRequest, Future[Outcome]]]) -> list[DeliveryRequest]:
        """Write what came of the attempts; an attempt has no further request."""
        results = [(delivery_request, _outcome(delivery_request, future)) for delivery_request, future in done]
        _write(results)
        self._active_at = time.monotonic()
        self._scheduler.put_back(delivery_request for delivery_request, outcome in results if not outcome.sent)
        for delivery_request, outcome in results:
            if not outcome.sent:
                continue
            self.limits.learn(delivery_request.host, delivered=outcome.delivered, seconds=outcome.seconds)
            if self._report is not None:
                self._report(delivery_request, outcome)
        return []

    def release(self, jobs: Collection[DeliveryRequest]) -> None:
        """Free notifications whose answer was not waited for; their attempts stay without an end."""
        for job in jobs:
            release_or_owe(Notification, [job.notification.pk], job.token)


def _write(results: list[tuple[DeliveryRequest, Outcome]]) -> None:
    """Write results, again after a deadlock or a database that was busy: what is not written is sent once more."""
    for attempt in range(1, WRITES + 1):
        try:
            write_results(results, timezone.now())
        except OperationalError as error:
            if attempt == WRITES:
                raise
            log.warning("Results of %s attempts could not be written, trying again: %s", len(results), error)
            time.sleep(0.1 * attempt)
        else:
            return


def _outcome(delivery_request: DeliveryRequest, future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except Exception as error:  # a fault of ours in one attempt must not stop the others; it is kept as the attempt's
        at = {
            "instance_id": delivery_request.subscription.instance_id,
            "notification_id": delivery_request.notification.pk,
        }
        log.exception("Attempt %s failed", delivery_request.attempt_id, extra=at)
        return Outcome(error_kind="internal", error=f"A fault of cwconnect itself ({type(error).__name__}).")
