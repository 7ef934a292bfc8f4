"""Traces: one from a poll, or the callback that woke it, to the receivers' answers, sent to an OpenTelemetry collector.

Off unless an endpoint is set (docs/operations.md#traces): then nothing of OpenTelemetry is imported, and a caller costs
a look at a setting. The trace goes on across transactions and processes by the `traceparent` that rows carry: a
callback's, a run's and a notification's (W3C Trace Context).

Nothing secret can get into a span: its attributes are those of a list (`ATTRIBUTES`), none of which is a URL, a body,
a query's value or an exception's message.
"""

from cwconnect.tracing.spans import ATTRIBUTES, Span, begin, is_on, span

__all__ = ("ATTRIBUTES", "Span", "begin", "is_on", "span")
