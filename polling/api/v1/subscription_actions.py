"""`/v1/instances/{id}/subscriptions/{subscription}/…`: tried, rotated, paused, released, replayed, looked at."""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter

from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core import paging
from cwconnect.core.openapi import Operation, described
from instances.api.permission import MANAGES, READS
from polling.api.v1.base import SUBSCRIPTIONS, Cursor, Limit, Number, Shape, Strict, answer, read_body, read_query
from polling.api.v1.deliveries import read_cursor
from polling.api.v1.events import FilterText, Kind, read_filter
from polling.api.v1.filters import FilterReport, filter_report
from polling.api.v1.idempotency import ONCE, POSTED, idempotent
from polling.api.v1.replays import ReplayRequest, ReplayShape, asked_replay
from polling.api.v1.sending import RotatedShape, Rotation, TestRequest, TrialShape, former_until, sample_shape
from polling.api.v1.subscription_shapes import SubscriptionShape
from polling.api.v1.subscriptions import OneSubscriptionView, shown
from polling.delivery.pausing import pause_by_hand, release
from polling.delivery.test_notification import send_test
from polling.filters.reading import Filter
from polling.models import SubscriptionEvent
from polling.subscriptions.changes import rotate_key
from polling.subscriptions.status import held_of


class ReleasedShape(Shape):
    """How many notifications are to be sent."""

    released: int


class HeldEvent(Shape):
    """An event that was held back, and the condition that it did not meet."""

    id: int
    resource: str
    object_id: str
    title: str
    kind: Kind
    polled_at: datetime
    held_by: str


class HeldEvents(Shape):
    """What was held back, newest first; `next_cursor` asks for the next page and is null on the last."""

    items: list[HeldEvent]
    next_cursor: str | None


class HeldEventsQuery(Strict):
    """What may be asked of what was held back."""

    cursor: Cursor | None = None
    limit: Limit = 100


class TryQuery(Strict):
    """What the subscription's filter, or another one, may be tried on: the newest events, or those before an id."""

    filter: FilterText | None = Field(None, description="In place of the subscription's own.")
    before: Number | None = None
    limit: Limit = 1000


class SampleView(OneSubscriptionView):
    """`…/test`."""

    scopes = MANAGES

    @described(
        Operation(
            SUBSCRIPTIONS,
            "Send a sample event to a subscription, in its form, and show what came of it",
            TrialShape,
            body=TestRequest,
            headers=ONCE,
            errors=POSTED,
            body_examples={"contacts": {"resource": "contacts"}},
        )
    )
    @idempotent
    def post(self, request: Request, number: str, subscription: str) -> Response:
        """Send a sample event, and show request, response and time taken."""
        found, body = self.subscription(number, subscription), read_body(TestRequest, request.data)
        return answer(sample_shape(send_test(found, body.resource, timezone.now())))


class RotateView(OneSubscriptionView):
    """`…/rotate`."""

    scopes = MANAGES

    @described(
        Operation(
            SUBSCRIPTIONS,
            "Sign with a new key, and with the present one beside it for a day",
            RotatedShape,
            body=Rotation,
            body_required=False,
            headers=ONCE,
            errors=POSTED,
            description="Of the first subscription that is the instance's own key.",
            body_examples={"made here": {}},
        )
    )
    @idempotent
    def post(self, request: Request, number: str, subscription: str) -> Response:
        """Sign with a new key, and for a while with the present one beside it."""
        found, body, now = self.subscription(number, subscription), read_body(Rotation, request.data), timezone.now()
        key, ends = rotate_key(found, now, key=body.key, until=former_until(body, now))
        return answer(RotatedShape(key=key, previous_key_until=ends))


class PauseView(OneSubscriptionView):
    """`…/pause`."""

    scopes = MANAGES

    @described(
        Operation(
            SUBSCRIPTIONS,
            "Pause delivery to a subscription; what comes meanwhile is kept until it is released",
            SubscriptionShape,
            headers=ONCE,
            errors=POSTED,
        )
    )
    @idempotent
    def post(self, request: Request, number: str, subscription: str) -> Response:
        """Pause delivery to a subscription."""
        found = self.subscription(number, subscription)
        pause_by_hand(found, timezone.now())
        return shown(found)


class ReleaseView(OneSubscriptionView):
    """`…/release`."""

    scopes = MANAGES

    @described(
        Operation(
            SUBSCRIPTIONS,
            "Go on delivering to a subscription, what was given up first",
            ReleasedShape,
            headers=ONCE,
            errors=POSTED,
        )
    )
    @idempotent
    def post(self, request: Request, number: str, subscription: str) -> Response:
        """Go on delivering to a subscription."""
        return answer(ReleasedShape(released=release(self.subscription(number, subscription), timezone.now())))


class ReplaysView(OneSubscriptionView):
    """`…/replay`."""

    scopes = MANAGES

    @described(
        Operation(
            SUBSCRIPTIONS,
            "Send a selection of a subscription's notifications again",
            ReplayShape,
            202,
            body=ReplayRequest,
            body_required=False,
            headers=ONCE,
            errors=POSTED,
            also={200: "Counted only."},
            description="As POST /v1/instances/{instance}/replays, where its progress is shown, of one subscription.",
            body_examples={"count": {"failed": True, "count_only": True}, "since": {"since": "2026-01-31T12:00:00Z"}},
        )
    )
    @idempotent
    def post(self, request: Request, number: str, subscription: str) -> Response:
        """Have a selection sent again, 202; or count it, 200."""
        found, body = self.subscription(number, subscription), read_body(ReplayRequest, request.data)
        return asked_replay(found.instance, body, subscription=found.pk)


class TryFilterView(OneSubscriptionView):
    """`…/try-filter`."""

    scopes = READS

    @described(
        Operation(
            SUBSCRIPTIONS,
            "Try a subscription's filter on the newest events, or another one before it takes its place",
            FilterReport,
            query=TryQuery,
            description="As GET /v1/instances/{instance}/try-filter. It changes nothing.",
        )
    )
    def get(self, request: Request, number: str, subscription: str) -> Response:
        """Judge the newest events by the subscription's filter, or by the one that is given."""
        found, query = self.subscription(number, subscription), read_query(TryQuery, request.query_params)
        # The stored one too: an earlier version may have taken what this one can't read.
        wanted = read_filter(query.filter or found.filter or None) or Filter()
        return answer(filter_report(found.instance, wanted, query.before, query.limit))


class HeldView(OneSubscriptionView):
    """`…/held`."""

    scopes = READS

    @described(
        Operation(
            SUBSCRIPTIONS, "List the events that a subscription's filter held back", HeldEvents, query=HeldEventsQuery
        )
    )
    def get(self, request: Request, number: str, subscription: str) -> Response:
        """List what was held back, newest first."""
        found, query = self.subscription(number, subscription), read_query(HeldEventsQuery, request.query_params)
        rows, before = held_of(found), read_cursor(query.cursor)
        rows = rows if before is None else rows.filter(event_id__lt=before)
        page, more = paging.cut(list(rows[: query.limit + 1]), query.limit, key=attrgetter("event_id"))
        return answer(HeldEvents(items=[_held(row) for row in page], next_cursor=more))


def _held(row: SubscriptionEvent) -> HeldEvent:
    event = row.event
    return HeldEvent(
        id=event.pk,
        resource=event.object_type,
        object_id=event.object_id,
        title=event.title,
        kind=event.kind,
        polled_at=event.polled_at,
        held_by=row.held_by,
    )
