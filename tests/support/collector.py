"""An OpenTelemetry collector on 127.0.0.1, as far as a test wants to see what it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.receivers import Receiver, start_receiver


@dataclass(frozen=True)
class SentSpan:
    """One span as it arrived; ids in hexadecimal, `text` all that it says in any place."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    failed: bool
    links: tuple[str, ...]
    attributes: dict[str, Any] = field(repr=False)
    text: str = field(repr=False)


class Collector:
    """What came, in order."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.url = receiver.url.removesuffix("/events") + "/v1/traces"

    def spans(self) -> list[SentSpan]:
        """Return all spans that came."""
        found = []
        for got in self.receiver.got:
            request = ExportTraceServiceRequest.FromString(got.body)
            for of_resource in request.resource_spans:
                for scope in of_resource.scope_spans:
                    found += [_read(span) for span in scope.spans]
        return found

    def named(self, name: str) -> list[SentSpan]:
        """Return the spans of that name."""
        return [span for span in self.spans() if span.name == name]


def _read(span: Any) -> SentSpan:
    values = {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}
    return SentSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        failed=span.status.code == 2,
        links=tuple(link.trace_id.hex() for link in span.links),
        attributes=values,
        text=str(span),
    )


@contextmanager
def start_collector() -> Iterator[Collector]:
    """Run a collector on a free port."""
    with start_receiver() as receiver:
        yield Collector(receiver)
