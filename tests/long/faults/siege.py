"""A siege: bursts of faults, each followed by quiet in which everything must come to order, and the reckoning."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from tests.long.faults.audit import Figures, Findings, compare
from tests.long.faults.besieged_service import BesiegedService
from tests.long.faults.courses import Course
from tests.long.faults.kinds import Kind

Say = Callable[[str], None]
_AGAIN_AFTER = 1.0


@dataclass(frozen=True)
class Plan:
    """All in seconds. A fault still on when its burst has been over for `patience` is ended, and counts for nothing."""

    faults: int = 10
    burst: float = 45.0
    patience: float = 30.0
    quiet: float = 120.0
    normal_lag: float = 20.0

    @property
    def length(self) -> float:
        """How long a burst and its quiet take."""
        return self.burst + self.quiet


@dataclass
class Outcome:
    """What was done and what came of it. `slow`: quiets at whose end the lag was not normal.

    A fault that does not hit is begun again while its burst lasts, and counts once.
    """

    begun: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    lags: list[float] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    figures: Figures | None = None

    def broken(self) -> list[str]:
        """Return what must not be, in sentences; empty if all held."""
        return [*self.slow, *self.findings.broken()]


class Siege:
    """One run through a world."""

    def __init__(self, world: BesiegedService, kinds: Sequence[Kind], *, plan: Plan, seed: int, say: Say) -> None:
        self._world, self._plan, self._say = world, plan, say
        self._chance = random.Random(seed)
        self._kinds = _in_turn(kinds, self._chance)
        self._on: list[tuple[Kind, Course, float]] = []
        self._burst_ends = 0.0
        self.outcome = Outcome()

    def run(self, bursts: int) -> Outcome:
        """Do it all, and compare in the end."""
        for number in range(1, bursts + 1):
            self._burst()
            self._quiet(number)
        self._world.stop_writing()
        self._look_at_lag("the end", 240)
        self._world.pause(5)
        world = self._world
        self.outcome.findings, self.outcome.figures = compare(world.source, world.taken, world.storage, world.watched)
        self._ask_the_service()
        return self.outcome

    def _ask_the_service(self) -> None:
        """Have the service's own `verify` compare an instance with ConnectWise: it must agree."""
        instance = self._chance.choice(sorted(key for key in self._world.watched if key > 0))
        for found in json.loads(self._world.manage("verify", str(instance), "--json", may_fail=True)):
            faults = {name: found[name] for name in ("missed", "stale", "undelivered", "repeated") if found[name]}
            if faults:
                self.outcome.findings.wrong.append(f"verify says of instance {instance}: {faults}")

    def _burst(self) -> None:
        self._burst_ends = end = time.monotonic() + self._plan.burst
        kinds = list(islice(self._kinds, self._plan.faults))
        # What lasts a minute comes first, so that the quiet is quiet.
        for left, kind in zip(range(len(kinds), 0, -1), sorted(kinds, key=lambda kind: not kind.lasting), strict=True):
            self._begin(kind)
            self._pass((end - time.monotonic()) / left * self._chance.uniform(0.5, 1.0))
        self._pass(end - time.monotonic())

    def _quiet(self, number: int) -> None:
        end = time.monotonic() + self._plan.quiet
        while self._on and time.monotonic() < end - self._plan.quiet + self._plan.patience:
            self._pass(0.1)
        for kind, course, _ in self._on:
            course.close()
            self._say(f"    {kind.name}: ended early")
        self._on = []
        self._world.pause(end - time.monotonic())
        self._look_at_lag(f"quiet {number}", self._plan.quiet)

    def _look_at_lag(self, when: str, limit: float) -> None:
        lag = self._world.lag(limit)
        self.outcome.lags.append(lag)
        self._say(f"  {when}: what was written until now had arrived after {lag:.1f} s (load {os.getloadavg()[0]:.1f})")
        if lag > self._plan.normal_lag:
            self.outcome.slow.append(f"{when}: after {lag:.0f} s of at most {self._plan.normal_lag:.0f}")
        self._look_at_readiness(when)

    def _look_at_readiness(self, when: str) -> None:
        """See that the service calls itself well again."""
        end = time.monotonic() + self._plan.normal_lag
        while (answer := self._world.ask("GET", "/readyz"))[0] != 200 and time.monotonic() < end:
            self._world.pause(0.5)
        if answer[0] != 200:
            self.outcome.slow.append(f"{when}: /readyz answers {answer[0]}: {answer[1]}")

    def _begin(self, kind: Kind) -> None:
        self.outcome.begun[kind.name] += 1
        self._on.append((kind, kind.begin(self._world, self._chance), time.monotonic()))

    def _pass(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            self._on = [later for fault in self._on if (later := self._go_on(*fault)) is not None]
            if time.monotonic() >= end:
                return
            self._world.pause(0.05)

    def _go_on(self, kind: Kind, course: Course, at: float) -> tuple[Kind, Course, float] | None:
        if time.monotonic() < at:
            return kind, course, at
        try:
            return kind, course, time.monotonic() + next(course)
        except StopIteration as end:
            self.outcome.hit[kind.name] += bool(end.value)
            if end.value or time.monotonic() > self._burst_ends:
                self._say(f"    {kind.name}: {end.value or 'did not hit'}")
                return None
            # Its victim was not there: another fault has it, or it is just starting.
            return kind, kind.begin(self._world, self._chance), time.monotonic() + _AGAIN_AFTER


def _in_turn(kinds: Sequence[Kind], chance: random.Random) -> Iterator[Kind]:
    """Return all kinds in random order, then all of them in another, for ever."""
    rounds = iter(lambda: chance.sample(kinds, len(kinds)), None)
    return chain.from_iterable(rounds)
