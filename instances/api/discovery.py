"""The REST routes of discovery: `/ping`, `/objects` and their fields, also below `/hubs/{hub}`. Rules: `discovery`.

Each takes an Element token. The hub's name in the path is not checked, as for live reads.
"""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from instances.api.instances import ApiView
from instances.api.permission import READS
from instances.hub import discovery


class PingView(ApiView):
    """`/ping`: whether the instance's keys work."""

    scopes = READS

    def get(self, request: Request, hub: str = "") -> Response:
        """Ask ConnectWise, and say that it answered."""
        del hub
        return Response(discovery.ping(self.instance(None)))


class ObjectsView(ApiView):
    """`/objects`: the names of the resources."""

    scopes = READS

    def get(self, request: Request, hub: str = "") -> Response:
        """List the names."""
        del hub
        return Response(discovery.object_names(self.instance(None)))


class FieldsView(ApiView):
    """`/objects/{name}/metadata`: the fields of a resource."""

    scopes = READS

    def get(self, request: Request, resource: str, hub: str = "") -> Response:
        """Describe the fields; `customFieldsOnly=true` leaves only the custom ones."""
        del hub
        custom_only = request.query_params.get("customFieldsOnly", "").strip().lower() == "true"
        return Response(discovery.metadata(self.instance(None), resource, custom_only=custom_only))
