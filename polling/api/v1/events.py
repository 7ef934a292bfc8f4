"""`/v1/events`: pull beside push. Ascending by id, so that a receiver that was away catches up by itself.

What is listed is complete up to its last id (see event_ids.py), so whoever asks for what is after the last id it holds
misses nothing.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.openapi import Operation, described
from instances.api.permission import READS
from polling.api.v1.base import (
    PULL,
    Limit,
    Number,
    Shape,
    Strict,
    Text,
    V1View,
    answer,
    read_query,
)
from polling.detection.event_ids import complete_upto
from polling.models import Event

Kind = Literal["CREATED", "UPDATED", "DELETED"]


class EventShape(Shape):
    """One change of one record. `changes` is null where fields are not tracked."""

    id: int
    instance_id: int
    resource: str
    object_id: str
    record_id: int
    kind: Kind
    occurred_at: datetime
    polled_at: datetime
    record: dict[str, Any]
    changes: list[Any] | None
    delivery_id: int | None


class EventPage(Shape):
    """Events in ascending order; `next_after` is what to ask with next, also where there is nothing new yet."""

    items: list[EventShape]
    next_after: int
    more: bool


class EventQuery(Strict):
    """What `/v1/events` may be asked."""

    after: Number = 0
    instance: Number | None = None
    kind: Kind | None = None
    resource: Text | None = None
    object_id: Text | None = None
    limit: Limit = 100


class EventsView(V1View):
    """`/v1/events`."""

    scopes = READS

    @described(
        Operation(
            PULL,
            "List what came after an event, in ascending order",
            EventPage,
            query=EventQuery,
            errors=(404,),
            description="Ask again with next_after: the list is complete up to its last id, so nothing is missed.",
        )
    )
    def get(self, request: Request) -> Response:
        """List what came after an id."""
        query = read_query(EventQuery, request.query_params)
        upto = complete_upto()  # before any event is read
        found = Event.objects.filter(**self.ours(), **self.asked_instance(query.instance), pk__gt=query.after)
        if upto is not None:
            found = found.filter(pk__lte=upto)
        wanted = {"kind": query.kind, "object_type": query.resource, "object_id": query.object_id}
        found = found.filter(**{column: value for column, value in wanted.items() if value is not None})
        rows = list(found.order_by("pk")[: query.limit + 1])
        items = [event_shape(event) for event in rows[: query.limit]]
        return answer(
            EventPage(items=items, next_after=items[-1].id if items else query.after, more=len(rows) > query.limit)
        )


class EventView(V1View):
    """`/v1/events/{event}`."""

    scopes = READS

    @described(Operation(PULL, "Show one event", EventShape, errors=(400,)))
    def get(self, request: Request, event: str) -> Response:
        """Show one event."""
        self.no_query()
        found = Event.objects.filter(**self.ours(), pk=event).first()
        if found is None:
            raise Http404
        return answer(event_shape(found))


def event_shape(event: Event) -> EventShape:
    """Return an event as `/v1` shows it."""
    return EventShape(
        id=event.pk,
        instance_id=event.instance_id,
        resource=event.object_type,
        object_id=event.object_id,
        record_id=event.record_id,
        kind=event.kind,
        occurred_at=event.occurred_at,
        polled_at=event.polled_at,
        record=json.loads(event.record),
        changes=None if event.changes is None else json.loads(event.changes),
        delivery_id=event.notification_id,
    )
