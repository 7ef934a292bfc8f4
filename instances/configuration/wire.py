"""The dotted wire keys and what they stand for, both ways (docs/wire-contract.md#4-configuration-keys-of-events).

The table itself is in `config_keys`. Values arrive as JSON types or strings, blanks count as not given, `"********"`
keeps what is stored while its destination stays the same (destinations.py); in answers every value is a string and
every secret a mask. Keys that nobody knows are ignored, as in the product; a value that can't be used is a
`ConfigurationError` that names its key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from cwconnect.connectwise.catalogue import DEFAULT_RESOURCES, default_configuration, find_resource
from cwconnect.core.unseen import find_unseen
from instances.configuration import values
from instances.configuration.callback_address import NEEDED, callback_base
from instances.configuration.config_keys import (
    CALLBACKS,
    KEYS,
    POLLS,
    STORED_KEYS,
    InstanceConfig,
    Key,
)
from instances.configuration.destinations import secrets_to_give_anew
from instances.configuration.mapped_urls import with_vendor_urls
from instances.configuration.polls import is_blank
from instances.configuration.values import ConfigurationError
from instances.models import Instance, Transformation
from instances.secrets import MASK, Secret, SecretUnreadableError


def read_configuration(
    given: Mapping[str, Any], *, base: InstanceConfig, stored: InstanceConfig | None = None, whole: bool = True
) -> InstanceConfig:
    """Return what is wanted: `base` with the given keys in it, whole and valid.

    `base` is an empty `InstanceConfig()` where the configuration replaces, the stored one where it is merged into that.
    Masks take what `stored` holds. Unless it is to be `whole`, keys that are not given may lack.
    Raises ConfigurationError that names every key at fault.
    """
    found: dict[str, Any] = {}
    anew: set[str] = set()
    # Of keys that may look like one of the table; other unknown ones are ignored.
    problems = {name: f"is no key: it holds {unseen}" for name in given if (unseen := find_unseen(name))}
    for key, value in _known(given):
        try:
            found[key.field] = _read(key, value, base=base, stored=stored)
            if not (key.secret and _holds_mask(value, found[key.field])):
                anew.add(key.field)
        except ConfigurationError as error:
            problems |= {f"{key.name}.{path}" if path else key.name: text for path, text in error.problems.items()}
    config = replace(base, **found)
    if not config.polls:
        config = replace(config, polls=default_polls())
    problems = secrets_to_give_anew(config, stored, given=anew) | _not_callable(config, stored) | problems
    lacking = {name: text for name, text in _lacking(config).items() if whole or name in given}
    problems |= {name: text for name, text in lacking.items() if name not in problems}
    if problems:
        raise ConfigurationError(problems)
    return config


def _known(given: Mapping[str, Any]) -> list[tuple[Key, Any]]:
    """Return the keys that the table knows; of several spellings the first that is not blank counts."""
    found = []
    for key in KEYS:
        spelt = [given[name] for name in (key.name, *key.spellings) if name in given]
        if spelt:
            found.append((key, next((value for value in spelt if not is_blank(value)), spelt[0])))
    return found


def _read(key: Key, value: Any, *, base: InstanceConfig, stored: InstanceConfig | None) -> Any:
    if key.name == POLLS and (is_blank(value) or value in ({}, "{}")):
        return base.polls  # a blank must not silently drop what is watched
    if is_blank(value):
        return key.default
    if key.name == POLLS:
        value = with_vendor_urls(values.json_object(value), (stored or base).vendors())
    kept = getattr(stored, key.field, None) if key.secret else None
    if kept and value == MASK:
        return kept  # as it is, though it may have been stored before the rules for what is given anew
    if key.secret:
        value = _unmask(value, kept)
    read = key.read(value)
    if key.secret and (read == MASK or (isinstance(read, dict) and MASK in read.values())):
        raise ConfigurationError({"": "is a mask, and nothing is stored that it could stand for"})
    return read


def _holds_mask(value: Any, read: Any) -> bool:
    """Whether what was given for the value `read` holds a mask: as a whole, or in the place of a header's value."""
    return value == MASK or (isinstance(read, Mapping) and bool(read) and MASK in values.header_items(value).values())


def _unmask(value: Any, stored: Any) -> Any:
    """Put what is stored in the place of single headers' masks."""
    if value == MASK or not isinstance(stored, Mapping):
        return value
    kept = {name.lower(): text for name, text in stored.items()}
    given = values.header_items(value)
    return {name: kept.get(name.lower(), text) if text == MASK else text for name, text in given.items()}


def _lacking(config: InstanceConfig) -> dict[str, str]:
    lacking = {key.name: "is required" for key in KEYS if key.required and not getattr(config, key.field)}
    if config.basic_username and any(name.lower() == "authorization" for name in config.callback_headers):
        lacking["event.notification.callback.headers"] = "holds Authorization beside a Basic user; choose one"
    return lacking


def _not_callable(config: InstanceConfig, stored: InstanceConfig | None) -> dict[str, str]:
    """Refuse callbacks that ConnectWise could not send; where they are on already, nothing else is held up by it."""
    switched_on = config.callbacks_enabled and not (stored and stored.callbacks_enabled)
    return {CALLBACKS: NEEDED} if switched_on and not callback_base() else {}


def default_polls() -> dict[str, dict[str, Any]]:
    """Return the configuration of the resources that are polled when none are named."""
    return {
        name: default_configuration(resource)
        for name in DEFAULT_RESOURCES
        if (resource := find_resource(name)) is not None
    }


def config_of(instance: Instance) -> InstanceConfig:
    """Return what is stored of an instance, its secrets opened.

    One that no encryption key opens counts as not given: it is asked for again by name, instead of an error for ever.
    """
    plain: dict[str, Any] = {}
    for key in STORED_KEYS:
        value = getattr(instance, key.field)
        text = opened(value) if isinstance(value, Secret) else "" if value is None else value
        plain[key.field] = json.loads(text or "{}") if key.kind == "json" else text
    return InstanceConfig(**plain, polls=polls_of(instance), vendors=partial(_vendors_of, instance))


def _vendors_of(instance: Instance) -> dict[str, str]:
    return dict(Transformation.objects.filter(instance=instance).values_list("name", "vendor_name"))


def opened(secret: Secret | None) -> str:
    """Return a secret's text; empty where there is none, or no encryption key opens it."""
    try:
        return secret.reveal() if secret is not None else ""
    except SecretUnreadableError:
        return ""


def polls_of(instance: Instance) -> dict[str, dict[str, Any]]:
    """Return the stored poll configuration by resource; `enabled` stands in it only where it is false."""
    return {
        poll.name: poll.configuration | ({} if poll.enabled else {"enabled": False})
        for poll in sorted(instance.resource_polls.all(), key=lambda poll: poll.pk)
    }


def to_wire(instance: Instance) -> dict[str, str]:
    """Return an instance's configuration for an answer: strings only, secrets masked, keys without a value left out."""
    wire: dict[str, str] = {}
    for key in KEYS:
        if key.name == POLLS:
            value: Any = polls_of(instance)
        else:
            value = getattr(instance, key.field) if key.stored else key.default
        if value not in (None, "") and not (key.ours and value == key.default):
            wire[key.name] = _wire_value(key, value)
    return wire


def _wire_value(key: Key, value: Any) -> str:
    if key.secret and key.kind == "json":
        names = opened(value)
        return json.dumps(dict.fromkeys(json.loads(names), MASK)) if names else MASK
    if key.secret:
        return MASK
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
