"""The spans of notifications that are made of the log, while traces are on: beneath the polls that found the changes.

As of those that are made with their events (detection/event_spans.py), a span is sent once its row is committed, and
never otherwise. A notification may carry what several polls found: it is in the last one's trace, with links to the
others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from django.db import transaction

from cwconnect.core.bulk_sql import any_of
from cwconnect.tracing import begin, is_on
from polling.models import Event, NewEvent

_MOST_LINKS = 20


def runs_of(event_ids: Collection[int]) -> Mapping[int, str]:
    """Return by event the `traceparent` of the run that recorded it, where it has one; while traces are off, none."""
    if not is_on() or not event_ids:
        return {}
    traced = Event.objects.filter(pk__in=any_of(event_ids), run__traceparent__isnull=False)
    return {event_id: traceparent or "" for event_id, traceparent in traced.values_list("pk", "run__traceparent")}


def begin_span(said: Mapping[str, str | int], events: Sequence[NewEvent], runs: Mapping[int, str]) -> str | None:
    """Begin the span of a notification that carries these events; return its `traceparent`, None while traces are off.

    Inside the transaction that writes it.
    """
    if not is_on():
        return None
    above = list(dict.fromkeys(runs[event.id] for event in reversed(events) if event.id in runs))
    own = begin(
        "notification",
        {**said, "cwconnect.event_id": events[0].id, "cwconnect.events": len(events)},
        parent=above[0] if above else None,
        links=above[1:][:_MOST_LINKS],
        kind="producer",
    )
    if own is None:
        return None
    transaction.on_commit(own.end)
    return own.traceparent
