"""Routes about instances: contract §2. Each answers under the product's base path too."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, re_path

from instances import api

_ID = r"(?P<number>[0-9]+)"

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^instances/?$", api.InstancesView.as_view(), name="instances"),
    re_path(rf"^instances/{_ID}/?$", api.InstanceView.as_view(), name="instance"),
    re_path(rf"^instances/{_ID}/enabled/?$", api.EnabledView.as_view(), name="instance-enabled"),
    re_path(r"^instances/enabled/?$", api.EnabledView.as_view(), name="own-instance-enabled"),
]
