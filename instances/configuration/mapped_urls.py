"""Polls that go by a field mapping's name: their URL, as given, becomes that of the mapping's resource. Pure.

Source: docs/wire-contract.md#field-mapping. A poll reads and compares ConnectWise's records; by its name alone it is
known which mapping its events go by, so a URL may name a mapping only in the poll of that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cwconnect.connectwise.catalogue import default_configuration, find_resource
from cwconnect.core.unseen import trim
from instances.configuration.polls import is_blank
from instances.configuration.values import ConfigurationError

_URL = re.compile(
    r"(?P<hub>\s*(?:/elements/api-v2)?/hubs/[^/?]+/)(?P<list>[^?]+?)(?P<end>/*(?:\?.*)?)", re.IGNORECASE | re.DOTALL
)


def with_vendor_urls(polls: Mapping[str, Any], vendors: Mapping[str, str]) -> dict[str, Any]:
    """Return poll configurations, as given, with the URLs of the mappings' resources; `vendors` has those by name.

    Raises ConfigurationError for a URL that names another's mapping, or reads another list than the mapping's.
    """
    return {name: _poll(trim(name), given, vendors) for name, given in polls.items()}


def _poll(name: str, given: Any, vendors: Mapping[str, str]) -> Any:
    given = {} if is_blank(given) else given
    if not isinstance(given, Mapping):
        return given  # what is wrong with it, its reader says
    url = given.get("url")
    if is_blank(url):
        resource = find_resource(vendors.get(name, ""))
        return given if resource is None else {**given, "url": default_configuration(resource)["url"]}
    match = _URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        return given
    listed = match["list"]
    if listed in vendors and listed != name:
        words = f"names the transformation {listed}; events go by it where the resource is called {listed} too"
        raise ConfigurationError({f"{name}.url": words})
    vendor = vendors.get(name)
    if vendor is None:
        return given
    if listed != name and _path(listed) != _path(vendor):
        words = f"reads {listed}, and the transformation {name} maps {vendor}"
        raise ConfigurationError({f"{name}.url": words})
    return given if listed != name else {**given, "url": f"{match['hub']}{vendor}{match['end']}"}


def _path(listed: str) -> str:
    resource = find_resource(listed)
    return (resource.path if resource else f"/{listed}").lower()
