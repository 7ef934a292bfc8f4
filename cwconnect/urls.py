"""The site's routes. API routes end without a slash and answer under the product's base path too (api_urls.py)."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from cwconnect.api_urls import handler400, handler403, handler404, handler500
from cwconnect.site import health, metrics
from cwconnect.site.guide import urls as guidance
from instances.pages.accounts import AdminSignInView
from polling.api.connectwise_callbacks import CallbackView

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("polling.pages.urls")),
    path("app/", include("instances.pages.urls")),
    path("app/", include("cwconnect.site.guide.urls")),
    path("", include(guidance.documents)),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password")),  # there guesses are counted
    path("admin/login/", AdminSignInView.as_view()),  # the second step follows; Django's own form knows none
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("callbacks/connectwise/<str:token>", CallbackView.as_view(), name="connectwise-callback"),
    path("api/", include("cwconnect.site.openapi.urls")),
    path("", include("cwconnect.api_urls")),
]
