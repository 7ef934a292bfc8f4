"""The worker's loop over due notifications: claimed by lease, attempts written before their POST, results in batches.

At least once: a POST whose result could not be written (the process died, the database was away) is made again, with
the same `webhook-id` and the same bytes. Each instance and each receiving host has its share of the threads, so one
that hangs holds up nobody else.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from cwconnect.http import NOTIFICATION_LIMITS
from instances.connections import door
from instances.models import Instance
from instances.secrets import SecretUnreadableError
from polling.leases import claim, free, release
from polling.loop import Loop, never
from polling.models import DeliveryAttempt, Notification
from polling.parcels import Envelope, Outcome, Parcel, envelope_of
from polling.pausing import is_resting, pause_delivery
from polling.results import write_results

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=NOTIFICATION_LIMITS.total + 30)
THREADS = 32
PER_INSTANCE = 8
PER_HOST = 12

Report = Callable[[Parcel, Outcome], None]


def deliver_due(*, deadline: float, stopping: Callable[[], bool] = never) -> int:
    """Send what is due until nothing is left, `deadline` (monotonic seconds) has come, or `stopping()`.

    Gives the number of attempts made.
    """
    return DeliveryLoop(Notification.objects.all(), deadline=deadline, stopping=stopping).run()


def deliver_these(
    instances: Iterable[int], *, report: Report | None = None, stopping: Callable[[], bool] = never
) -> int:
    """Send what is due of these instances, in the foreground; give the number of attempts made."""
    due = Notification.objects.filter(instance_id__in=list(instances))
    return DeliveryLoop(due, deadline=float("inf"), stopping=stopping, report=report).run()


@dataclass(frozen=True)
class _Candidate:
    key: int
    instance_id: int
    host: str


class DeliveryLoop(Loop[Parcel, Outcome]):
    """One worker's attempts under way; `due` states what may be claimed."""

    threads = THREADS

    def __init__(
        self,
        due: QuerySet[Notification],
        *,
        deadline: float,
        stopping: Callable[[], bool] = never,
        report: Report | None = None,
    ) -> None:
        super().__init__(deadline=deadline, stopping=stopping)
        self._due = due.filter(state=Notification.State.PENDING, next_attempt_at__isnull=False)
        self._report = report
        self._hosts: dict[int, str] = {}

    def claim(self, room: int, running: Collection[Parcel]) -> list[Parcel]:
        """Claim due notifications that have room at their instance and host, and write their attempts."""
        now = timezone.now()
        chosen = self._choose(room, running, now)
        if not chosen:
            return []
        with transaction.atomic():
            lease_end = time.monotonic() + LEASE.total_seconds()
            token, keys = claim(self._due.filter(next_attempt_at__lte=now), chosen, now=now, length=LEASE)
            Notification.objects.filter(pk__in=keys, first_attempt_at=None).update(first_attempt_at=now)
            rows = Notification.objects.filter(pk__in=keys).select_related("instance").order_by("next_attempt_at")
            return _parcels(list(rows), token, lease_end, now)

    def request(self, job: Parcel) -> Callable[[], Outcome]:
        """Give the POST."""
        return job.request(door())

    def settle(self, done: list[tuple[Parcel, Future[Outcome]]]) -> list[Parcel]:
        """Write what came of the attempts; an attempt has no further request."""
        results = [(parcel, _outcome(parcel, future)) for parcel, future in done]
        write_results(results, timezone.now())
        if self._report is not None:
            for parcel, outcome in results:
                self._report(parcel, outcome)
        return []

    def release(self, jobs: Collection[Parcel]) -> None:
        """Free notifications whose answer was not waited for; their attempts stay without an end."""
        for job in jobs:
            release(Notification, [job.notification.pk], job.token)

    def _choose(self, room: int, running: Collection[Parcel], now: datetime) -> list[int]:
        """Give the keys of due notifications within every share, the longest due first.

        Looks again without the instances that are full, so that one with ten thousand due hides nobody.
        """
        per_instance = Counter(parcel.envelope.instance_id for parcel in running)
        per_host = Counter(_host(parcel.envelope.url) for parcel in running)
        full = {key for key, count in per_instance.items() if count >= PER_INSTANCE}
        chosen: list[int] = []
        while len(chosen) < room:
            look = self._due.filter(free(now), next_attempt_at__lte=now).exclude(instance_id__in=full)
            found = look.exclude(pk__in=chosen).order_by("next_attempt_at").values_list("pk", "instance_id")
            candidates = self._with_hosts(found[: 2 * room])
            if not candidates:
                return chosen
            before = len(full)
            for candidate in candidates:
                if per_instance[candidate.instance_id] >= PER_INSTANCE or per_host[candidate.host] >= PER_HOST:
                    full.add(candidate.instance_id)
                elif len(chosen) < room:
                    chosen.append(candidate.key)
                    per_instance[candidate.instance_id] += 1
                    per_host[candidate.host] += 1
            if len(candidates) < 2 * room or len(full) == before:
                return chosen
        return chosen

    def _with_hosts(self, found: Iterable[tuple[int, int]]) -> list[_Candidate]:
        pairs = list(found)
        missing = {instance_id for _, instance_id in pairs} - self._hosts.keys()
        if missing:
            urls = Instance.objects.filter(pk__in=missing).values_list("pk", "callback_url")
            self._hosts |= {instance_id: _host(url) for instance_id, url in urls}
        return [_Candidate(key, instance_id, self._hosts.get(instance_id, "")) for key, instance_id in pairs]


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower()


def _parcels(rows: list[Notification], token: str, lease_end: float, now: datetime) -> list[Parcel]:
    envelopes: dict[int, Envelope | None] = {}
    for row in rows:
        if row.instance_id not in envelopes:
            envelopes[row.instance_id] = _envelope(row.instance, now)
    resting = [row.pk for row in rows if envelopes[row.instance_id] is None]
    if resting:
        Notification.objects.filter(pk__in=resting).update(next_attempt_at=None, lease_token=None, lease_until=None)
    sent = [(row, envelope) for row in rows if (envelope := envelopes[row.instance_id]) is not None]
    attempts = DeliveryAttempt.objects.bulk_create(
        [DeliveryAttempt(notification=row, url=envelope.url, started_at=now) for row, envelope in sent]
    )
    return [
        Parcel(row, envelope, attempt.pk, token, lease_end, row.body.encode())
        for (row, envelope), attempt in zip(sent, attempts, strict=True)
    ]


def _envelope(instance: Instance, now: datetime) -> Envelope | None:
    """Give where to send, or None when the instance may not send now: it was switched off since the look."""
    if is_resting(instance):
        return None
    try:
        return envelope_of(instance, now)
    except SecretUnreadableError as error:
        pause_delivery(instance.pk, str(error), now)
        return None


def _outcome(parcel: Parcel, future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except Exception as error:  # a fault of ours in one attempt must not stop the others; it is kept as the attempt's
        log.exception("Attempt %s failed", parcel.attempt_id)
        return Outcome(error_kind="internal", error=f"A fault of cwconnect itself ({type(error).__name__}).")
