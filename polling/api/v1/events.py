"""`/v1/events`: pull beside push. Ascending by id, so that a receiver that was away catches up by itself.

What is listed is complete up to its last id (see log/event_ids.py), so whoever asks for what is after the last id held
misses nothing. A filter chooses, and who waits for more than there is is answered when it comes (see waiting.py).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from pydantic import BeforeValidator, Field
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.errors import DomainError
from cwconnect.core.openapi import Operation, Parameter, described
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
    digits,
    read_query,
)
from polling.api.v1.waiting import LONGEST_WAIT, EventStreamRenderer, Run
from polling.filters.reading import LONGEST, Filter, FilterError, parse_filter
from polling.log.event_ids import complete_upto
from polling.models import Event
from polling.reports.event_deliveries import EventDelivery, deliveries_of
from polling.reports.event_scan import Found, Scan, scan
from polling.reports.event_states import with_first

Kind = Literal["CREATED", "UPDATED", "DELETED"]
DeliveryWord = Literal[
    "delivered", "waiting", "given up", "discarded", "held back", "not judged yet", "not sent", "lost", "no longer kept"
]
FilterText = Annotated[str, Field(min_length=1, max_length=LONGEST)]


class EventShape(Shape):
    """One change of one record. `changes` is null where fields are not tracked.

    `delivery_id` is the notification that carries it to the first subscription, null where none does. `not_judged` says
    what of the filter could not be judged, and let the event pass; null where there is no such thing.
    """

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
    not_judged: str | None = None


class EventDeliveryShape(Shape):
    """What became of an event for one subscription.

    `held_by` is the condition of its filter that the event did not meet; `not_judged` what of the filter could not be
    judged, and let the event pass; `reason` says why it was not sent, where no filter did.
    """

    subscription_id: int
    subscription: str
    state: DeliveryWord
    delivery_id: int | None
    delivered_at: datetime | None
    held_by: str | None
    not_judged: str | None
    reason: str | None


class EventDetail(EventShape):
    """An event with what became of it for each of its instance's subscriptions, the first one first."""

    deliveries: list[EventDeliveryShape]


class EventPage(Shape):
    """Events in ascending order; `next_after` is what to ask with next, also where there is nothing new yet.

    With a filter `items` may be empty while there is `more`: so many events were judged, and none passed.
    """

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
    filter: FilterText | None = None
    wait: Annotated[int, BeforeValidator(digits), Field(ge=0, le=LONGEST_WAIT)] = 0


_LAST_EVENT = Parameter(
    "Last-Event-ID",
    {"type": "integer", "minimum": 0},
    "Of a stream: the last id that was had of it. It goes before `after`.",
    place="header",
)
_ASK_AGAIN = (
    "Ask again with next_after: the list is complete up to its last id, so nothing is missed. `filter` is JSON, as the "
    "wire contract says under Filters. With `wait` the answer comes as soon as there is an event, or when so many "
    "seconds are over. `Accept: text/event-stream` has the events sent as they come (server-sent events): each with "
    "its id, its data as in `items`."
)


class EventsView(V1View):
    """`/v1/events`."""

    scopes = READS
    renderer_classes = (JSONRenderer, EventStreamRenderer)

    @described(
        Operation(
            PULL,
            "List what came after an event, in ascending order",
            EventPage,
            query=EventQuery,
            errors=(404,),
            headers=(_LAST_EVENT,),
            description=_ASK_AGAIN,
        )
    )
    def get(self, request: Request) -> HttpResponseBase:
        """List what came after an id, at once or when there is something; or begin, or go on with, a stream of it."""
        query = read_query(EventQuery, request.query_params)
        wanted = read_filter(query.filter)
        run = Run(request, after=query.after, seconds=query.wait)
        run.check_room(self.caller.organization.pk)
        upto = run.position[0] if run.position else complete_upto()  # before any event is read
        found = self._read(query, wanted, run, upto)
        instance = self.caller.instance.pk if self.caller.instance else query.instance
        waits = run.goes_on(found, organization=self.caller.organization.pk, instance=instance)
        items = [found_shape(each) for each in found.found]
        if run.streams:
            return run.stream(found, [(item.id, item.model_dump_json()) for item in items], goes_on=waits)
        return answer(EventPage(items=items, next_after=found.last, more=found.more))

    def _read(self, query: EventQuery, wanted: Filter | None, run: Run, upto: int | None) -> Scan:
        rows = with_first(Event.objects.filter(**self.ours(), **self.asked_instance(query.instance)))
        asked = {"kind": query.kind, "object_type": query.resource, "object_id": query.object_id, "pk__lte": upto}
        rows = rows.filter(**{column: value for column, value in asked.items() if value is not None})
        limit = min(query.limit, 100) if run.streams else query.limit  # of a stream no more than is soon taken
        return scan(rows, wanted or Filter(), after=run.after, limit=limit)

    def handle_exception(self, exc: Exception) -> Response:
        """Answer an error as JSON, to whoever asked for a stream as well."""
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return super().handle_exception(exc)


class EventView(V1View):
    """`/v1/events/{event}`."""

    scopes = READS

    @described(Operation(PULL, "Show one event and its deliveries", EventDetail, errors=(400,)))
    def get(self, request: Request, event: str) -> Response:
        """Show one event."""
        self.no_query()
        rows = Event.objects.filter(**self.ours(), pk=event).select_related("instance", "notification")
        found = rows.defer("notification__body").first()
        if found is None:
            raise Http404
        lines = deliveries_of(found, timezone.now())
        sent = next((line.notification_id for line in lines if line.subscription.is_first), None)
        shape = event_shape(found, sent)
        return answer(EventDetail(**dict(shape), deliveries=[_delivery(line) for line in lines]))


def read_filter(text: str | None) -> Filter | None:
    """Read the parameter `filter`; DomainError that names the member at fault."""
    try:
        return None if text is None else parse_filter(text)
    except FilterError as error:
        raise DomainError(f"filter: {error}.") from None


def found_shape(found: Found) -> EventShape:
    """Return an event that passed a filter as `/v1` shows it; it was read `with_first`."""
    event: Any = found.event
    shape = event_shape(event, event.of_first)
    return shape.model_copy(update={"not_judged": found.judgement.unknown}) if found.judgement.unknown else shape


def event_shape(event: Event, delivery_id: int | None) -> EventShape:
    """Return an event as `/v1` shows it, with the notification that carries it to the first subscription."""
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
        delivery_id=delivery_id,
    )


def _delivery(line: EventDelivery) -> EventDeliveryShape:
    return EventDeliveryShape(
        subscription_id=line.subscription.pk,
        subscription=line.subscription.name,
        state=cast(DeliveryWord, line.word),
        delivery_id=line.notification_id,
        delivered_at=line.delivered_at,
        held_by=line.held_by or None,
        not_judged=line.not_judged or None,
        reason=line.why or None,
    )
