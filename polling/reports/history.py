"""The history of events as the product shows it: rows, statuses, and counts by time.

Source: docs/wire-contract.md#5-the-notification.

The product's five statuses are read from the notification by which the first subscription is notified of it (our
reading, nothing is published): NEW is kept back for now (delivery rests, or an earlier event of its record goes first;
or the log is still to be read up to it), RECEIVED waits for its first try, DISPATCHED was tried and is tried again,
CONSUMED will not be sent any more, NOTIFIED was delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import TruncDay, TruncHour, TruncMinute

from cwconnect.core.errors import DomainError
from cwconnect.core.hanging_rows import there_is
from cwconnect.core.time import parse_time, utc_text
from polling.delivery.notifications import event_object
from polling.log.readers import READING
from polling.models import Event, Notification, Subscription, SubscriptionEvent

State = Notification.State
MOST_BUCKETS = 1500
# What became of an event for the first subscription, if that reads the log.
_JUDGED = SubscriptionEvent.objects.filter(subscription=OuterRef("instance"), event=OuterRef("pk"))
_STILL_TO_BE_JUDGED = ~Exists(_JUDGED) & Exists(
    Subscription.objects.filter(READING, pk=OuterRef("instance"), reached_id__lt=OuterRef("pk"))
)


def _of_first(**asked: Any) -> Q:
    """Return the condition of events that the first subscription has a notification of which this holds."""
    judged = _JUDGED.filter(**{f"notification__{name}": value for name, value in asked.items()})
    return there_is(Notification.objects.filter(pk=OuterRef("notification"), **asked)) | there_is(judged)


_NOTIFIED = _of_first(state=State.DELIVERED)
_TRIED = _of_first(state=State.PENDING, first_attempt_at__isnull=False) | _of_first(state=State.EXHAUSTED)
_FIRST = _of_first(state=State.PENDING, next_attempt_at__isnull=False, first_attempt_at=None)
_KEPT = _of_first(state=State.PENDING, next_attempt_at=None, first_attempt_at=None) | Q(
    _STILL_TO_BE_JUDGED, notification=None
)
STATUSES: Mapping[str, Q] = {
    "NEW": _KEPT,
    "RECEIVED": _FIRST,
    "DISPATCHED": _TRIED,
    "CONSUMED": ~(_KEPT | _FIRST | _TRIED | _NOTIFIED),
    "NOTIFIED": _NOTIFIED,
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


def with_status(events: QuerySet[Event]) -> QuerySet[Any]:
    """Have each of these events say the product's word for how far it has come: `status`."""
    known = [When(STATUSES[word], then=Value(word)) for word in ("NOTIFIED", "DISPATCHED", "RECEIVED", "NEW")]
    return events.annotate(status=Case(*known, default=Value("CONSUMED")))


def history_row(event: Any) -> dict[str, Any]:
    """Return an event of `with_status` as a row of the history."""
    return {
        "id": str(event.pk),
        "eventDate": utc_text(event.polled_at),
        "status": event.status,
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
