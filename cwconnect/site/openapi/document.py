"""`/api/schema`: built, written out and compressed once a process, since anybody may ask for it at any rate."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

from django.http import HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

_BUILDING = Lock()


@dataclass(frozen=True)
class Document:
    """The description in one format, plain and compressed; `etag` changes with its bytes."""

    plain: bytes
    compressed: bytes
    etag: str


class SchemaView(SpectacularAPIView):
    """The description, in JSON or YAML by `Accept` or `?format=`."""

    def _get_schema_response(self, request: Request) -> HttpResponse:
        renderer: Any = request.accepted_renderer
        with _BUILDING:  # of many that ask at once one builds it
            document = _built(renderer.media_type)
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        response = HttpResponse(document.compressed if packed else document.plain, content_type=renderer.media_type)
        response.headers["Content-Disposition"] = f'inline; filename="cwconnect.{renderer.format}"'
        if packed:
            response.headers["Content-Encoding"] = "gzip"
        etag = f'"{document.etag}{"-gzip" if packed else ""}"'
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = "no-cache"  # kept, and asked about by its ETag
        patch_vary_headers(response, ("Accept", "Accept-Encoding"))
        return get_conditional_response(request, etag=etag, response=response)  # type: ignore[return-value]  # never None when a response is given


@cache
def _built(media_type: str) -> Document:
    renderers: dict[str, Any] = {each.media_type: each for each in SpectacularAPIView.renderer_classes}
    plain: bytes = renderers[media_type]().render(described_api(), renderer_context={})
    return Document(plain, gzip.compress(plain, mtime=0), hashlib.sha256(plain).hexdigest()[:32])


@cache
def described_api() -> Any:
    """Return the description as plain objects, built once a process: not to be changed."""
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # not annotated
