"""Which due notifications are claimed next: the longest due first, within every share, none that a breaker holds.

An index gives what is due in order. Three things keep the look short: instances that are full are left out of the
next look, what an open breaker holds loses its due time, and targets are remembered while the loop runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import QuerySet

from polling.breaker import Target, give_back_probes, hold, open_receivers, take_probe, targets_of
from polling.leases import free
from polling.models import Notification
from polling.parcels import Parcel
from polling.shares import PROBES, Shares, Trust


@dataclass(frozen=True)
class Choice:
    """What to claim: keys in order, the targets of their instances, and which keys probe which open receiver."""

    keys: list[int] = field(default_factory=list)
    targets: Mapping[int, Target] = field(default_factory=dict)
    probes: dict[int, int] = field(default_factory=dict)


class Chooser:
    """Chooses among `among`; a probe is taken for `probe_length`, the length of a lease."""

    def __init__(self, among: QuerySet[Notification], trust: Trust, *, probe_length: timedelta) -> None:
        self._among = among
        self.due = among.filter(next_attempt_at__isnull=False)
        self._trust = trust
        self._probe_length = probe_length
        self._targets: dict[int, Target] = {}

    def choose(self, room: int, running: Collection[Parcel], now: datetime) -> Choice:
        """Choose at most `room`, minding what is `running`."""
        shares = Shares([(parcel.envelope.instance_id, parcel.host) for parcel in running], self._trust)
        opened = open_receivers()
        probes = self._probes(min(room, PROBES - sum(parcel.probe for parcel in running)), opened, now)
        choice = Choice(list(probes), self._targets, probes)
        self._look(room, choice.keys, shares, opened, now)
        return choice

    def settle_claim(self, choice: Choice, parcels: Sequence[Parcel], now: datetime) -> None:
        """Give back the probes that were not claimed, and forget targets that are another's by now."""
        claimed = {parcel.notification.pk for parcel in parcels}
        lost = [receiver for key, receiver in choice.probes.items() if key not in claimed]
        if lost:
            give_back_probes(lost, now)
        for parcel in parcels:
            if parcel.receiver_id is None:
                self._targets.pop(parcel.envelope.instance_id, None)

    def _probes(self, room: int, opened: Mapping[int, datetime], now: datetime) -> dict[int, int]:
        """Take probes of the receivers whose time has come; give receivers by key."""
        taken: dict[int, int] = {}
        for receiver_id, until in opened.items():
            if len(taken) >= room:
                break
            if until <= now:
                key = take_probe(receiver_id, self._among, now, now + self._probe_length)
                if key is not None:
                    taken[key] = receiver_id
        return taken

    def _look(self, room: int, keys: list[int], shares: Shares, opened: Collection[int], now: datetime) -> None:
        """Add due notifications to `keys`, looking again without what proved full or held."""
        full, held = shares.full_instances(), set[int]()
        while len(keys) < room:
            found = self._due_now(now, full, keys)[: 2 * room]
            candidates = [(key, self._target(instance)) for key, instance in self._with_targets(found)]
            before = len(full)
            for key, target in candidates:
                if target.receiver_id in opened:
                    full.add(target.instance_id)
                    held.add(target.receiver_id)
                elif not shares.take(target.instance_id, target.host):
                    full.add(target.instance_id)
                elif len(keys) < room:
                    keys.append(key)
            for receiver_id in held:
                self._hold(receiver_id, now)
            held.clear()
            if len(candidates) < 2 * room or len(full) == before:
                return

    def _due_now(
        self, now: datetime, full: Collection[int], keys: Collection[int]
    ) -> QuerySet[Notification, tuple[int, int]]:
        look = self.due.filter(free(now), next_attempt_at__lte=now).exclude(instance_id__in=full).exclude(pk__in=keys)
        return look.order_by("next_attempt_at", "pk").values_list("pk", "instance_id")

    def _hold(self, receiver_id: int, now: datetime) -> None:
        hold(receiver_id, now)
        # Read again next time: the instance may have been given another URL.
        for instance_id in [key for key, target in self._targets.items() if target.receiver_id == receiver_id]:
            del self._targets[instance_id]

    def _with_targets(self, found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        pairs = list(found)
        missing = {instance_id for _, instance_id in pairs} - self._targets.keys()
        if missing:
            self._targets |= targets_of(missing)
        return [pair for pair in pairs if pair[1] in self._targets]

    def _target(self, instance_id: int) -> Target:
        return self._targets[instance_id]
