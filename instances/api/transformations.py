"""The REST routes of field mappings: `/instances/{id}/transformations[/{name}]`. Rules: `hub.transformations`."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from instances.api.instances import ApiView
from instances.api.permission import MANAGES, READS
from instances.hub import transformations


class TransformationsView(ApiView):
    """`/instances/{id}/transformations`."""

    scopes = READS

    def get(self, request: Request, number: str | None = None) -> Response:
        """List the instance's field mappings, by name."""
        return Response(transformations.list_transformations(self.instance(number)))


class TransformationView(ApiView):
    """`/instances/{id}/transformations/{name}`."""

    scopes = MANAGES

    def get(self, request: Request, transformation: str, number: str | None = None) -> Response:
        """Show one field mapping."""
        return Response(transformations.get_transformation(self.instance(number), transformation))

    def put(self, request: Request, transformation: str, number: str | None = None) -> Response:
        """Set a field mapping, in the place of the former of its name."""
        return Response(transformations.put_transformation(self.instance(number), transformation, request.data))

    def delete(self, request: Request, transformation: str, number: str | None = None) -> Response:
        """Delete a field mapping: 200."""
        transformations.delete_transformation(self.instance(number), transformation)
        return Response()
