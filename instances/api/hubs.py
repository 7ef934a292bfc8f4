"""The REST routes of live reads: `/hubs/{hub}/{resource}[/{id}]`, with an Element token. Rules: `reads`.

Those that write stand in `polling`, since what was written is polled for at once.
"""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core import paging
from instances.api.instances import ApiView
from instances.api.permission import HUBS
from instances.hub import reads
from instances.hub.paths import find_path


class HubReads(ApiView):
    """Reads through the Element token's instance. The hub's name in the path is not checked, as in the product."""

    scopes = HUBS

    def get(self, request: Request, resource: str, hub: str = "") -> Response:
        """Return one page of a list, or one record."""
        del hub
        instance = self.instance(None)
        target = find_path(instance, resource)
        if target.record_id is not None:
            return Response(reads.read_record(instance, target, target.record_id))
        page = reads.read_list(instance, target, request.query_params.dict())
        response = Response(page.records)
        response.headers[paging.COUNT_HEADER] = str(len(page.records))
        if page.total is not None:
            response.headers[paging.TOTAL_HEADER] = str(page.total)
        if page.next_page:
            response.headers[paging.NEXT_PAGE_HEADER] = page.next_page
        return response
