"""`/api/schema` and `/api/docs`: open to all, since they hold no one's data; every asset comes from a package."""

from __future__ import annotations

from django.urls import URLPattern, path
from drf_spectacular.views import SpectacularSwaggerSplitView

from cwconnect.site.openapi.document import SchemaView

schema: list[URLPattern] = [path("schema", SchemaView.as_view(), name="schema")]  # read by programs: an API route
urlpatterns: list[URLPattern] = [
    path(
        "docs", SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="api/docs.html"), name="api-docs"
    ),
]
