"""The service at the benchmark *changes*: URL of the sites, instances, rounds, name → a figure of changed polls."""

from __future__ import annotations

import sys

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.long.benchmarks.our_simulation import RESOURCES, watch
from tests.long.benchmarks.service import poll_all, set_up
from tests.long.benchmarks.statements import Requests, Statements


class Side:
    """Polls that all find nothing, or all one change: what they took, summed up over the rounds."""

    def __init__(self, url: str, instances: int) -> None:
        from django.utils import timezone

        from polling.models import PollState

        watch(url, instances, timezone.now())
        self.polls = PollState.objects.filter(resource_poll__instance__base_url__in=_base_urls(url))
        self.keys = list(self.polls.values_list("pk", flat=True))
        self.statements = Statements()
        self.stopwatch = Stopwatch()
        self.requests, self.ended = Requests(), 0

    def poll(self) -> None:
        """Poll all of them once."""
        from polling.models import PollState
        from polling.workers.due import make_due

        PollState.objects.update(next_poll_at=None)
        make_due(PollState.objects.filter(pk__in=self.keys))
        with self.requests.watched(), self.statements.watched(), self.stopwatch:
            self.ended += poll_all()

    @property
    def rate(self) -> float:
        """Polls per second."""
        return self.ended / self.stopwatch.seconds


def changes(url: str, instances: int, rounds: int, name: str) -> Figure:
    """Poll as many that find nothing and as many that find a change, in turns."""
    set_up()
    from polling.models import Event

    idle, changed = Side(f"{url}/quiet", instances), Side(url, instances)
    for side in (idle, changed):
        side.poll()
    for side in (idle, changed):
        side.statements, side.stopwatch, side.requests, side.ended = Statements(), Stopwatch(), Requests(), 0
    before = Event.objects.count()
    for _ in range(rounds):
        idle.poll()
        changed.poll()
    events, expected = Event.objects.count() - before, instances * rounds * len(RESOURCES)
    if not events == changed.ended == idle.ended == expected:
        raise SystemExit(f"{events} events of {changed.ended} polls, {idle.ended} idle ones; expected {expected}")
    more = {
        "idle/s": idle.rate,
        "of idle": changed.rate / idle.rate,
        "idle CPU µs": idle.stopwatch.cpu / idle.ended * 1e6,
        "statements": changed.statements.count / changed.ended,
        "idle statements": idle.statements.count / idle.ended,
        "requests": changed.requests.count / changed.ended,
    }
    return changed.stopwatch.figure(name, changed.ended, **more)


def _base_urls(url: str) -> list[str]:
    from tests.long.benchmarks.our_simulation import HOSTS, base_url

    return [base_url(url, number) for number in range(HOSTS)]


if __name__ == "__main__":
    hand_over(changes(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
