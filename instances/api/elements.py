"""The REST routes of the catalogue: the one connector, its configuration keys, what it can do.

Source: docs/wire-contract.md#2-instances.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.connectwise.catalogue import all_resources, default_configuration
from instances.api.instances import ApiView, InstancesView, InstanceView
from instances.api.permission import MANAGES, READS
from instances.configuration.config_keys import KEYS, Key
from instances.connector import DESCRIPTION, ELEMENT, HUB, KEY


class ElementsView(ApiView):
    """`/elements`."""

    scopes = READS

    def get(self, request: Request) -> Response:
        """List the connectors: there is one."""
        return Response([ELEMENT])


class ElementView(ApiView):
    """`/elements/{key or id}`."""

    scopes = READS

    def get(self, request: Request, element: str) -> Response:
        """Show the connector."""
        check_element(element)
        return Response(ELEMENT)


class ElementConfigurationView(ApiView):
    """`/elements/{key or id}/configuration`."""

    scopes = READS

    def get(self, request: Request, element: str) -> Response:
        """List the configuration keys with types and defaults."""
        check_element(element)
        return Response([_key_row(key, number) for number, key in enumerate(KEYS, 1)])


class ElementMetadataView(ApiView):
    """`/elements/{key or id}/metadata`."""

    scopes = READS

    def get(self, request: Request, element: str) -> Response:
        """Say how events are found, and how each resource of the catalogue is polled by default."""
        check_element(element)
        return Response(_metadata())


class AllMetadataView(ApiView):
    """`/elements/metadata`."""

    scopes = READS

    def get(self, request: Request) -> Response:
        """List the metadata of every connector: there is one."""
        return Response([_metadata()])


class ElementNamesView(ApiView):
    """`/elements/keys`."""

    scopes = READS

    def get(self, request: Request) -> Response:
        """List the keys of the connectors."""
        return Response([KEY])


class HubsView(ApiView):
    """`/hubs`."""

    scopes = READS

    def get(self, request: Request) -> Response:
        """List the hubs: there is one."""
        return Response([HUB])


class HubNamesView(ApiView):
    """`/hubs/keys`."""

    scopes = READS

    def get(self, request: Request) -> Response:
        """List the keys of the hubs."""
        return Response([HUB["key"]])


class HubView(ApiView):
    """`/hubs/{hub}`."""

    scopes = READS

    def get(self, request: Request, hub: str) -> Response:
        """Show the hub."""
        _check_hub(hub)
        return Response(HUB)


class HubElementsView(ApiView):
    """`/hubs/{hub}/elements`."""

    scopes = READS

    def get(self, request: Request, hub: str) -> Response:
        """List the hub's connectors."""
        _check_hub(hub)
        return Response([ELEMENT])


class ElementInstancesView(InstancesView):
    """`/elements/{key or id}/instances`: as `/instances`, for a body that need not name the connector."""

    scopes = MANAGES
    http_method_names = ("get", "post", "head", "options")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look at the caller first, then at the connector's name."""
        super().initial(request, *args, **kwargs)
        check_element(kwargs["element"])


class ElementInstanceView(InstanceView):
    """`/elements/{key or id}/instances/{id}`: as `/instances/{id}`."""

    scopes = MANAGES

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look at the caller first, then at the connector's name."""
        super().initial(request, *args, **kwargs)
        check_element(kwargs["element"])


def check_element(text: str) -> None:
    """Raise 404 for another connector than ours."""
    if text not in (KEY, str(ELEMENT["id"])):
        raise Http404


def _check_hub(text: str) -> None:
    if text != HUB["key"]:
        raise Http404


def _metadata() -> dict[str, Any]:
    """Return what the connector can do, polls keyed by resource (docs/wire-contract.md#routes)."""
    polling = {resource.name: default_configuration(resource) for resource in all_resources()}
    events = {"supported": True, "methods": ["polling"], "polling": polling}
    return {name: ELEMENT[name] for name in ("id", "name", "key")} | {"description": DESCRIPTION, "events": events}


def _key_row(key: Key, number: int) -> dict[str, Any]:
    default = key.default if isinstance(key.default, bool | int) or key.default else None
    return {
        "id": number,
        "key": key.name,
        "name": key.title,
        "description": key.description,
        "type": key.kind,
        "required": key.required,
        "active": True,
        "defaultValue": str(default).lower()
        if isinstance(default, bool)
        else None
        if default is None
        else str(default),
    }
