"""The API's routes, and they alone: what answers under the product's base path (core/middleware.py).

Source: docs/wire-contract.md#1-authorization-header.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from cwconnect.site.openapi.urls import schema

handler400 = "cwconnect.core.errors.bad_request"
handler403 = "cwconnect.core.errors.permission_denied"
handler404 = "cwconnect.core.errors.not_found"
handler500 = "cwconnect.core.errors.server_error"


urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include(schema)),
    path("", include("polling.api.urls")),
    path("", include("instances.api.urls")),
    path("", include("polling.api.hub_urls")),  # the last, so that no resource of ConnectWise hides a route
]
