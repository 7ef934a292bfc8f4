"""The spans of what is recorded: of a run's events, and of each notification made of them, while traces are on."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from cwconnect.tracing import Span, begin
from polling.models import Notification, PollRun


def begin_event_spans(made: Iterable[tuple[PollRun, Notification]]) -> None:
    """Begin the spans of unsaved notifications, each beneath that of its run's events, and have them carry it.

    They are sent once all of it is committed, and never otherwise. Inside the transaction.
    """
    spans: dict[int, Span] = {}
    counts: dict[int, int] = {}
    for run, notification in made:
        if run.pk not in spans and (begun := begin("record events", _of(notification), parent=run.traceparent)):
            spans[run.pk] = begun
        counts[run.pk] = counts.get(run.pk, 0) + notification.event_count
        above = spans[run.pk].traceparent if run.pk in spans else None
        said = _of(notification) | {
            "cwconnect.notification_id": notification.pk,
            "cwconnect.webhook_id": notification.webhook_id,
            "cwconnect.events": notification.event_count,
        }
        if own := begin("notification", said, parent=above, kind="producer"):
            notification.traceparent = own.traceparent
            transaction.on_commit(own.end)
    for key, begun in spans.items():
        begun.set({"cwconnect.events": counts[key]})
        transaction.on_commit(begun.end)


def _of(notification: Notification) -> dict[str, str | int]:
    return {
        "cwconnect.instance_id": notification.instance_id,
        "cwconnect.resource": notification.object_type,
        "cwconnect.event_id": notification.pk,
    }
