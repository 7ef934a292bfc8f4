"""`/api/schema` and `/api/docs`: open to all, since they hold no one's data."""

from __future__ import annotations

from django.urls import URLPattern, path

from cwconnect.site.openapi import reference_pages
from cwconnect.site.openapi.document import SchemaView

schema: list[URLPattern] = [path("schema", SchemaView.as_view(), name="schema")]  # read by programs: an API route
urlpatterns: list[URLPattern] = [
    path("docs", reference_pages.index, name="api-docs"),
    path("docs/<slug:tag>", reference_pages.tag_page, name="api-docs-tag"),
]
