"""Traces that are off cost nothing, and a collector that hangs or is away holds up nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpResponse
from pytest_django import Settings

from cwconnect.tracing import provider, span
from cwconnect.tracing.exporter import LIMITS
from cwconnect.tracing.middleware import TracingMiddleware
from polling.delivery.delivery_loop import deliver_due
from tests.support.collector import Collector
from tests.support.polled_instance import PolledInstance
from tests.support.raw_servers import RawServer
from tests.support.receivers import Receiver
from tests.support.services import ROOT, environment_of

EVERYTHING = "import django; django.setup(); import cwconnect.urls, polling.tasks, cwconnect.site.periodic_jobs"
SPANS = f"{EVERYTHING}; from cwconnect.tracing import span; span('a').__enter__()"


def run(code: str, data: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = environment_of(data) | environment
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=given, capture_output=True, text=True, timeout=120
    )


def test_nothing_of_opentelemetry_is_imported_while_traces_are_off(tmp_path: Path) -> None:
    # Not all of OpenTelemetry: redis-py looks for its metrics by itself, where it is installed.
    ours = (
        "cwconnect.tracing.provider",
        "cwconnect.tracing.exporter",
        "opentelemetry.sdk.trace",
    )
    done = run(f"{SPANS}; import sys; print([name for name in {ours} if name in sys.modules])", tmp_path)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_with_traces_off_no_request_passes_their_middleware() -> None:
    with pytest.raises(MiddlewareNotUsed):
        TracingMiddleware(lambda request: HttpResponse())


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({"CWCONNECT_OTLP_ENDPOINT": "http://collector:4318"}, "http://collector:4318/v1/traces"),
        ({"CWCONNECT_OTLP_ENDPOINT": "http://a/v1/traces"}, "http://a/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}, "http://collector:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector/here"}, "http://collector/here"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "CWCONNECT_OTLP_ENDPOINT": "http://b"}, "http://b/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_SDK_DISABLED": "true"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_TRACES_EXPORTER": "none"}, ""),
        ({}, ""),
    ],
)
def test_an_endpoint_is_ours_or_the_standards(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], endpoint: str
) -> None:
    from cwconnect.core import env

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert env.otlp_endpoint("CWCONNECT_OTLP_ENDPOINT") == endpoint


@pytest.mark.django_db(transaction=True)
def test_a_collector_that_hangs_holds_up_neither_polls_nor_deliveries(
    world: PolledInstance, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    asked, done = threading.Event(), threading.Event()

    def hang(connection: object) -> None:
        asked.set()
        done.wait(60)

    with RawServer(hang) as collector:
        settings.OTLP_ENDPOINT = collector.url("/v1/traces")
        try:
            world.watch(callback_url=receiver.url)
            world.poll()
            assert asked.wait(30)
            assert spans_queue() <= 8
            started = time.monotonic()
            for _ in range(2000):
                with span("one of many"):
                    pass
            assert time.monotonic() - started < LIMITS.total  # none of them waited for the collector
            world.change(17, "Owner")
            world.poll()
            deliver_due(deadline=float("inf"))
            assert receiver.events() == [("UPDATED", "17")]
            assert spans_queue() <= 8
        finally:
            done.set()
            provider.close()


def spans_queue() -> int:
    """How many spans wait to be sent."""
    _, opened = provider._open[0]
    [processor] = opened._active_span_processor._span_processors
    return len(processor._batch_processor._queue)  # type: ignore[attr-defined]  # it is a BatchSpanProcessor


def test_a_process_ends_though_the_collector_hangs(tmp_path: Path) -> None:
    done = threading.Event()

    def hang(connection: object) -> None:
        done.wait(60)

    with RawServer(hang) as collector:
        started = time.monotonic()
        ended = run(SPANS, tmp_path, CWCONNECT_OTLP_ENDPOINT=collector.url("/"))
        done.set()
    assert ended.returncode == 0, ended.stderr
    assert time.monotonic() - started < 60


def test_what_waits_is_sent_when_a_forked_process_ends(tmp_path: Path, collector: Collector) -> None:
    child = "def work():\n    with span('in a child'): pass\n"
    code = f"{EVERYTHING}\nfrom cwconnect.tracing import span\nimport multiprocessing\n{child}"
    code += "with span('before'): pass\nmultiprocessing.get_context('fork').Process(target=work).start()\n"
    ended = run(code, tmp_path, CWCONNECT_OTLP_ENDPOINT=collector.url)
    assert ended.returncode == 0, ended.stderr
    assert sorted(one.name for one in collector.spans()) == ["before", "in a child"]
    assert len({one.trace_id for one in collector.spans()}) == 2


def test_a_collector_that_is_away_is_logged_once_and_when_it_is_back(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cwconnect.tracing")
    status = [503, 503, 200, 200]
    collector.receiver.answer = lambda got: (status.pop(0), {})
    for _ in range(4):
        with span("a span"):
            pass
        provider.flush()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("cwconnect.tracing")] == [
        "Traces can't be sent to 127.0.0.1, and are dropped until they can: it answered 503.",
        "Traces are sent to 127.0.0.1 again.",
    ]


def test_headers_of_the_standard_are_sent_and_in_no_log_line(
    monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    from cwconnect.core import env

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc-secret,x-tenant=a")
    with span("a span"):
        pass
    provider.flush()
    assert collector.receiver.got[0].headers["authorization"] == "Bearer abc-secret"
    assert "Bearer abc-secret" in env.otlp_credentials()
