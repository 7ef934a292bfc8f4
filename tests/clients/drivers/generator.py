"""Calls through a client that openapi-generator made for Python."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import typing
from typing import Any

PACKAGE = "generated"


def plain(name: str) -> str:
    """Return a name without what generators change about it."""
    return re.sub("[^a-z0-9]", "", name.lower())


def find(asked: dict[str, Any], client: Any) -> Any:
    """Return the method of an operation."""
    group = importlib.import_module(f"{PACKAGE}.api")
    kinds = [each for each in vars(group).values() if isinstance(each, type)]
    kind = next(each for each in kinds if plain(each.__name__) == plain(asked["tag"]) + "api")
    made = kind(client)
    wanted = plain(asked["id"] + "_with_http_info")
    return next(getattr(made, name) for name in dir(made) if plain(name) == wanted)


def model_of(hint: Any) -> Any:
    """Return the model among the types that a parameter may have, or None."""
    if hasattr(hint, "from_dict"):
        return hint
    return next((found for part in typing.get_args(hint) if (found := model_of(part))), None)


def call(asked: dict[str, Any], url: str) -> dict[str, Any]:
    """Make one call."""
    package = importlib.import_module(PACKAGE)
    configuration = package.Configuration(host=url, api_key={"secrets": asked["authorization"]})
    with package.ApiClient(configuration) as client:
        method = find(asked, client)
        parameters = inspect.signature(method).parameters
        names = {plain(name): name for name in parameters if not name.startswith("_")}
        ready = {names[plain(name)]: value for name, value in asked["parameters"].items()}
        body = None
        if asked["body"] is not None:
            hints = typing.get_type_hints(method)
            name, model = next((name, found) for name in names.values() if (found := model_of(hints[name])))
            body = ready[name] = model.from_dict(asked["body"])
        try:
            answered = method(**ready)
        except package.ApiException as error:
            return {"status": error.status, "raw": error.body, "sent": None} | {
                "parsed": client.sanitize_for_serialization(error.data)
            }
        raw = answered.raw_data.decode()
        return {
            "status": answered.status_code,
            "raw": raw,
            "parsed": client.sanitize_for_serialization(answered.data),
            "sent": client.sanitize_for_serialization(body),
        }


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(call(json.loads(line), sys.argv[2])), flush=True)  # noqa: T201  (its answer)
