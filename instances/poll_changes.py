"""Changes of one resource poll among an instance's others: by the rules of a change of the whole configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cwconnect.connectwise.catalogue import find_resource
from cwconnect.core.errors import ConflictError, DomainError
from instances.configuration.config_keys import POLLS
from instances.configuration.values import ConfigurationError, resource_name
from instances.configuration.wire import config_of, polls_of, read_configuration
from instances.models import Instance, ResourcePoll
from instances.provisioning import change_instance

_HUB = re.compile(r"(?P<hub>(?:/elements/api-v2)?/hubs/[^/?]+/)[^?]*(?P<query>\?.*)?", re.IGNORECASE | re.DOTALL)


def change_poll(poll: ResourcePoll, *, patch: Mapping[str, Any], enabled: bool | None) -> ResourcePoll:
    """Merge `patch` into a poll's configuration (RFC 7396: null removes), and switch it on or off; None leaves it.

    DomainError for what can't be used, ConnectWiseRefusedError where ConnectWise has to be asked and refuses,
    ConflictError.
    """
    merged = merge_patch(poll.configuration, patch)
    switched = poll.enabled if enabled is None else enabled
    return _write(poll.instance, poll.name, merged | {"enabled": switched})


def add_poll(
    instance: Instance, name: str, *, copy_of: ResourcePoll | None, patch: Mapping[str, Any], enabled: bool
) -> ResourcePoll:
    """Poll one more resource, as another one is polled if `copy_of` is given, with `patch` merged into that.

    The copy asks the same of its own resource. ConflictError if the resource is polled already, ConfigurationError for
    a name that none may have.
    """
    try:
        name = resource_name(name)
    except ConfigurationError as error:
        raise ConfigurationError({"resource": error.problems[""]}) from None
    if name in polls_of(instance):
        raise ConflictError(f"{name} is polled already.")
    copied: dict[str, Any] = {}
    if copy_of is not None:
        # Where a URL is given, the copy's need not have a resource to replace.
        whole = {**copy_of.configuration, "url": ""} if patch.get("url") else copy_of.configuration
        copied = copied_configuration(whole, name)
    return _write(instance, name, merge_patch(copied, patch) | {"enabled": enabled})


def copied_configuration(configuration: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration for resource `name`: the same, with its own resource in the URL. DomainError."""
    url = configuration.get("url")
    if not url:
        return dict(configuration)
    match = _HUB.fullmatch(url.strip())
    if match is None:
        raise DomainError("configuration.url is required: that of the poll to be copied has no resource to replace.")
    resource = find_resource(name)
    path = resource.name if resource else name
    return {**configuration, "url": f"{match['hub']}{path}{match['query'] or ''}"}


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Merge by RFC 7396: null removes, objects are merged, anything else replaces."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            before = merged.get(key)
            merged[key] = merge_patch(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch (RFC 7396) that makes `after` of `before`."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        former = before.get(key)
        if isinstance(value, Mapping) and isinstance(former, Mapping):
            patch |= {key: inner} if (inner := difference(former, value)) else {}
        elif key not in before or value != former or type(value) is not type(former):
            patch[key] = value
    return patch


def _write(instance: Instance, name: str, configuration: Mapping[str, Any]) -> ResourcePoll:
    stored = config_of(instance)
    polls = {**stored.polls, name: configuration}
    config = read_configuration({POLLS: polls}, base=stored, stored=stored)
    change_instance(instance, config=config)
    return ResourcePoll.objects.get(instance=instance, name=name)
