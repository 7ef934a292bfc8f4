"""The REST route of waiting deliveries. The rules are in `queued`.

Source: docs/wire-contract.md#6-headers-signatures-answers-and-retries.
"""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core import paging
from cwconnect.core.errors import DomainError
from instances.api.instances import ApiView, paged
from instances.api.permission import MANAGES
from instances.models import Instance
from polling.delivery.queued import delivery_row, queued_deliveries, read_where, release_all


class DeliveriesView(ApiView):
    """`/notifications/subscriptions/deliveries`: with an Element token, of that instance alone."""

    scopes = MANAGES

    def get(self, request: Request) -> Response:
        """List what is queued, oldest first."""
        query = request.query_params
        size, after = paging.page_size(query), paging.read_token(query)
        found = queued_deliveries(*self._asked_for(request))
        if after is not None:
            found = found.filter(pk__gt=after)
        return paged(list(found[: size + 1]), size, delivery_row)

    def put(self, request: Request) -> Response:
        """Release what is queued behind a pause, the exhausted first; say how many are to be sent."""
        return Response({"released": release_all(*self._asked_for(request), timezone.now())})

    def _asked_for(self, request: Request) -> tuple[QuerySet[Instance], str | None]:
        """Return which instances, and which callback URL alone, if any."""
        where = request.query_params.get("where", "").strip()
        if not where:
            raise DomainError("A where is needed: where=channel='webhook' and status='queued'.")
        wanted = read_where(where)
        found = self.instances().prefetch_related(None)
        if self.caller.instance is not None:
            found = found.filter(pk=self.caller.instance.pk)
        if wanted.instance_id is not None:
            found = found.filter(pk=wanted.instance_id)
            if not found.exists():
                raise Http404
        return found, wanted.callback_url
