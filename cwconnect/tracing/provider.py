"""OpenTelemetry's own part: the spans' source of a process, and how they leave it. Imported once a span begins."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from multiprocessing.util import Finalize

from django.conf import settings
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from cwconnect.tracing.exporter import CollectorExporter
from cwconnect.tracing.spans import Kind, Value

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
}
_LOCK = threading.Lock()
_open: list[tuple[CollectorExporter, TracerProvider]] = []


def start_span(
    name: str, attributes: Mapping[str, Value], *, parent: str | None, links: Sequence[str], kind: Kind
) -> Span:
    """Start a span beneath `parent`, a `traceparent`; what can't be read as one counts as none."""
    above = _context_of(parent)
    context = Context() if above is None else set_span_in_context(NonRecordingSpan(above), Context())
    linked = [Link(found) for link in links if (found := _context_of(link)) is not None]
    tracer = _provider().get_tracer("cwconnect")
    return tracer.start_span(name, context, _KINDS[kind], dict(attributes), linked)


def flush() -> None:
    """Send what waits, and wait until that is done or has failed."""
    _provider().force_flush()


def close() -> None:
    """Send what waits as long as that goes well, and end the thread that sends; the next span begins another."""
    if _open:
        exporter, provider = _open.pop()
        exporter.close()
        provider.shutdown()
        _provider_of.cache_clear()


def _context_of(traceparent: str | None) -> SpanContext | None:
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))


def _provider() -> TracerProvider:
    with _LOCK:  # or two threads would make one each
        return _provider_of(os.getpid(), settings.OTLP_ENDPOINT)


@lru_cache(maxsize=1)
def _provider_of(process: int, endpoint: str) -> TracerProvider:
    """Make the process's provider; the sampler, the queue's bound and its pace come from OTEL_… variables.

    Keyed by process: a worker made by fork has its own queue, and a thread of its own that sends.
    """
    exporter = CollectorExporter(endpoint)
    provider = TracerProvider(resource=_resource(process), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _open[:] = [(exporter, provider)]
    Finalize(None, close, exitpriority=10)  # unlike atexit's, it is called in processes of multiprocessing too
    return provider


def _resource(process: int) -> Resource:
    """Return what spans say of this process; OpenTelemetry adds what OTEL_RESOURCE_ATTRIBUTES names."""
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({"process.pid": process} | ({} if named else {"service.name": "cwconnect"}))
