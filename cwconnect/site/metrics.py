"""`/metrics` for Prometheus, read from the database at each scrape: right with any number of processes and machines.

Counts come from counters (polling/reports/counters.py), the rest from indexes; nothing here grows with the history. No
label names an instance, a customer or a URL. Whoever asks shows CWCONNECT_METRICS_TOKEN as a Bearer token; without that
setting only this very machine is answered, and not through a proxy.
"""

from __future__ import annotations

import hmac
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime

from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from cwconnect.core.client_ip import address_in
from cwconnect.core.errors import error_response
from cwconnect.core.plain_cache import RedisError
from cwconnect.site.backup_metrics import backup_families
from cwconnect.site.callback_metrics import callback_families
from cwconnect.site.health import examine, label, lag
from cwconnect.site.subscription_metrics import subscription_families
from instances.guesses import held_up
from instances.models import Instance
from polling.delivery.given_up import DAYS as GIVEN_UP_DAYS
from polling.delivery.given_up import all_given_up_since
from polling.models import Health, Notification, PollState, Receiver
from polling.reports import counters
from polling.reports.counters import SECONDS, Reading
from polling.reports.delivery_issues import PAUSED, states_of_instances
from polling.workers.due import delivery_due_at, poll_due_at
from polling.workers.queue import queue_size

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_COUNTED = 100_000  # beyond this many undelivered notifications the exact number no longer matters
_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via")


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape; 401 to whom the metrics are not for."""
    if not may_read(request):
        refused = error_response(401, "Metrics need the Bearer token of CWCONNECT_METRICS_TOKEN.")
        refused.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refused
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DatabaseCollector(timezone.now()))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE)


def may_read(request: HttpRequest) -> bool:
    """Return whether the token is right; without one, whether the caller is this machine itself."""
    if settings.METRICS_TOKEN:
        sent = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(sent, f"Bearer {settings.METRICS_TOKEN}".encode())
    # Behind a proxy of this machine everybody seems to be this machine.
    if settings.PUBLIC_URL or any(name in request.headers for name in _FORWARDED):
        return False
    return _is_loopback(request.META.get("REMOTE_ADDR", ""))


def _is_loopback(text: str) -> bool:
    address = address_in(text)
    return address is not None and address.is_loopback


class DatabaseCollector(Collector):
    """Reads everything as of one moment."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Return the families; counters first."""
        yield from _polls(counters.read(counters.RUNS, self._now))
        yield from _deliveries(counters.read(counters.ATTEMPTS, self._now))
        by_kind = counters.read(counters.EVENTS, self._now).counts
        yield _counter("cwconnect_events", "Events written, by kind.", ("kind",), by_kind)
        found = dict(PollState.objects.order_by().values_list("health").annotate(rows=Count("pk")))
        healths = {health.replace(" ", "_"): found.get(health, 0) for health in Health.values}
        yield _labelled("cwconnect_resources", "Resources watched, by health.", "health", healths)
        yield _labelled("cwconnect_undelivered", "Notifications not delivered yet, by state.", "state", _waiting())
        yield from self._plain()
        yield from subscription_families(self._now)
        yield from callback_families()
        yield from backup_families(self._now)
        well = {label(part.name): int(part.ok) for part in examine(self._now)}
        yield _labelled("cwconnect_part_ok", "Whether each part of the service is well, as /readyz says.", "part", well)

    def _plain(self) -> Iterator[Metric]:
        now = self._now
        deleted = Instance.objects.filter(organization=None).count()
        yield _gauge("cwconnect_instances", "Instances there are.", Instance.objects.count() - deleted)
        yield _gauge("cwconnect_instances_being_deleted", "Deleted instances whose rows are still to go.", deleted)
        with suppress(RedisError):  # not known; cwconnect_part_ok says that the broker is not well
            yield _gauge("cwconnect_queue_tasks", "Wake-up calls that wait in the queue.", queue_size())
        yield _gauge("cwconnect_poll_lag_seconds", "For how long a poll has been due.", _lag(poll_due_at(now), now))
        yield _gauge(
            "cwconnect_delivery_lag_seconds", "For how long a delivery has been due.", _lag(delivery_due_at(now), now)
        )
        paused = states_of_instances().filter(PAUSED).count()
        yield _gauge("cwconnect_paused_deliveries", "Subscriptions whose delivery waits for a release.", paused)
        failing = Receiver.objects.filter(open_until__isnull=False).count()
        yield _gauge("cwconnect_failing_receivers", "Receivers that are probed only, for they kept failing.", failing)
        given_up = all_given_up_since(now - GIVEN_UP_DAYS)[:MOST_COUNTED].count()
        yield _gauge("cwconnect_given_up", "Notifications given up within seven days, and not dealt with.", given_up)
        held = {kind.replace(" ", "_"): count for kind, count in held_up(now).items()}
        words = "What was guessed at so often that guesses wait: user names, browsers, codes, by kind."
        yield _labelled("cwconnect_guessed_at", words, "kind", held)
        yield _free_space()


def _free_space() -> Metric:
    """Return the space that the embedded database can grow into; no sample where there is none, or it is not known."""
    family = GaugeMetricFamily("cwconnect_data_free_bytes", "Space left in the data folder, of the embedded database.")
    if settings.EMBEDDED:
        with suppress(OSError):  # not known: the folder can't be read
            family.add_metric([], shutil.disk_usage(settings.DATA_DIR).free)
    return family


def _polls(reading: Reading) -> Iterator[Metric]:
    labels = ("kind", "outcome")
    yield _counter("cwconnect_polls", "Runs that ended, by kind and outcome.", labels, reading.counts)
    yield _histogram("cwconnect_poll_seconds", "How long runs took, waits between their pages included.", reading)
    for name, words in (("records", "Records read."), ("skipped", "Records that could not be used.")):
        yield _counter(f"cwconnect_{name}", words, (), {(): reading.sums[name]})


def _deliveries(reading: Reading) -> Iterator[Metric]:
    outcomes: Counter[tuple[str, ...]] = Counter()
    for (status, error_kind), count in reading.counts.items():
        outcomes[(outcome(status, error_kind),)] += count
    yield _counter("cwconnect_deliveries", "Attempts that ended, by outcome.", ("outcome",), outcomes)
    yield _histogram("cwconnect_delivery_seconds", "How long attempts took.", reading)


def outcome(status: str, error_kind: str) -> str:
    """Return an attempt's outcome as a label: `delivered`, `status_4xx`, the kind of error, or `cut_off`."""
    if status:
        return "delivered" if status.startswith("2") else f"status_{status[:1]}xx"
    return error_kind.replace(" ", "_") or "cut_off"


def _waiting() -> dict[str, int]:
    rows = Notification.objects.order_by()
    return {state.value: rows.filter(state=state)[:MOST_COUNTED].count() for state in Notification.UNDELIVERED}


def _lag(due_at: datetime | None, now: datetime) -> float:
    return lag(due_at, now).total_seconds()


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _labelled(name: str, words: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _counter(name: str, words: str, labels: Iterable[str], counts: dict[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(name, words, labels=list(labels))
    for values, count in sorted(counts.items()):
        family.add_metric(list(values), count)
    return family


def _histogram(name: str, words: str, reading: Reading) -> Metric:
    buckets = [(str(limit), float(count)) for limit, count in zip(SECONDS, reading.within, strict=True)]
    family = HistogramMetricFamily(name, words)
    family.add_metric([], [*buckets, ("+Inf", float(reading.timed))], reading.seconds)
    return family
