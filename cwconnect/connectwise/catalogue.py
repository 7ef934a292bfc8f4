"""The catalogue: what the hub calls a resource, where ConnectWise has it, and its usual poll."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

from cwconnect.connectwise.common_resources import COMMON_RESOURCES
from cwconnect.connectwise.further_resources import FURTHER_RESOURCES
from cwconnect.connectwise.resource import Resource

DEFAULT_RESOURCES: Final = ("contacts", "incidents", "organizations")
UPDATED_FIELD: Final = "_info.lastUpdated"
_DATE_FORMAT: Final = "yyyy-MM-dd'T'HH:mm:ss'Z'"
_POLL_QUERY: Final = "where=lastUpdated>'${gmtDate:yyyy-MM-dd'T'HH:mm:ss'Z'}'"


def find_resource(name: str) -> Resource | None:
    """Find a resource of the catalogue by its hub name or alias, in any case."""
    return _BY_NAME.get(name.strip().lower())


def resource_for_path(path: str) -> Resource | None:
    """Find a resource of the catalogue by ConnectWise's path, like `/company/contacts`, in any case."""
    return _BY_PATH.get(path.strip().lower().rstrip("/"))


def all_resources() -> tuple[Resource, ...]:
    """Return the catalogue: the common ones first, then all others by module."""
    return _CATALOGUE


def further_by_module() -> Mapping[str, tuple[Resource, ...]]:
    """Return the resources beside the common ones by ConnectWise's module, as its paths have it."""
    return _BY_MODULE


def all_names() -> frozenset[str]:
    """Return the hub names and aliases of the catalogue, in small letters."""
    return frozenset(_BY_NAME)


def default_configuration(resource: Resource) -> dict[str, Any]:
    """Make the poll configuration of a resource in the wire's shape (the seed's "Example JSON with Polling")."""
    return {
        "url": f"/hubs/crm/{resource.name}?{_POLL_QUERY}",
        "idField": "id",
        "datesConfiguration": {
            "updatedDateField": UPDATED_FIELD,
            "updatedDateFormat": _DATE_FORMAT,
            "updatedDateTimezone": "GMT",
            "createdDateField": resource.created_field or UPDATED_FIELD,
            "createdDateFormat": _DATE_FORMAT,
            "createdDateTimezone": "GMT",
        },
    }


def _index(pairs: Iterable[tuple[str, Resource]]) -> dict[str, Resource]:
    return {key.lower(): resource for key, resource in pairs}


_CATALOGUE: Final = (*COMMON_RESOURCES, *FURTHER_RESOURCES)
_BY_NAME: Final = _index((name, resource) for resource in _CATALOGUE for name in (resource.name, *resource.aliases))
_BY_PATH: Final = _index((resource.path, resource) for resource in _CATALOGUE)
_BY_MODULE: Final[Mapping[str, tuple[Resource, ...]]] = MappingProxyType(
    {module: tuple(found) for module, found in groupby(FURTHER_RESOURCES, key=lambda resource: resource.module)}
)
