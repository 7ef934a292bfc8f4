"""Routes about instances. Each answers under the product's base path too, and with an Element token.

Source: docs/wire-contract.md#2-instances.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, re_path

from instances.api import (
    configuration,
    discovery,
    elements,
    instances,
    transformations,
)

_ID = r"instances/(?P<number>[0-9]+)"
_ELEMENT = r"elements/(?P<element>[A-Za-z0-9_-]+)"
_TRANSFORMATION = r"transformations/(?P<transformation>[A-Za-z0-9._-]+)"
_KEY = r"configuration/(?P<key>[A-Za-z0-9._-]+)"

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^instances/?$", instances.InstancesView.as_view(), name="instances"),
    re_path(r"^instances/enabled/?$", instances.EnabledView.as_view(), name="own-enabled"),
    re_path(r"^instances/configuration/?$", configuration.ConfigurationView.as_view(), name="own-configuration"),
    re_path(rf"^instances/{_KEY}/?$", configuration.ConfigurationKeyView.as_view(), name="own-configuration-key"),
    re_path(
        r"^instances/transformations/?$", transformations.TransformationsView.as_view(), name="own-transformations"
    ),
    re_path(
        rf"^instances/{_TRANSFORMATION}/?$", transformations.TransformationView.as_view(), name="own-transformation"
    ),
    re_path(rf"^{_ID}/?$", instances.InstanceView.as_view(), name="instance"),
    re_path(rf"^{_ID}/enabled/?$", instances.EnabledView.as_view(), name="enabled"),
    re_path(rf"^{_ID}/configuration/?$", configuration.ConfigurationView.as_view(), name="configuration"),
    re_path(rf"^{_ID}/{_KEY}/?$", configuration.ConfigurationKeyView.as_view(), name="configuration-key"),
    re_path(rf"^{_ID}/transformations/?$", transformations.TransformationsView.as_view(), name="transformations"),
    re_path(rf"^{_ID}/{_TRANSFORMATION}/?$", transformations.TransformationView.as_view(), name="transformation"),
    re_path(r"^elements/?$", elements.ElementsView.as_view(), name="elements"),
    re_path(r"^elements/keys/?$", elements.ElementNamesView.as_view(), name="elements-keys"),
    re_path(r"^elements/metadata/?$", elements.AllMetadataView.as_view(), name="elements-metadata"),
    re_path(rf"^{_ELEMENT}/?$", elements.ElementView.as_view(), name="element"),
    re_path(rf"^{_ELEMENT}/configuration/?$", elements.ElementConfigurationView.as_view(), name="element-keys"),
    re_path(rf"^{_ELEMENT}/metadata/?$", elements.ElementMetadataView.as_view(), name="element-metadata"),
    re_path(rf"^{_ELEMENT}/instances/?$", elements.ElementInstancesView.as_view(), name="element-instances"),
    re_path(rf"^{_ELEMENT}/{_ID}/?$", elements.ElementInstanceView.as_view(), name="element-instance"),
    re_path(r"^hubs/?$", elements.HubsView.as_view(), name="hubs"),
    re_path(r"^hubs/keys/?$", elements.HubNamesView.as_view(), name="hubs-keys"),
    re_path(r"^hubs/(?P<hub>[^/]+)/?$", elements.HubView.as_view(), name="hubs-one"),
    re_path(r"^hubs/(?P<hub>[^/]+)/elements/?$", elements.HubElementsView.as_view(), name="hubs-elements"),
    *(
        route
        # Below the hub, and without it, as published programs ask.
        for before, suffix in ((r"hubs/(?P<hub>[^/]+)/", ""), ("", "-unnamed"))
        for route in (
            re_path(rf"^{before}ping/?$", discovery.PingView.as_view(), name=f"hub-ping{suffix}"),
            re_path(rf"^{before}objects/?$", discovery.ObjectsView.as_view(), name=f"hub-objects{suffix}"),
            re_path(
                rf"^{before}objects/(?P<resource>.+?)/metadata/?$",
                discovery.FieldsView.as_view(),
                name=f"hub-fields{suffix}",
            ),
        )
    ),
]
