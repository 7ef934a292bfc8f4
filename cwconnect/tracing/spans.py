"""Spans as the service begins and ends them, without OpenTelemetry in sight. Off, each is None."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from django.conf import settings

from cwconnect.core.logs import about

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OtelSpan

Value = str | int | bool
Kind = Literal["internal", "server", "client", "producer"]

# All that a span may say. Words of others (URLs, bodies, messages) are in none of them: a name that is not here is
# refused, so that what is added has to pass this list.
ATTRIBUTES = {
    "http.request.method": "the method",
    "http.route": "the route as it is written in the service, without the values in it",
    "http.response.status_code": "the status answered",
    "server.address": "the host asked",
    "error.type": "the kind of failure",
    "cwconnect.request_id": "the id that the answer and its log lines carry",
    "cwconnect.instance_id": "the instance",
    "cwconnect.resource": "the resource polled",
    "cwconnect.run_kind": "what a run reads: poll, backfill, sweep, repair, announced",
    "cwconnect.callback_type": "what ConnectWise announced a change of",
    "cwconnect.outcome": "what came of it",
    "cwconnect.records": "how many records were read",
    "cwconnect.events": "how many events were recorded",
    "cwconnect.event_id": "the first event",
    "cwconnect.notification_id": "the notification",
    "cwconnect.webhook_id": "the notification, as the receiver knows it",
    "cwconnect.subscription_id": "the subscription that it is sent for",
    "cwconnect.attempt_id": "the attempt",
    "cwconnect.replay": "whether it was sent again on request",
}
_MOST_FRAMES = 20
_LONGEST = 200  # characters of a value


def is_on() -> bool:
    """Return whether traces are collected."""
    return bool(settings.OTLP_ENDPOINT)


class Span:
    """One span that was begun. `end` sends it; ended twice, it is sent once."""

    def __init__(self, span: OtelSpan) -> None:
        self._span, self.failed = span, False
        context = span.get_span_context()
        self.trace_id = f"{context.trace_id:032x}"
        self.traceparent = f"00-{self.trace_id}-{context.span_id:016x}-{int(context.trace_flags):02x}"

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Say more of it; KeyError for a name that is not in `ATTRIBUTES`."""
        self._span.set_attributes(checked(attributes))

    def rename(self, name: str) -> None:
        """Call it otherwise, once more is known."""
        self._span.update_name(name)

    def fail(self, error: BaseException | str) -> None:
        """Say that it failed: of an exception its type and where it was raised, never its message or a value."""
        kind = error if isinstance(error, str) else type(error).__name__
        self.failed = True
        self.set({"error.type": kind})
        from opentelemetry.trace import StatusCode

        self._span.set_status(StatusCode.ERROR)
        if isinstance(error, BaseException):
            self._span.add_event("exception", {"exception.type": kind, "exception.stacktrace": _places(error)})

    def end(self) -> None:
        """End it now."""
        self._span.end()


def begin(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    parent: str | None = None,
    links: Sequence[str] = (),
    kind: Kind = "internal",
) -> Span | None:
    """Begin a span, to be ended by the caller; None while traces are off.

    `parent` and `links` are `traceparent`s of other spans; without a parent it is the first of a new trace.
    """
    if not settings.OTLP_ENDPOINT:
        return None
    from cwconnect.tracing.provider import start_span

    return Span(start_span(name, checked(attributes or {}), parent=parent, links=links, kind=kind))


@contextmanager
def span(
    name: str, attributes: Mapping[str, Value] | None = None, *, parent: str | None = None, kind: Kind = "internal"
) -> Iterator[Span | None]:
    """Have a span stand for the block, which fails with it; None while traces are off."""
    begun = begin(name, attributes, parent=parent, kind=kind)
    if begun is None:
        yield None
        return
    with about(trace_id=begun.trace_id):
        try:
            yield begun
        except BaseException as error:
            begun.fail(error)
            raise
        finally:
            begun.end()


def checked(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Return attributes as they are sent; KeyError for a name that is not in `ATTRIBUTES`."""
    if unknown := attributes.keys() - ATTRIBUTES.keys():
        raise KeyError(f"No span says {', '.join(sorted(unknown))}.")
    return {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in attributes.items()}


def _places(error: BaseException) -> str:
    """Return where an exception passed, without lines of code: file, line and function, the last ones."""
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    return "\n".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
