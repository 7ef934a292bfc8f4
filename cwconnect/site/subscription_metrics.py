"""What `/metrics` says of subscriptions: by state, never by instance, receiver or name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cwconnect.site.health import lag
from polling.log.readers import oldest_unread
from polling.reports.subscription_states import count_subscriptions


def subscription_families(now: datetime) -> Iterator[Metric]:
    """Return the families, as of `now`: two statements, however many subscriptions and events there are."""
    counts = count_subscriptions()
    family = GaugeMetricFamily("cwconnect_subscriptions", "Subscriptions, by state.", labels=["state"])
    for word, count in counts.states.items():
        family.add_metric([word.replace(" ", "_")], count)
    yield family
    words = "Events that filters of subscriptions held back."
    yield CounterMetricFamily("cwconnect_held_back", words, value=counts.held)
    words = "For how long the oldest event has waited to be read for a subscription."
    yield GaugeMetricFamily("cwconnect_fan_out_lag_seconds", words, value=lag(oldest_unread(), now).total_seconds())
