"""The history of events as the product shows it: rows, statuses, and counts by time.

Source: docs/wire-contract.md#5-the-notification.

The product's five statuses are read from the notification that carries the event (our reading, nothing is published):
NEW is kept back for now (delivery rests, or an earlier event of its record goes first), RECEIVED waits for its first
try, DISPATCHED was tried and is tried again, CONSUMED will not be sent any more, NOTIFIED was delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDay, TruncHour, TruncMinute

from cwconnect.core.errors import DomainError
from cwconnect.core.time import parse_time, utc_text
from polling.delivery.notifications import event_object
from polling.models import Event, Notification

State = Notification.State
MOST_BUCKETS = 1500
_KEPT = Q(notification__state=State.PENDING, notification__next_attempt_at=None, notification__first_attempt_at=None)
_FIRST = Q(
    notification__state=State.PENDING,
    notification__next_attempt_at__isnull=False,
    notification__first_attempt_at=None,
)
_TRIED = Q(notification__state=State.PENDING, notification__first_attempt_at__isnull=False)
STATUSES: Mapping[str, Q] = {
    "NEW": _KEPT,
    "RECEIVED": _FIRST,
    "DISPATCHED": _TRIED | Q(notification__state=State.EXHAUSTED),
    "CONSUMED": Q(notification__state__in=[State.FAILED, State.DISCARDED]) | Q(notification=None),
    "NOTIFIED": Q(notification__state=State.DELIVERED),
}


@dataclass(frozen=True)
class Interval:
    """The width of a bucket, and how a time is cut down to the start of its own."""

    width: timedelta
    truncate: type[TruncMinute] | type[TruncHour] | type[TruncDay]
    zeroed: Mapping[str, int]

    def start(self, moment: datetime) -> datetime:
        """Return the start of the bucket that holds `moment` (aware)."""
        return moment.astimezone(UTC).replace(**self.zeroed)  # type: ignore[arg-type]  # names of replace()'s own


INTERVALS: Mapping[str, Interval] = {
    "minute": Interval(timedelta(minutes=1), TruncMinute, {"second": 0, "microsecond": 0}),
    "hour": Interval(timedelta(hours=1), TruncHour, {"minute": 0, "second": 0, "microsecond": 0}),
    "day": Interval(timedelta(days=1), TruncDay, {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}),
}


def status_of(event: Event) -> str:
    """Return the product's word for how far an event has come; its notification must be at hand."""
    carried = event.notification
    if carried is None or carried.state in (State.FAILED, State.DISCARDED):
        return "CONSUMED"
    if carried.state == State.DELIVERED:
        return "NOTIFIED"
    if carried.state == State.EXHAUSTED or carried.first_attempt_at is not None:
        return "DISPATCHED"
    return "NEW" if carried.next_attempt_at is None else "RECEIVED"


def history_row(event: Event) -> dict[str, Any]:
    """Return an event as a row of the history."""
    return {
        "id": str(event.pk),
        "eventDate": utc_text(event.polled_at),
        "status": status_of(event),
        "providerData": event.record,
        "notifiedData": [orjson.loads(orjson.dumps(event_object(event)))],
    }


def filtered(events: QuerySet[Event], query: Mapping[str, str]) -> QuerySet[Event]:
    """Narrow events by `from`, `to`, `status`, `objectType`, `objectId` and `eventType`; DomainError."""
    start, end = _bounds(query)
    if start:
        events = events.filter(polled_at__gte=start)
    if end:
        events = events.filter(polled_at__lt=end)
    if status := query.get("status"):
        if status not in STATUSES:
            raise DomainError(f"status must be one of {', '.join(STATUSES)}.")
        events = events.filter(STATUSES[status])
    if kind := query.get("eventType"):
        if kind not in Event.Kind.values:
            raise DomainError(f"eventType must be one of {', '.join(Event.Kind.values)}.")
        events = events.filter(kind=kind)
    for name, column in (("objectType", "object_type"), ("objectId", "object_id")):
        if text := query.get(name):
            events = events.filter(**{column: text.replace("\x00", "")})
    return events


def _bounds(query: Mapping[str, str]) -> tuple[datetime | None, datetime | None]:
    start = parse_time(query["from"], "from") if query.get("from") else None
    end = parse_time(query["to"], "to") if query.get("to") else None
    if start and end and start > end:
        raise DomainError("from is after to.")
    return start, end


def analytics(events: QuerySet[Event], query: Mapping[str, str], now: datetime) -> list[dict[str, Any]]:
    """Count events by minute, hour or day of UTC, zeros included; the last 24 hours by hour by default.

    `from` counts from the start of its bucket on, `to` is exclusive. DomainError.
    """
    name = query.get("interval") or "hour"
    if name not in INTERVALS:
        raise DomainError(f"interval must be one of {', '.join(INTERVALS)}.")
    interval = INTERVALS[name]
    start, end = _bounds(query)
    end = end or max(now, start or now)
    try:
        first = interval.start(start or end - timedelta(days=1))
    except OverflowError:
        raise DomainError("to is too early.") from None
    if end - first > MOST_BUCKETS * interval.width:
        raise DomainError(f"These are more than {MOST_BUCKETS:,} buckets; ask for less time or a wider interval.")
    found = events.filter(polled_at__gte=first, polled_at__lt=end)
    counted = dict(
        found.annotate(bucket=interval.truncate("polled_at", tzinfo=UTC))
        .values_list("bucket")
        .annotate(count=Count("pk"))
        .order_by()
    )
    buckets = -((first - end) // interval.width)
    moments = (first + number * interval.width for number in range(buckets))
    return [{"count": counted.get(moment, 0), "timestamp": utc_text(moment)} for moment in moments]
