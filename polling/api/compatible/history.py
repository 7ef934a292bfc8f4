"""The REST routes of the event history (docs/wire-contract.md#5-the-notification). The rules are in `history`."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core import paging
from instances.api.instances import ApiView, paged
from instances.api.permission import READS
from polling.models import Event
from polling.reports.history import analytics, filtered, history_row, with_status


class HistoryView(ApiView):
    """What the routes share: one instance's events, by the id in the path or the Element token."""

    def events(self, number: str | None) -> QuerySet[Event]:
        """Return the instance's events with what their rows need, newest first; 404 for an instance of others."""
        return with_status(Event.objects.filter(instance=self.instance(number)).order_by("-pk"))


class EventsView(HistoryView):
    """`/instances/{id}/events`, and `/instances/events` with an Element token."""

    scopes = READS

    def get(self, request: Request, number: str | None = None) -> Response:
        """List the events, newest first."""
        query = request.query_params
        size, before = paging.page_size(query), paging.read_token(query)
        found = filtered(self.events(number), query)
        if before is not None:
            found = found.filter(pk__lt=before)
        return paged(list(found[: size + 1]), size, history_row)


class EventView(HistoryView):
    """`/instances/{id}/events/{eventId}`, and `/instances/events/{eventId}` with an Element token."""

    scopes = READS

    def get(self, request: Request, event: str, number: str | None = None) -> Response:
        """Show one event."""
        found = self.events(number).filter(pk=event).first() if len(event) <= 18 else None
        if found is None:
            raise Http404
        return Response(history_row(found))


class AnalyticsView(ApiView):
    """`/instances/{id}/events/analytics`; without an id the token's instance, or all of the organization."""

    scopes = READS

    def get(self, request: Request, number: str | None = None) -> Response:
        """Count the events by time."""
        if number is None and self.caller.instance is None:
            events = Event.objects.filter(**self.ours())
        else:
            events = Event.objects.filter(instance=self.instance(number))
        return Response(analytics(events, request.query_params, timezone.now()))
