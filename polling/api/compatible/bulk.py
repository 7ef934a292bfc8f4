"""The REST routes of copies: `/bulk…`, also below `/hubs/{hub}`, with an Element token. Rules: `polling.copies`.

Source: docs/wire-contract.md#first-load.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404, StreamingHttpResponse
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.connectwise.catalogue import find_resource
from cwconnect.core import paging
from cwconnect.core.errors import DomainError
from cwconnect.core.time import utc_text
from instances.api.instances import ApiView, paged
from instances.scopes import Scope
from polling.copies import files
from polling.copies.asking import cancel_copy, copies_of, start_copy, state_in_words
from polling.copies.watched import watched
from polling.models import Copy

CALLBACK = "Elements-Async-Callback-Url"


class BulkView(ApiView):
    """What the routes share: the copies of the Element token's instance. The hub's name is not checked.

    All of them take the scope `read`: a copy reads from ConnectWise what live reads do, and changes nothing there.
    """

    scopes = dict.fromkeys(("GET", "POST", "PUT"), Scope.READ)

    def copy(self, number: str) -> Copy:
        """Return the copy of an id in the path; 404."""
        is_id = number.isascii() and number.isdigit() and len(number) <= 18
        found = copies_of(self.instance(None)).filter(pk=number).first() if is_id else None
        if found is None:
            raise Http404
        return found


class BulkQueryView(BulkView):
    """`/bulk/query`."""

    def post(self, request: Request, hub: str = "") -> Response:
        """Ask for a copy; `q` stands in the query or in a JSON body."""
        del hub
        if request.headers.get(CALLBACK, "").strip():
            raise DomainError(f"{CALLBACK} is not taken: ask for the copy's status until it is COMPLETED.")
        instance = self.instance(None)
        query: object = request.query_params.get("q")
        if query is None:
            query = request.data.get("q") if isinstance(request.data, dict) else None
        copy = start_copy(instance, query)
        return Response({"instanceId": instance.pk, "id": str(copy.pk), "status": copy.status})


class BulkJobsView(BulkView):
    """`/bulk`."""

    def get(self, request: Request, hub: str = "") -> Response:
        """List the instance's copies, newest first."""
        del hub
        size, before = paging.page_size(request.query_params), paging.read_token(request.query_params)
        found = copies_of(self.instance(None))
        if before is not None:
            found = found.filter(pk__lt=before)
        return paged(list(found[: size + 1]), size, copy_body)


class BulkStatusView(BulkView):
    """`/bulk/{id}/status`."""

    def get(self, request: Request, copy: str, hub: str = "") -> Response:
        """Show how far a copy came."""
        del hub
        return Response(copy_body(self.copy(copy)))


class BulkCancelView(BulkView):
    """`/bulk/{id}/cancel`."""

    def put(self, request: Request, copy: str, hub: str = "") -> Response:
        """End a copy, or drop a complete one's records."""
        del hub
        return Response(copy_body(cancel_copy(self.copy(copy))))


class _AsFile(BaseRenderer):
    """A media type of files; what is answered in place of one is JSON."""

    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Write an error, in the one body that all have."""
        return JSONRenderer().render(data)


class _Csv(_AsFile):
    media_type, format = files.Kind.CSV.value, files.Kind.CSV.ending


class _Lines(_AsFile):
    media_type, format = files.Kind.LINES.value, files.Kind.LINES.ending


class BulkFileView(BulkView):
    """`/bulk/{id}/{resource}`."""

    renderer_classes = (JSONRenderer, _Csv, _Lines)

    def get(self, request: Request, copy: str, resource: str, hub: str = "") -> StreamingHttpResponse:
        """Return a complete copy as a file, of the type that is accepted."""
        del hub
        found = self.copy(copy)
        named = find_resource(resource)
        if resource.lower() != found.resource.lower() and (named is None or named.path != found.path):
            raise Http404
        return files.download(found, files.Kind(request.accepted_renderer.media_type))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer errors as JSON, whatever file was asked for."""
        if isinstance(response, Response):
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)


def copy_body(copy: Copy) -> dict[str, Any]:
    """Return a copy as the API shows it."""
    known = watched(copy)
    return {
        "instanceId": copy.instance_id,
        "id": str(copy.pk),
        "status": copy.status,
        "query": copy.query,
        "objectName": copy.resource,
        "recordsCount": copy.records,
        "recordsFailedCount": copy.failed,
        "recordsTotal": copy.total,
        "progress": copy.progress,
        "watchedFrom": utc_text(known.since) if known.since else None,
        "notWatched": known.words or None,
        "createdDate": copy.asked_at and utc_text(copy.asked_at),
        "startedDate": copy.started_at and utc_text(copy.started_at),
        "finishedDate": copy.finished_at and utc_text(copy.finished_at),
        "expiresDate": copy.expires_at and utc_text(copy.expires_at),
        "error": state_in_words(copy) or None,
        "recordErrors": copy.notes.splitlines(),
    }
