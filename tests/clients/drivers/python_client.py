"""Calls through a client that openapi-python-client made."""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import pkgutil
import re
import sys
import typing
from typing import Any

PACKAGE = "cwconnect_client"


def plain(name: str) -> str:
    """Return a name without what generators change about it."""
    return re.sub("[^a-z0-9]", "", name.lower())


def find(identifier: str) -> Any:
    """Return the module of an operation."""
    api = importlib.import_module(f"{PACKAGE}.api")
    for each in pkgutil.walk_packages(api.__path__, f"{PACKAGE}.api."):
        if plain(each.name.rpartition(".")[2]) == plain(identifier):
            return importlib.import_module(each.name)
    raise LookupError(f"no operation {identifier}")


def choices(hint: Any) -> list[Any]:
    """Return the types that a parameter may have."""
    return [each for part in typing.get_args(hint) for each in choices(part)] or [hint]


def argument(value: Any, hint: Any) -> Any:
    """Return a value as the client wants it: an enumeration's member, or a body's model."""
    for each in choices(hint):
        if isinstance(each, type) and issubclass(each, enum.Enum):
            return each(value)
        if hasattr(each, "from_dict"):
            return each.from_dict(value)
    return value


def value_of(parsed: Any) -> Any:
    """Return what a model says."""
    if isinstance(parsed, list):
        return [value_of(each) for each in parsed]
    return parsed.to_dict() if hasattr(parsed, "to_dict") else parsed


def call(asked: dict[str, Any], folder: str, url: str) -> dict[str, Any]:
    """Make one call."""
    package = importlib.import_module(PACKAGE)
    client = package.AuthenticatedClient(
        base_url=url, token=asked["authorization"], prefix="", raise_on_unexpected_status=True, timeout=60
    )
    module = find(asked["id"])
    hints = typing.get_type_hints(module.sync_detailed)
    names = {plain(name): name for name in inspect.signature(module.sync_detailed).parameters}
    given = {names[plain(name)]: value for name, value in asked["parameters"].items()}
    if asked["body"] is not None:
        given["body"] = asked["body"]
    ready = {name: argument(value, hints[name]) for name, value in given.items()}
    with client:
        answered = module.sync_detailed(client=client, **ready)
    return {
        "status": answered.status_code.value,
        "raw": answered.content.decode(),
        "parsed": value_of(answered.parsed),
        "sent": value_of(ready.get("body")),
    }


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(call(json.loads(line), *sys.argv[1:3])), flush=True)  # noqa: T201  (its answer)
