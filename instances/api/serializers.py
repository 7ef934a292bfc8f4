"""Bodies of the REST API: what a request to create or change an instance says, and how an instance is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cwconnect.core.errors import DomainError
from cwconnect.core.unseen import find_unseen_in_name, trim
from instances.configuration import config_keys, wire
from instances.configuration.values import ConfigurationError, json_object
from instances.connector import ELEMENT, KEY
from instances.missing_fields import warnings_of
from instances.models import Instance

_MOST_TAGS = 100


@dataclass(frozen=True)
class Body:
    """A request to create or change an instance; None is what the request leaves out, or names as null."""

    name: str | None
    tags: list[str] | None
    configuration: Mapping[str, Any]


def read_body(data: object) -> Body:
    """Read the body of POST, PUT or PATCH; keys that nobody knows are ignored. DomainError.

    Source: docs/wire-contract.md#2-instances.
    """
    if not isinstance(data, dict):
        raise DomainError("The body must be a JSON object.")
    _check_element(data.get("element"))
    given = data.get("configuration")
    try:
        settings = {} if given in (None, "") else json_object(given)
    except ConfigurationError as error:
        raise ConfigurationError({"configuration": error.problems[""]}) from None
    return Body(_read_name(data), _read_tags(data), settings)


def _check_element(given: object) -> None:
    """Refuse another connector than ours; a body without one can only mean ours."""
    key = given.get("key") if isinstance(given, dict) else given
    if key not in (None, "", KEY):
        raise DomainError(f"element.key must be {KEY}: it is the only connector here.")


def _read_name(data: Mapping[str, Any]) -> str | None:
    name = data.get("name")
    if name is None:  # what generated clients send for what was not set
        return None
    if not isinstance(name, str):
        raise DomainError("name must be a text.")
    name = trim(name) or str(ELEMENT["name"])
    if len(name) > 200:
        raise DomainError("name is longer than 200 characters.")
    if unseen := find_unseen_in_name(name):
        raise DomainError(f"name holds {unseen}.")
    return name


def _read_tags(data: Mapping[str, Any]) -> list[str] | None:
    if data.get("tags") is None:
        return None
    tags = [] if data["tags"] == "" else data["tags"]
    if not isinstance(tags, list) or not all(isinstance(tag, str) and len(tag) <= 200 for tag in tags):
        raise DomainError("tags must be a list of texts of at most 200 characters.")
    tags = list(dict.fromkeys(trim(tag) for tag in tags if trim(tag)))
    for number, tag in enumerate(tags, 1):
        if unseen := find_unseen_in_name(tag):
            raise DomainError(f"tags: number {number} holds {unseen}.")
    if len(tags) > _MOST_TAGS:
        raise DomainError(f"tags holds more than {_MOST_TAGS} tags.")
    return tags


def instance_body(instance: Instance, *, token: str | None = None) -> dict[str, Any]:
    """Return an instance as the contract shows it, with its token where one is given."""
    made = {"token": token} if token else {}
    warnings = [f"{poll.name}: {words}" for poll in instance.resource_polls.all() for words in warnings_of(poll)]
    return {
        "id": instance.pk,
        "name": instance.name,
        "createdDate": write_time(instance.created_at),
        **made,
        "element": ELEMENT,
        "elementId": ELEMENT["id"],
        "tags": instance.tags,
        "provisionInteractions": [],
        "valid": True,
        "disabled": instance.disabled,
        "configuration": wire.to_wire(instance),
        "eventsEnabled": instance.events_enabled,
        "eventsNotificationCallbackUrl": instance.callback_url,
        "traceLoggingEnabled": False,
        "cachingEnabled": False,
        "externalAuthentication": "none",
        "user": {"id": instance.created_by_id},
        **({"warnings": warnings} if warnings else {}),
    }


def configuration_rows(instance: Instance) -> list[dict[str, Any]]:
    """Return an instance's configuration as rows, one a key, in the order of the table."""
    values = wire.to_wire(instance)
    return [configuration_row(key, values.get(key.name), number) for number, key in enumerate(config_keys.KEYS, 1)]


def configuration_row(key: config_keys.Key, value: str | None, number: int) -> dict[str, Any]:
    """Return one key with its value; `number` is its place in the table, which serves as its id."""
    return {
        "id": number,
        "key": key.name,
        "name": key.title,
        "description": key.description,
        "propertyValue": value,
        "active": True,
        "required": key.required,
        "type": key.kind,
    }


def write_time(moment: datetime) -> str:
    """Write a time as the contract does: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
