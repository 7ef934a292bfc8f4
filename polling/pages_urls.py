"""Routes of the pages about what changed and who was told: `/`, and below `/app/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from polling.pages import overview

urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
]
