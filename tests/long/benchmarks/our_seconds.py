"""The service at the benchmark *seconds*: site, receiver, instances, changes, rate, interval, share lost, name."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from tests.long.benchmarks.announcing_sites import CONTACTS, company
from tests.long.benchmarks.contest import ROOT
from tests.long.benchmarks.measure import Figure, hand_over
from tests.long.benchmarks.our_latency import arrivals
from tests.long.benchmarks.processes import usage_of_tree
from tests.long.benchmarks.service import Tenants, set_up

PATIENCE_SECONDS = 120
QUIET_SECONDS = 5  # without an arrival: what is left was not announced


@dataclass(frozen=True)
class Asked:
    """What is measured."""

    site: str
    receiver: str
    instances: int
    changes: int
    rate: float
    interval: int
    lost: float

    @property
    def callbacks(self) -> bool:
        """Whether ConnectWise announces changes."""
        return self.lost >= 0


def measure(asked: Asked, name: str) -> Figure:
    """Change records evenly while `manage.py up` runs; give how long each change took to arrive."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    os.environ["CWCONNECT_CALLBACK_URL"] = f"http://127.0.0.1:{port}"
    set_up()
    watch(asked)
    with serving_all(port) as process:
        settle(asked)
        before, requests = usage_of_tree(process.pid), requests_made(asked)
        began = time.monotonic()
        changed = change_all(asked)
        seconds = time.monotonic() - began
        wait_until_quiet(asked, changed)
        early = len(delays(asked, changed))
        if early < len(changed):
            poll_everything()
            wait_until_quiet(asked, changed)
        after, requests = usage_of_tree(process.pid), requests_made(asked) - requests
    late = delays(asked, changed)
    percentiles = statistics.quantiles(late, n=100)
    more = {
        "p50 s": percentiles[49],
        "p99 s": percentiles[98],
        "callbacks lost": lost_callbacks(asked),
        "with the last poll": len(changed) - early,
        "lost": len(changed) - len(late),
        "requests a change": requests / len(changed),
    }
    return Figure(name, len(changed), seconds, after.cpu - before.cpu, after.largest_mb, more)


def watch(asked: Asked) -> None:
    """Make the instances, one of each company."""
    tenants = Tenants()
    for number in range(asked.instances):
        tenants.watch(
            asked.site,
            name=company(number),
            callback=asked.receiver,
            keys={
                "company": company(number),
                "event__callbacks__enabled": asked.callbacks,
                "event__poller__refresh_interval": asked.interval,
            },
        )


@contextmanager
def serving_all(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `manage.py up`, and wait until it serves."""
    command = [sys.executable, "manage.py", "up", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr)
    try:
        wait(lambda: answers(port), "The service does not answer")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def answers(port: int) -> bool:
    """Whether the web serves."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def settle(asked: Asked) -> None:
    """Wait until all was polled once and, with callbacks, is registered."""
    from polling.models import CallbackRegistration, PollRun, PollState

    wait(lambda: PollRun.objects.count() >= asked.instances, "Not everything was polled")
    if asked.callbacks:
        active = CallbackRegistration.objects.filter(status=CallbackRegistration.Status.ACTIVE)
        wait(lambda: active.count() >= asked.instances, "Not everything is registered")
    wait(lambda: not PollState.objects.exclude(lease_until=None).exists(), "Polls do not end")


def change_all(asked: Asked) -> dict[tuple[str, int], float]:
    """Change records one after another, each once, some unannounced; give when, by company and record."""
    changed: dict[tuple[str, int], float] = {}
    began = time.monotonic()
    for number in range(asked.changes):
        time.sleep(max(0.0, began + number / asked.rate - time.monotonic()))
        name, record = company(number % asked.instances), 1 + number // asked.instances % CONTACTS
        if asked.lost > 0 and number % round(1 / asked.lost) == 0:
            control(asked, "fail_callbacks", company=name, n=1, drop=True)
        changed[name, record] = time.time()
        control(asked, "change", company=name, list="contacts", id=record, fields={"title": f"Title {number}"})
    return changed


def wait_until_quiet(asked: Asked, changed: dict[tuple[str, int], float]) -> None:
    """Wait until all has arrived, or nothing has for a while (with plain polling: for longer than its interval)."""
    patience = QUIET_SECONDS if asked.callbacks else asked.interval * 60 + QUIET_SECONDS
    seen, at = 0, time.monotonic()
    while seen < len(changed) and time.monotonic() < at + patience:
        time.sleep(0.5)
        if (now := len(delays(asked, changed))) > seen:
            seen, at = now, time.monotonic()


def poll_everything() -> None:
    """Have the next poll of each come now."""
    from django.utils import timezone

    from polling.models import PollState

    PollState.objects.update(next_poll_at=timezone.now())


def delays(asked: Asked, changed: dict[tuple[str, int], float]) -> list[float]:
    """Return the seconds from each change to the arrival of its notification, of those that arrived."""
    from polling.models import Event

    came = arrivals(asked.receiver)
    events = Event.objects.filter(record__contains='"Title ').values_list(
        "instance__name", "record_id", "notification__webhook_id"
    )
    found = {(name, record): came[key] for name, record, key in events if key in came}
    return sorted(found[change] - at for change, at in changed.items() if change in found)


def requests_made(asked: Asked) -> int:
    """Return how many requests the sites have had."""
    return sum(
        len(control(asked, "requests", company=company(number), method="GET")) for number in range(asked.instances)
    )


def lost_callbacks(asked: Asked) -> int:
    """Return how many callbacks were dropped on order."""
    counts = (control(asked, "callbacks", company=company(n), method="GET")["counts"] for n in range(asked.instances))
    return sum(count.get("dropped", 0) for count in counts)


def control(asked: Asked, operation: str, *, company: str, method: str = "POST", **members: Any) -> Any:
    """Ask the sandbox's control API."""
    url = f"{asked.site.partition('/v4_6')[0]}/_sandbox/{operation}"
    if method == "GET":
        request = Request(f"{url}?company={company}")  # noqa: S310  (our own sandbox)
    else:
        body = json.dumps({"company": company} | members).encode()
        request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  (as above)
    with urlopen(request, timeout=30) as answer:  # noqa: S310  (as above)
        return json.load(answer)


def wait(done: Any, otherwise: str) -> None:
    """Wait until something holds; give up with these words."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"{otherwise} within {PATIENCE_SECONDS} s.")
        time.sleep(0.25)


if __name__ == "__main__":
    site, receiver, instances, changes, rate, interval, lost, name = sys.argv[1:]
    asked = Asked(site, receiver, int(instances), int(changes), float(rate), int(interval), float(lost))
    hand_over(measure(asked, name))
