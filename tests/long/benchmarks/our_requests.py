"""The service at the benchmark *requests*: the sandbox's base URL, changes, polls, every, name → a figure."""

from __future__ import annotations

import sys

import requests

from tests.long.benchmarks.measure import Figure, Stopwatch, hand_over
from tests.long.benchmarks.service import Tenants, poll_all, set_up
from tests.long.benchmarks.statements import Requests

LOGIN = ("acme+PUB", "PRIV")


def count_requests(url: str, changes: int, polls: int, every: int, name: str) -> Figure:
    """Poll the contacts so often, so many of them changed before each `every`-th; count what ConnectWise is asked."""
    set_up()
    from polling.models import Event, PollState
    from polling.workers.due import make_due

    Tenants().watch(url, pageSize=1000)
    poll_all()
    asked, stopwatch = Requests(), Stopwatch()
    for number in range(polls):
        if number % every == 0:
            change(url, changes, f"Chief {number}")
        make_due(PollState.objects.all())
        with asked.watched(), stopwatch:
            poll_all()
    events, made = Event.objects.count(), changes * -(-polls // every)
    if events != made:
        raise SystemExit(f"{events} events of {made} changes")
    more = {"requests": asked.count, "a poll": asked.count / polls} | (
        {"a change": asked.count / events} if events else {}
    )
    return stopwatch.figure(name, polls, **more)


def change(url: str, count: int, title: str) -> None:
    """Change the first `count` contacts of the sandbox."""
    step = [{"op": "replace", "path": "title", "value": title}]
    with requests.Session() as session:
        for record_id in range(1, count + 1):
            path = f"{url}/company/contacts/{record_id}"
            session.patch(path, json=step, auth=LOGIN, headers={"clientId": "any"}, timeout=60).raise_for_status()


if __name__ == "__main__":
    hand_over(count_requests(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
