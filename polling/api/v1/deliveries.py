"""`/v1/deliveries`: notifications and what came of each try to deliver them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core import paging
from cwconnect.core.errors import DomainError
from cwconnect.core.openapi import Operation, described
from instances.api.permission import READS
from polling.api.v1.base import (
    DELIVERIES,
    Cursor,
    Limit,
    Number,
    Shape,
    Strict,
    Text,
    V1View,
    answer,
    read_query,
)
from polling.delivery.carried import carried_by
from polling.delivery.delivery_request import JSON
from polling.delivery.replay.selection import sent_to
from polling.models import DeliveryAttempt, Notification, Subscription

State = Literal["pending", "delivered", "exhausted", "failed", "discarded"]


class DeliveryShape(Shape):
    """One notification: at most ten events for one subscription. `error` is what went wrong last, in words."""

    id: int
    instance_id: int
    subscription_id: int
    webhook_id: str
    resource: str
    state: State
    event_count: int
    steps: int
    created_at: datetime
    first_attempt_at: datetime | None
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    error: str | None


class AttemptShape(Shape):
    """One POST. Without an end it was cut off; headers that may hold secrets are masked."""

    id: int
    url: str
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    status: int | None
    error_kind: str | None
    error: str | None
    request_headers: dict[str, str]
    response: str


class DeliveryDetail(DeliveryShape):
    """A notification with its body, its events' ids, and its latest hundred attempts, newest first.

    What `body` holds, a list where it is a batch of CloudEvents, says the subscription's form, and `content_type` what
    it is sent as.
    """

    events: list[int]
    content_type: str
    body: dict[str, Any] | list[Any]
    attempts: list[AttemptShape]


class DeliveryPage(Shape):
    """Notifications, newest first; `next_cursor` asks for the next page and is null on the last."""

    items: list[DeliveryShape]
    next_cursor: str | None


class DeliveryQuery(Strict):
    """What `/v1/deliveries` may be asked."""

    state: State | None = None
    instance: Number | None = None
    subscription: Number | None = None
    resource: Text | None = None
    cursor: Cursor | None = None
    limit: Limit = 100


class DeliveriesView(V1View):
    """`/v1/deliveries`."""

    scopes = READS

    @described(
        Operation(
            DELIVERIES,
            "List notifications, newest first",
            DeliveryPage,
            query=DeliveryQuery,
            errors=(404,),
        )
    )
    def get(self, request: Request) -> Response:
        """List notifications, newest first."""
        query = read_query(DeliveryQuery, request.query_params)
        found = Notification.objects.filter(**self.ours(), **self.asked_instance(query.instance)).of_living()
        wanted = {"state": query.state, "object_type": query.resource, "pk__lt": read_cursor(query.cursor)}
        found = found.filter(**{column: value for column, value in wanted.items() if value is not None})
        if query.subscription is not None:
            if not Subscription.objects.filter(**self.ours(), pk=query.subscription).exists():
                raise Http404
            found = sent_to(found, query.subscription)
        rows = list(found.defer("body").order_by("-pk")[: query.limit + 1])
        page, more = paging.cut(rows, query.limit)
        return answer(DeliveryPage(items=[DeliveryShape(**_columns(row)) for row in page], next_cursor=more))


class DeliveryView(V1View):
    """`/v1/deliveries/{delivery}`."""

    scopes = READS

    @described(Operation(DELIVERIES, "Show a notification with its attempts", DeliveryDetail, errors=(400,)))
    def get(self, request: Request, delivery: str) -> Response:
        """Show one notification with its attempts."""
        self.no_query()
        return answer(delivery_detail(self.delivery(delivery)))

    def delivery(self, number: str) -> Notification:
        """Return a notification of the caller's; 404."""
        ours = Notification.objects.filter(**self.ours(), pk=number).of_living()
        found = ours.select_related("shared_body").first()
        if found is None:
            raise Http404
        return found


def read_cursor(cursor: str | None) -> int | None:
    """Return the id that a cursor stands for; DomainError."""
    try:
        return paging.read_token({"nextPage": cursor or ""})
    except DomainError:
        raise DomainError("cursor must be the next_cursor of an earlier answer.") from None


def delivery_detail(row: Notification) -> DeliveryDetail:
    """Return a notification with all that is known of it."""
    attempts = DeliveryAttempt.objects.filter(notification=row).order_by("-pk")[:100]
    return DeliveryDetail(
        **_columns(row),
        events=[key for _, _, key in carried_by([row.pk], "pk")],
        content_type=row.content_type or JSON,
        body=json.loads(row.sent),
        attempts=[_attempt(attempt) for attempt in attempts],
    )


def _columns(row: Notification) -> dict[str, Any]:
    return {
        "id": row.pk,
        "instance_id": row.instance_id,
        "subscription_id": row.to,
        "webhook_id": row.webhook_id,
        "resource": row.object_type,
        "state": row.state,
        "event_count": row.event_count,
        "steps": row.step,
        "created_at": row.created_at,
        "first_attempt_at": row.first_attempt_at,
        "next_attempt_at": row.next_attempt_at,
        "delivered_at": row.delivered_at,
        "error": row.last_error or None,
    }


def _attempt(row: DeliveryAttempt) -> AttemptShape:
    return AttemptShape(
        id=row.pk,
        url=row.url,
        started_at=row.started_at,
        finished_at=row.finished_at,
        seconds=row.seconds,
        status=row.status,
        error_kind=row.error_kind or None,
        error=row.error or None,
        request_headers=row.request_headers,
        response=row.response,
    )
