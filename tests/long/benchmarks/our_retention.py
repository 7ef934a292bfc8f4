"""The service at the benchmark *retention*. `write EVENTS SECONDS NAME` gives a figure; it starts `prune` itself."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.long.benchmarks.service import set_up

if TYPE_CHECKING:
    from instances.models import ResourcePoll

PAGE = 100
EACH_SECONDS = 0.1  # a page: 1,000 events/s
RECORD = '{"id":1,"notes":"' + "x" * 900 + '"}'


def prune() -> Figure:
    """Apply retention once; the units are events."""
    set_up()
    from django.utils import timezone

    from polling.maintenance.retention import prune as apply_retention

    with Stopwatch() as watch:
        pruned = apply_retention(timezone.now())
    return watch.figure("prune", max(pruned.events, 1))


def write(events: int, seconds: float, name: str) -> Figure:
    """Write 1,000 events/s by pages of 100, first alone, then while `events` old ones are deleted."""
    set_up()
    from django.utils import timezone

    from instances.models import Organization, ResourcePoll
    from tests.support import event_volume as volume

    organization = Organization.objects.create(name="Old")
    old = timezone.now() - timedelta(days=40)
    volume.fill(organization, polls=100, notifications=events // volume.EVENTS_EACH, now=old)
    poll = ResourcePoll.objects.select_related("instance").first()
    assert poll is not None
    end = time.perf_counter() + seconds
    alone = _write_while(lambda: time.perf_counter() < end, poll)
    pruning = subprocess.Popen(
        [sys.executable, "-m", "tests.long.benchmarks.our_retention", "prune"], stdout=subprocess.PIPE, text=True
    )
    with Stopwatch() as watch:
        beside = _write_while(lambda: pruning.poll() is None, poll)
    output, _ = pruning.communicate()
    pruned = Figure(**json.loads(output.splitlines()[-1]))
    more = {
        "deleted/s": pruned.rate,
        "page p50 alone, ms": _percentile(alone, 50),
        "page p99 alone, ms": _percentile(alone, 99),
        "page p50 beside, ms": _percentile(beside, 50),
        "page p99 beside, ms": _percentile(beside, 99),
        "longest, ms": max(beside),
    }
    return watch.figure(name, len(beside) * PAGE, **more)


def _write_while(going_on: Callable[[], bool], poll: ResourcePoll) -> list[float]:
    """Commit a page at every tenth of a second; give the ms that each took. A late one is followed at once."""
    taken: list[float] = []
    at = time.perf_counter()
    while going_on():
        time.sleep(max(0.0, at - time.perf_counter()))
        began = time.perf_counter()
        _write_page(poll, len(taken))
        taken.append((time.perf_counter() - began) * 1000)
        at += EACH_SECONDS
    return taken


def _write_page(poll: ResourcePoll, number: int) -> None:
    from django.db import transaction
    from django.utils import timezone

    from polling.detection.event_log import PollEvents, record_events
    from polling.detection.snapshots import NewSnapshot, remember
    from polling.models import NewEvent, PollRun

    now = timezone.now()
    ids = range(number * PAGE, (number + 1) * PAGE)
    events = [NewEvent(poll.name, str(record), record, "UPDATED", now, now, RECORD) for record in ids]
    with transaction.atomic():
        run = PollRun.objects.create(resource_poll=poll, status="complete", started_at=now, finished_at=now)
        remember(poll.pk, [NewSnapshot(record, None, bytes(16), None) for record in ids])
        record_events([PollEvents(poll, run, events)], now=now)


def _percentile(values: list[float], which: int) -> float:
    return statistics.quantiles(values, n=100)[which - 1]


if __name__ == "__main__":
    hand_over(prune() if sys.argv[1] == "prune" else write(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
