"""The service at the benchmark *idle*: base URL, instances, rounds, name → a figure."""

from __future__ import annotations

import sys

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.long.benchmarks.service import Tenants, poll_all, set_up


def idle(url: str, instances: int, rounds: int, name: str) -> Figure:
    """Poll every instance that often; the poller's share of a site is lifted, since all share one here."""
    set_up()
    from instances import connections
    from polling.detection import claiming
    from polling.models import PollRun, PollState
    from polling.workers.due import make_due

    claiming.PER_SITE = claiming.PER_HOST = connections._CONNECTIONS_PER_HOST
    tenants = Tenants()
    for number in range(instances):
        tenants.watch(url, name=f"Instance {number}", pageSize=1000)
    poll_all()
    PollRun.objects.all().delete()
    ended = 0
    with Stopwatch() as watch:
        for _ in range(rounds):
            make_due(PollState.objects.all())
            ended += poll_all()
    good = PollRun.objects.filter(status="complete", records=0).count()
    if not ended == good == instances * rounds:
        raise SystemExit(f"{good} good idle polls of {instances * rounds}")
    return watch.figure(name, ended)


if __name__ == "__main__":
    hand_over(idle(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
