"""The service at the benchmark *simulation*: URL, instances, minutes, workers, name → a figure."""

from __future__ import annotations

import secrets
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from tests.long.benchmarks.measure import Figure, hand_over
from tests.long.benchmarks.processes import Usage, usage_of_server, usage_of_tree
from tests.long.benchmarks.service import set_up, working

EVERY = timedelta(minutes=15)
RESOURCES = ("contacts", "incidents", "organizations")
HOSTS = 4  # ConnectWise's cloud has few
BATCH = 1000


def simulate(url: str, instances: int, minutes: float, workers: int, name: str) -> Figure:
    """Watch that many instances for so long."""
    set_up()
    from django.db import connection
    from django.utils import timezone

    from polling.models import Event, Notification, PollRun

    begin = timezone.now() + timedelta(seconds=10 + instances / 200)
    watch(url, instances, begin)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    database = "" if connection.vendor == "sqlite" else str(connection.settings_dict["NAME"])
    connection.close()
    with working("--workers", str(workers)) as process:
        time.sleep(max(0.0, (begin - timezone.now()).total_seconds()))
        before, before_database = usage_of_tree(process.pid), _of_database(database)
        time.sleep(minutes * 60)
        after, after_database, end = usage_of_tree(process.pid), _of_database(database), timezone.now()
    seconds = (end - begin).total_seconds()
    lags = sorted(_lags(begin, instances * len(RESOURCES), end))
    percentiles = statistics.quantiles(lags, n=100)
    states = list(PollRun.objects.exclude(status="complete").values_list("status", flat=True))
    more = {
        "due": sum(1 for _ in _due_times(begin, instances * len(RESOURCES), end)),
        "not complete": len(states),
        "lag p50, s": percentiles[49],
        "lag p99, s": percentiles[98],
        "lag max, s": lags[-1],
        "cores": (after.cpu - before.cpu) / seconds,
        "cores of the database": (after_database.cpu - before_database.cpu) / seconds,
        "MB of all": after.all_mb,
        "events": Event.objects.count(),
        "delivered": Notification.objects.filter(state="delivered").count(),
    }
    return Figure(name, len(lags), seconds, after.cpu - before.cpu, after.largest_mb, more)


def watch(url: str, instances: int, begin: datetime) -> None:
    """Make the instances by the batch, as if watched for long; their polls come due evenly from `begin`."""
    from instances.models import Instance, Organization, ResourcePoll
    from instances.secrets import Secret
    from polling.detection.watching import site_key
    from polling.models import PollState
    from tests.seed import example_body

    organization = Organization.objects.get_or_create(name="Simulated")[0]
    asked = example_body(url)["configuration"]["event.poller.configuration"]
    keys = {"public_key": Secret.of("PUB"), "private_key": Secret.of("PRIV"), "signature_key": Secret.of("x" * 32)}
    for first in range(0, instances, BATCH):
        made = [
            Instance.objects.create(
                organization=organization,
                name=f"Instance {number}",
                token_hash=secrets.token_hex(32),
                base_url=base_url(url, number),
                company=f"company{number}",
                client_id="any",
                events_enabled=True,
                refresh_interval=int(EVERY.total_seconds() // 60),
                callback_url=f"{base_url(url, number)}/events",
                **keys,
            )
            for number in range(first, min(first + BATCH, instances))
        ]
        polls = [
            ResourcePoll(
                instance=instance,
                name=name,
                configuration=asked.get(name, {"url": f"/hubs/crm/{name}"}),
                since=begin,
                high_water_id=10**9,
            )
            for instance in made
            for name in RESOURCES
        ]
        ResourcePoll.objects.bulk_create(polls)
        PollState.objects.bulk_create(
            PollState(
                resource_poll=poll,
                site=site_key(poll.instance),
                host=urlsplit(poll.instance.base_url).netloc,
                cursor=begin,
                next_poll_at=_first_due(begin, first * len(RESOURCES) + place, instances * len(RESOURCES)),
            )
            for place, poll in enumerate(polls)
        )


def base_url(url: str, number: int) -> str:
    """Return the base URL of an instance: of one of four hosts."""
    return url.replace("127.0.0.1", f"127.0.0.{1 + number % HOSTS}") + "/v4_6_release/apis/3.0"


def _first_due(begin: datetime, place: int, polls: int) -> datetime:
    return begin + EVERY * place / polls


def _due_times(begin: datetime, polls: int, end: datetime) -> Iterator[datetime]:
    for place in range(polls):
        at = _first_due(begin, place, polls)
        while at < end:
            yield at
            at += EVERY


def _lags(begin: datetime, polls: int, end: datetime) -> Iterator[float]:
    """Give, of each run, the seconds from when it was due: the interval after the one before it had begun."""
    from polling.models import PollRun, PollState

    places = {key: place for place, key in enumerate(PollState.objects.order_by("pk").values_list("pk", flat=True))}
    due: dict[int, datetime] = {}
    runs = PollRun.objects.filter(started_at__lt=end).order_by("pk").values_list("resource_poll_id", "started_at")
    for poll_id, started_at in runs.iterator():
        at = due.get(poll_id) or _first_due(begin, places[poll_id], polls)
        due[poll_id] = started_at + EVERY
        yield (started_at - at).total_seconds()


def _of_database(name: str) -> Usage:
    return usage_of_server(f" {name} ") if name else Usage(0, 0, 0)


if __name__ == "__main__":
    hand_over(simulate(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
