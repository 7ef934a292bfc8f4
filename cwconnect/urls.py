"""The site's routes. API routes end without a slash and answer under the product's base path too (requests.py)."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from cwconnect.site import health, metrics

handler400 = "cwconnect.core.errors.bad_request"
handler403 = "cwconnect.core.errors.permission_denied"
handler404 = "cwconnect.core.errors.not_found"
handler500 = "cwconnect.core.errors.server_error"


urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("polling.pages.urls")),
    path("app/", include("instances.pages.urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("api/", include("cwconnect.site.openapi.urls")),
    path("", include("polling.api.urls")),
    path("", include("instances.api.urls")),
]
