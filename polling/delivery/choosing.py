"""Which due notifications are claimed next: the longest due first, within every share, none that a breaker holds.

An index gives what is due in order. Three things keep the look short: instances that are full are left out of the
next look, what an open breaker holds loses its due time, and targets are remembered while the loop runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import QuerySet

from polling.delivery.breaker import Target, give_back_probes, hold, open_receivers, take_probe, targets_of
from polling.delivery.parcels import Parcel
from polling.delivery.shares import PROBES, Shares, Trust
from polling.models import Notification
from polling.runtime.leases import free


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
        most = min(room, PROBES - sum(parcel.probe for parcel in running))
        ready = {receiver_id for receiver_id, breaker in opened.items() if breaker.holds and breaker.until <= now}
        keys: list[int] = []
        held = self._look(room - min(len(ready), most), keys, shares, opened, now)
        ready |= {receiver_id for receiver_id in held if opened[receiver_id].until <= now}
        probes = self._probes(sorted(ready)[: min(most, room - len(keys))], now)
        return Choice([*probes, *keys], self._targets, probes)

    def settle_claim(self, choice: Choice, parcels: Sequence[Parcel], now: datetime) -> None:
        """Give back the probes that were not claimed, and forget targets that are another's by now."""
        claimed = {parcel.notification.pk for parcel in parcels}
        lost = [receiver for key, receiver in choice.probes.items() if key not in claimed]
        if lost:
            give_back_probes(lost, now)
        for parcel in parcels:
            if parcel.receiver_id is None:
                self._targets.pop(parcel.envelope.instance_id, None)

    def _probes(self, receiver_ids: Iterable[int], now: datetime) -> dict[int, int]:
        """Take probes of these receivers; give them by key."""
        taken: dict[int, int] = {}
        for receiver_id in receiver_ids:
            probe = take_probe(receiver_id, self._among, now, now + self._probe_length)
            if probe is not None:
                taken[probe.notification_id] = receiver_id
                self._with_targets([(probe.notification_id, probe.instance_id)])  # for the parcel, to be counted
        return taken

    def _look(
        self, room: int, keys: list[int], shares: Shares, opened: Collection[int], now: datetime
    ) -> Collection[int]:
        """Add due notifications to `keys`, looking again without what proved full; give the receivers that hold now."""
        full, held = shares.full_instances(), set[int]()
        while len(keys) < room:
            found = self._with_targets(self._due_now(now, full, keys)[: 2 * room])
            before = len(full)
            for key, target in found:
                if target.receiver_id in opened:
                    full.add(target.instance_id)
                    held.add(target.receiver_id)
                elif not shares.take(target.instance_id, target.host):
                    full.add(target.instance_id)
                elif len(keys) < room:
                    keys.append(key)
            if len(found) < 2 * room or len(full) == before:
                break
        for receiver_id in held:
            self._hold(receiver_id, now)
        return held

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

    def _with_targets(self, found: Iterable[tuple[int, int]]) -> list[tuple[int, Target]]:
        pairs = list(found)
        missing = {instance_id for _, instance_id in pairs} - self._targets.keys()
        if missing:
            self._targets |= targets_of(missing)
        return [(key, self._targets[instance_id]) for key, instance_id in pairs if instance_id in self._targets]
