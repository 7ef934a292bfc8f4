"""The spans of what the workers' loop does: from the claim of a poll to the events recorded, while traces are on.

A run carries the `traceparent` of the span that began it, so that who carries it on, and what is made of its pages, is
in the same trace. A poll that a callback woke goes on in the callback's; of several, in the last one's, with links to
the others. What is sent to ConnectWise carries nothing: it would tell a stranger's service about ours, for nothing,
since nobody sees its spans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from cwconnect.connectwise.callbacks.types import type_of_path
from cwconnect.tracing import Span, begin, span
from polling.detection.jobs import Claimed, Work
from polling.models import CallbackHint, PollRun

_MOST_LINKS = 20
_ANNOUNCED_WITHIN = timedelta(minutes=15)  # before a poll that a callback woke: longer than its key is waited for

_NAMES = {
    "VerificationJob": "verification",
    "BulkWork": "bulk job",
    "CopyJob": "copy",
    "KeyJob": "signing key",
    "RegistrationJob": "registrations",
}

Wakers = dict[tuple[int, str], list[tuple[datetime, str]]]


def begin_spans(jobs: Sequence[Work]) -> None:
    """Begin the span of each job, beneath what had it made."""
    runs = [job for job in jobs if isinstance(job, Claimed) and job.run.traceparent is None]
    # A callback's wake and the due time are written together.
    woken = [job for job in runs if job.state.woken_at and job.state.woken_at == job.state.next_poll_at]
    wakers = _wakers([*woken, *(job for job in runs if job.run.kind == PollRun.Kind.ANNOUNCED)])
    for job in jobs:
        _begin(job, wakers)


def traced(job: Work, of_job: Span) -> Callable[[], Any]:
    """Return the job's next request within a span of its own."""
    request = job.request()
    said = {"server.address": job.host, "http.request.method": "GET"}

    def ask() -> Any:
        with span("ask ConnectWise", said, parent=of_job.traceparent, kind="client"):
            return request()

    return ask


def end_spans(jobs: Iterable[Work]) -> None:
    """End the spans of these jobs, with what their runs came to."""
    for job in jobs:
        if job.span is None:
            continue
        if isinstance(job, Claimed):
            job.span.set({"cwconnect.records": job.run.records, "cwconnect.events": job.run.events})
        job.span.end()


def fail_span(job: Work, error: Exception) -> None:
    """Have the job's span say that it failed."""
    if job.span is not None:
        job.span.fail(error)


def _begin(job: Work, wakers: Wakers) -> None:
    if not isinstance(job, Claimed):
        job.span = begin(_name(job), {"server.address": job.host})
        return
    above = [job.run.traceparent] if job.run.traceparent else _woken_by(job, wakers)
    said: dict[str, str | int | bool] = {
        "cwconnect.instance_id": job.instance.pk,
        "cwconnect.resource": job.poll.name,
        "cwconnect.run_kind": str(job.run.kind),
    }
    job.span = begin(_name(job), said, parent=above[0] if above else None, links=above[1:])
    if job.span is not None and job.run.traceparent is None:
        job.run.traceparent = job.span.traceparent
        if job.run.pk is not None:  # begun while traces were off
            PollRun.objects.filter(pk=job.run.pk).update(traceparent=job.run.traceparent)


def _name(job: Work) -> str:
    return str(job.run.kind) if isinstance(job, Claimed) else _NAMES.get(type(job).__name__, "job")


def _type(job: Claimed) -> str:
    return type_of_path(job.plan.hub.path) or ""


def _wakers(jobs: Sequence[Claimed]) -> Wakers:
    """Return the traces of verified callbacks, the last first, by instance and type, and when they arrived."""
    if not jobs:
        return {}
    hints = CallbackHint.objects.filter(
        status=CallbackHint.Status.VERIFIED,
        instance_id__in={job.instance.pk for job in jobs},
        type__in={_type(job) for job in jobs},
        received_at__gte=min(job.started_at for job in jobs) - _ANNOUNCED_WITHIN,
        traceparent__isnull=False,
    )
    found: Wakers = {}
    rows = hints.order_by("-received_at").values_list("instance_id", "type", "received_at", "traceparent")
    for instance_id, type_, at, traceparent in rows[: _MOST_LINKS * len(jobs)]:
        found.setdefault((instance_id, type_), []).append((at, traceparent or ""))
    return found


def _woken_by(job: Claimed, wakers: Wakers) -> list[str]:
    """Return the traces of the callbacks since the last good poll; else of the last one, which arrived during that."""
    found = wakers.get((job.instance.pk, _type(job)), [])
    since = [traceparent for at, traceparent in found if job.state.last_good_at is None or at > job.state.last_good_at]
    return since[:_MOST_LINKS] or [traceparent for _, traceparent in found[:1]]
