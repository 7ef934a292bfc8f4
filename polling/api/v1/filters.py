"""`/v1/instances/{id}/try-filter`: what a filter makes of the newest events, before anybody relies on it."""

from __future__ import annotations

from datetime import datetime

from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.openapi import Operation, described
from instances.api.permission import READS
from instances.models import Instance
from polling.api.v1.base import PULL, Limit, Number, Shape, Strict, V1View, answer, read_query
from polling.api.v1.events import FilterText, Kind, read_filter
from polling.filters.judging import Judgement
from polling.filters.reading import Filter
from polling.models import Event
from polling.reports.event_scan import judged


class JudgedEvent(Shape):
    """An event, whether it passes, by which condition it does not, and what could not be judged."""

    id: int
    resource: str
    object_id: str
    title: str
    kind: Kind
    polled_at: datetime
    passes: bool
    held_by: str | None
    not_judged: str | None


class FilterReport(Shape):
    """What a filter makes of `judged` events, newest first; `next_before` is what to go on with, null at the end.

    `not_judged` of those that `passed` did so since what the filter asks of earlier content is not known of them.
    """

    judged: int
    passed: int
    not_judged: int
    items: list[JudgedEvent]
    next_before: int | None


class TryFilterQuery(Strict):
    """What a filter may be tried on: the newest `limit` events, or those before an id."""

    filter: FilterText = "{}"
    before: Number | None = None
    limit: Limit = 1000


class TryFilterView(V1View):
    """`/v1/instances/{id}/try-filter`."""

    scopes = READS

    @described(
        Operation(
            PULL,
            "Try a filter on the newest events",
            FilterReport,
            query=TryFilterQuery,
            description="Says how many of the newest events pass, and of each one that does not by which condition. "
            "It changes nothing. Where the judging takes long fewer events are judged than were asked for; next_before "
            "goes on with the older ones.",
        )
    )
    def get(self, request: Request, number: str) -> Response:
        """Judge the newest events of an instance by a filter."""
        instance, query = self.instance(number), read_query(TryFilterQuery, request.query_params)
        return answer(filter_report(instance, read_filter(query.filter) or Filter(), query.before, query.limit))


def filter_report(instance: Instance, wanted: Filter, before: int | None, most: int) -> FilterReport:
    """Judge the newest events of an instance, or those before an id, by a filter; `most` of them."""
    rows = Event.objects.filter(instance=instance).order_by("-pk")
    items = [_shape(event, judgement) for event, judgement, _ in judged(rows, wanted, before=before, most=most)]
    last = items[-1].id if items else 0
    return FilterReport(
        judged=len(items),
        passed=sum(item.passes for item in items),
        not_judged=sum(item.not_judged is not None for item in items),
        items=items,
        next_before=last if rows.filter(pk__lt=last).exists() else None,
    )


def _shape(event: Event, judgement: Judgement) -> JudgedEvent:
    return JudgedEvent(
        id=event.pk,
        resource=event.object_type,
        object_id=event.object_id,
        title=event.title,
        kind=event.kind,
        polled_at=event.polled_at,
        passes=judgement.passes,
        held_by=judgement.held_by or None,
        not_judged=judgement.unknown or None,
    )
