"""The REST routes of an instance's configuration, key by key (docs/wire-contract.md#2-instances)."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from cwconnect.core.errors import DomainError
from instances import provisioning
from instances.api.instances import ApiView
from instances.api.permission import MANAGES, READS
from instances.api.serializers import configuration_rows
from instances.configuration.config_keys import KEYS, Key, find_key
from instances.configuration.wire import config_of, read_configuration
from instances.models import Instance


class ConfigurationView(ApiView):
    """`/instances/{id}/configuration`."""

    scopes = READS

    def get(self, request: Request, number: str | None = None) -> Response:
        """List all keys with their values; secrets are masks."""
        return Response(configuration_rows(self.instance(number)))


class ConfigurationKeyView(ApiView):
    """`/instances/{id}/configuration/{id or key}`."""

    scopes = MANAGES

    def get(self, request: Request, key: str, number: str | None = None) -> Response:
        """Show one key."""
        return Response(_row(self.instance(number), _find(key)))

    def patch(self, request: Request, key: str, number: str | None = None) -> Response:
        """Change one key, by the rules of a PATCH of the whole."""
        instance, found = self.instance(number), _find(key)
        if not isinstance(request.data, dict) or "propertyValue" not in request.data:
            raise DomainError("The body must be an object with propertyValue.")
        stored = config_of(instance)
        config = read_configuration({found.name: request.data["propertyValue"]}, base=stored, stored=stored)
        return Response(_row(provisioning.change_instance(instance, config=config), found))


def _find(text: str) -> Key:
    key = KEYS[int(text) - 1] if text.isdigit() and 0 < int(text[:4]) <= len(KEYS) else find_key(text)
    if key is None:
        raise Http404
    return key


def _row(instance: Instance, key: Key) -> dict[str, Any]:
    return configuration_rows(instance)[KEYS.index(key)]
