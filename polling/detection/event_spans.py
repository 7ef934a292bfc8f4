"""The spans of what is recorded: of a run's events, and of each notification made of them, while traces are on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction

from cwconnect.tracing import Span, begin
from instances.models import ResourcePoll
from polling.models import NewEvent, Notification, PollRun

Recorded = tuple[ResourcePoll, PollRun, Sequence[NewEvent], Notification | None]
"""Events of a run, and the notification that carries them, where one does."""


def begin_event_spans(made: Iterable[Recorded]) -> None:
    """Begin the spans of unsaved notifications, each beneath that of its run's events, and have them carry it.

    They are sent once all of it is committed, and never otherwise. Inside the transaction.
    """
    spans: dict[int, Span] = {}
    counts: dict[int, int] = {}
    for poll, run, events, notification in made:
        of_events = _of(poll, events)
        if run.pk not in spans and (begun := begin("record events", of_events, parent=run.traceparent)):
            spans[run.pk] = begun
        counts[run.pk] = counts.get(run.pk, 0) + len(events)
        if notification is None:
            continue
        above = spans[run.pk].traceparent if run.pk in spans else None
        said = of_events | {
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


def _of(poll: ResourcePoll, events: Sequence[NewEvent]) -> dict[str, str | int]:
    return {
        "cwconnect.instance_id": poll.instance_id,
        "cwconnect.resource": poll.name,
        "cwconnect.event_id": events[0].id,
    }
