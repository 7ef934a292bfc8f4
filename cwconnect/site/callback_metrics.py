"""What `/metrics` says of ConnectWise's callbacks: by type and outcome, never by instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django.db.models import Count, Q
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily

from polling.callbacks.counts import ANNOUNCED, MILLISECONDS, REFUSED, UNANNOUNCED, VERIFIED, WOKEN
from polling.models import CallbackRegistration
from polling.reports.callback_totals import Totals, callback_totals


def callback_families() -> Iterator[Metric]:
    """Return the families."""
    totals = callback_totals()
    outcomes = {name: name.removeprefix(REFUSED) for _, name in totals if name == VERIFIED or name.startswith(REFUSED)}
    yield _counter("cwconnect_callbacks", "ConnectWise's callbacks, by type and outcome.", "outcome", totals, outcomes)
    yield _counter("cwconnect_callback_wakes", "Polls that callbacks made due.", "", totals, {WOKEN: ""})
    yield _counter(
        "cwconnect_callback_changes",
        "Changes recorded, by whether a callback announced them.",
        "announced",
        totals,
        {ANNOUNCED: "yes", UNANNOUNCED: "no"},
    )
    took = SummaryMetricFamily("cwconnect_callback_seconds", "From a callback to the event of its change.")
    sums = Counter[str]()
    for (_, name), count in totals.items():
        sums[name] += count
    took.add_metric([], sums[ANNOUNCED], sums[MILLISECONDS] / 1000)
    yield took
    yield from _registrations()


def _registrations() -> Iterator[Metric]:
    rows = CallbackRegistration.objects.values_list("status").order_by()
    found = {
        status: (n, silent)
        for status, n, silent in rows.annotate(n=Count("pk"), silent=Count("pk", filter=Q(silent_since__isnull=False)))
    }
    family = GaugeMetricFamily(
        "cwconnect_callback_registrations", "Registrations by how they stand.", labels=["status"]
    )
    for status in CallbackRegistration.Status.values:
        family.add_metric([status], found.get(status, (0, 0))[0])
    yield family
    _, silent = found.get(CallbackRegistration.Status.ACTIVE, (0, 0))
    yield GaugeMetricFamily(
        "cwconnect_callbacks_silent", "Callback types of an instance that fell silent.", value=silent
    )


def _counter(name: str, words: str, label: str, totals: Totals, values: dict[str, str]) -> Metric:
    """Return a counter by type, and by `label` where there is one: its value for each name counted."""
    family = CounterMetricFamily(name, words, labels=["type", *([label] if label else [])])
    for (type_, counted), count in sorted(totals.items()):
        if counted in values:
            family.add_metric([type_, *([values[counted].replace(" ", "_")] if label else [])], count)
    return family
