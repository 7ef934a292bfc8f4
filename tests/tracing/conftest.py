"""A collector that the service sends its spans to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from cwconnect.tracing import provider
from tests.support.collector import Collector, start_collector


@pytest.fixture
def collector(settings: Settings) -> Iterator[Collector]:
    with start_collector() as collector:
        settings.OTLP_ENDPOINT = collector.url
        yield collector
        provider.close()
