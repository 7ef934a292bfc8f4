"""Which due notifications are claimed next: the longest due first, within every share, none that a breaker holds.

An index gives what is due in order. Three things keep the look short: it begins behind what subscriptions that are full
have due (see scan_cursor.py), what it meets of an open receiver loses its due time (some at a time, since everybody's
deliveries wait meanwhile; in between that receiver's subscriptions count as full), and targets are remembered while the
loop runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import QuerySet

from cwconnect.core.one_statement import time_of
from cwconnect.core.statements import condition_of
from polling.delivery.adaptive_limits import (
    PROBES,
    AdaptiveLimits,
    Batch,
    ConcurrencyLimiter,
)
from polling.delivery.breaker import Opened, Target, give_back_probes, hold, open_receivers, take_probe, targets_of
from polling.delivery.claims import find_due
from polling.delivery.delivery_request import DeliveryRequest
from polling.delivery.scan_cursor import Position, ScanCursor
from polling.models import Notification

Key = TypeVar("Key")

HOLD_EVERY = timedelta(seconds=0.25)
HOLD_MOST = 64  # at a time: some 5 ms
REREAD_EVERY = timedelta(seconds=1)
LATE_COMMIT = timedelta(seconds=2)  # after a due time it usually is in the database


@dataclass(frozen=True)
class Choice:
    """What to claim: keys in order with the batches to send them in, their subscriptions' targets, and which probe."""

    batches: dict[int, Batch] = field(default_factory=dict)
    targets: Mapping[int, Target] = field(default_factory=dict)
    probes: dict[int, int] = field(default_factory=dict)


class Scheduler:
    """Chooses among `among`; a probe is taken for `probe_length`, the length of a lease."""

    def __init__(self, among: QuerySet[Notification], limits: AdaptiveLimits, *, probe_length: timedelta) -> None:
        self._among = among
        self.among = condition_of(among)
        self._limits = limits
        self._probe_length = probe_length
        self._targets: dict[int, Target] = {}
        self._held: dict[int, tuple[int, datetime]] = {}  # by subscription its receiver, and until when it is passed
        self._reread_at: datetime | None = None  # from when on targets that are held are read again
        self._scan_cursor = ScanCursor()

    def choose(
        self, capacity: int, running: Collection[DeliveryRequest], now: datetime, *, slow: Collection[str] = ()
    ) -> Choice:
        """Choose for at most `capacity` batches, minding what is `running`.

        Where hosts are `slow`, nothing is chosen that may be: nothing for those, and no probe.
        """
        opened = open_receivers()
        probing = sum(delivery_request.probe for delivery_request in running)
        most = 0 if slow else min(capacity, PROBES - probing)
        ready = {receiver_id for receiver_id, breaker in opened.items() if breaker.holds and breaker.until <= now}
        limiter = ConcurrencyLimiter(
            capacity - min(len(ready), most),
            [delivery_request.batch for delivery_request in running],
            self._limits,
            slow=slow,
        )
        batches: dict[int, Batch] = {}
        held = self._scan(batches, limiter, opened, now)
        ready |= {receiver_id for receiver_id in held if opened[receiver_id].until <= now}
        left = capacity - len(set(batches.values()))
        probes = self._probes(sorted(ready)[: min(most, left)], batches, now)
        return Choice(batches, self._targets, probes)

    def settle_claim(self, choice: Choice, delivery_requests: Sequence[DeliveryRequest], now: datetime) -> None:
        """Give back the probes that were not claimed, and forget targets that are another's by now."""
        claimed = {delivery_request.notification.pk for delivery_request in delivery_requests}
        lost = [receiver for key, receiver in choice.probes.items() if key not in claimed]
        if lost:
            give_back_probes(lost, now)
        for delivery_request in delivery_requests:
            if delivery_request.receiver_id is None:
                self._targets.pop(delivery_request.delivery_target.subscription_id, None)

    def put_back(self, delivery_requests: Iterable[DeliveryRequest]) -> None:
        """Take in that these were not sent, and are due as before."""
        for delivery_request in delivery_requests:
            if (at := delivery_request.notification.next_attempt_at) is not None:
                self._scan_cursor.put_back(
                    delivery_request.delivery_target.subscription_id, (at, delivery_request.notification.pk)
                )

    def _probes(self, receiver_ids: Iterable[int], batches: dict[int, Batch], now: datetime) -> dict[int, int]:
        """Take probes of these receivers, each in a batch of its own; give the receivers by key."""
        taken: dict[int, int] = {}
        for receiver_id in receiver_ids:
            probe = take_probe(receiver_id, self._among, now, now + self._probe_length)
            if probe is None:
                continue
            taken[probe.notification_id] = receiver_id
            for key, target in self._with_targets([(probe.notification_id, probe.subscription_id)]):
                batches[key] = Batch(target.subscription_id, target.host)
        return taken

    def _scan(
        self, batches: dict[int, Batch], limiter: ConcurrencyLimiter, opened: Mapping[int, Opened], now: datetime
    ) -> Collection[int]:
        """Add what is due to `batches`, going on without what proved full; give the receivers that hold now."""
        self._held = {key: held for key, held in self._held.items() if held[0] in opened and now < held[1]}
        full, left = limiter.full_subscriptions().union(self._held), dict[int, Position]()
        met: dict[int, Target] = {}
        position, end = self._scan_cursor.begin(full), (now - LATE_COMMIT, 0)
        while limiter.capacity > 0 and (most := limiter.slots) > 0:
            found = find_due(self.among, now, beginning=position, without=full, most=most)
            for (due_text, key), target in self._with_targets(((row[0], row[1]), row[2]) for row in found):
                if target.receiver_id in opened:
                    met[key] = target
                elif (batch := limiter.take(target.subscription_id, target.host)) is not None:
                    batches[key] = batch
                    continue
                full.add(target.subscription_id)
                if target.subscription_id not in left:
                    left[target.subscription_id] = (time_of(due_text), key)
            if len(found) < most:
                position = end
                break
            last_due, last_key, _ = found[-1]
            position = time_of(last_due), last_key + 1  # the next place
        self._scan_cursor.end(min(position, end), full, left)
        return self._hold(met, opened, now)

    def _hold(self, met: Mapping[int, Target], opened: Mapping[int, Opened], now: datetime) -> Collection[int]:
        """Hold what was met of open receivers, some at a time: the rest comes at the next looks; give whose it is.

        First what is of receivers that hold nothing yet, which can't be probed before, and may be soonest.
        """

        def turn(key: int) -> tuple[bool, datetime]:
            breaker = opened[met[key].receiver_id]
            return breaker.holds, breaker.until

        some = {key: met[key] for key in sorted(met, key=turn)[:HOLD_MOST]}
        if not some:
            return ()
        receivers = {target.subscription_id: target.receiver_id for target in some.values()}
        hold(some, set(receivers.values()), now)
        more = {target.subscription_id for key, target in met.items() if key not in some}
        for subscription_id, receiver_id in receivers.items():
            if subscription_id not in more:
                self._held[subscription_id] = receiver_id, now + HOLD_EVERY
        if self._reread_at is None or self._reread_at <= now:
            theirs = {target.subscription_id for target in met.values()}
            for subscription_id in theirs | self._held.keys():  # they may have been given another URL
                self._targets.pop(subscription_id, None)
            self._reread_at = now + REREAD_EVERY
        return set(receivers.values())

    def _with_targets(self, found: Iterable[tuple[Key, int]]) -> list[tuple[Key, Target]]:
        pairs = list(found)
        missing = {subscription_id for _, subscription_id in pairs} - self._targets.keys()
        if missing:
            self._targets |= targets_of(missing)
        return [
            (key, self._targets[subscription_id]) for key, subscription_id in pairs if subscription_id in self._targets
        ]
