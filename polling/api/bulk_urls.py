"""Routes about copies of whole resources, below the hub and without it, as published programs ask."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, re_path

from polling.api.compatible import bulk

_COPY = r"bulk/(?P<copy>[^/]+)"

urlpatterns: list[URLPattern | URLResolver] = [
    route
    for before, suffix in ((r"hubs/(?P<hub>[^/]+)/", ""), ("", "-unnamed"))
    for route in (
        re_path(rf"^{before}bulk/?$", bulk.BulkJobsView.as_view(), name=f"hub-bulk{suffix}"),
        re_path(rf"^{before}bulk/query/?$", bulk.BulkQueryView.as_view(), name=f"hub-bulk-query{suffix}"),
        re_path(rf"^{before}{_COPY}/status/?$", bulk.BulkStatusView.as_view(), name=f"hub-bulk-status{suffix}"),
        re_path(rf"^{before}{_COPY}/cancel/?$", bulk.BulkCancelView.as_view(), name=f"hub-bulk-cancel{suffix}"),
        re_path(rf"^{before}{_COPY}/(?P<resource>.+?)/?$", bulk.BulkFileView.as_view(), name=f"hub-bulk-file{suffix}"),
    )
]
