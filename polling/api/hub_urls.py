"""The routes by which ConnectWise is read and written through an instance: `/hubs/{hub}/…`, and without the hub."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, re_path

from cwconnect.connectwise.catalogue import all_names
from polling.api.compatible.hubs import HubView

_RESOURCES = "|".join(sorted(all_names(), key=len, reverse=True))

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^hubs/(?P<hub>[^/]+)/(?P<resource>.+?)/?$", HubView.as_view(), name="hub"),
    # As published programs ask.
    re_path(rf"^(?P<resource>(?i:{_RESOURCES})(?:/.+?)?)/?$", HubView.as_view(), name="hub-unnamed"),
]
