"""Who may have how many requests at a time, in one worker process: so that a slow receiver holds up nobody else.

Shares are per process: with N workers on all machines together, a receiver sees up to N times as many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

PER_INSTANCE = 8
PER_HOST = 12
FIRST = 2
PROBES = 8


@dataclass
class Trust:
    """How many requests at a time each host has earned.

    Two at first, one more for each delivery, half of them after a failure: a host that hangs thus binds two threads,
    not twelve, until its time-outs open its breaker.
    """

    _earned: dict[str, int] = field(default_factory=dict)

    def of(self, host: str) -> int:
        """Give the host's share."""
        return self._earned.get(host, FIRST)

    def learn(self, host: str, *, delivered: bool) -> None:
        """Take in how an attempt went."""
        earned = self.of(host)
        self._earned[host] = min(earned + 1, PER_HOST) if delivered else max(earned // 2, FIRST)


class Shares:
    """What is taken of each share while a claim is being made. `running` is (instance, host) of each in flight."""

    def __init__(self, running: Iterable[tuple[int, str]], trust: Trust) -> None:
        self._running = list(running)
        self._instances = Counter(instance for instance, _ in self._running)
        self._hosts = Counter(host for _, host in self._running)
        self._trust = trust

    def full_instances(self) -> set[int]:
        """Give the instances with requests in flight that may have no further one."""
        return {instance for instance, host in self._running if not self._has_room(instance, host)}

    def take(self, instance_id: int, host: str) -> bool:
        """Take a place for a request; False if there is none."""
        if not self._has_room(instance_id, host):
            return False
        self._instances[instance_id] += 1
        self._hosts[host] += 1
        return True

    def _has_room(self, instance_id: int, host: str) -> bool:
        return self._instances[instance_id] < PER_INSTANCE and self._hosts[host] < self._trust.of(host)
