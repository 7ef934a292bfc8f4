"""JSON Patch as ConnectWise takes it: an array of replace, add and remove; a path's first slash may be missing."""

from __future__ import annotations

from typing import Any

from cwconnect.sandbox.errors import invalid_object
from cwconnect.sandbox.jsontext import Record

_OPERATIONS = {"replace", "add", "remove"}


def apply_patch(record: Record, patch: object, resource: str) -> Record:
    """Change `record` in place and give it; 400 for a patch that can't be applied."""
    if not isinstance(patch, list) or not all(isinstance(step, dict) for step in patch):
        raise invalid_object(resource, "A JSON Patch is an array of operations.")
    for step in patch:
        _apply(record, step, resource)
    return record


def _apply(record: Record, step: dict[str, Any], resource: str) -> None:
    operation, path = str(step.get("op", "")).lower(), str(step.get("path", ""))
    keys = [key.replace("~1", "/").replace("~0", "~") for key in path.strip("/").split("/")]
    if operation not in _OPERATIONS or not keys[0] or (operation != "remove" and "value" not in step):
        raise invalid_object(resource, f"The operation {step.get('op')} on {path} is not valid.")
    if keys[0].lower() in {"id", "_info"}:
        raise invalid_object(resource, f"{path} is read-only.")
    target: Any = record
    try:
        for key in keys[:-1]:
            target = target[int(key)] if isinstance(target, list) else target.setdefault(_spelled(target, key), {})
        _change(target, keys[-1], operation, step.get("value"))
    except (LookupError, TypeError, ValueError):
        raise invalid_object(resource, f"The path {path} was not found.") from None


def _spelled(holder: dict[str, Any], key: str) -> str:
    """Names stand in any case."""
    return next((known for known in holder if known.lower() == key.lower()), key)


def _change(target: Any, key: str, operation: str, value: object) -> None:
    if isinstance(target, list):
        _change_item(target, key, operation, value)
    elif not isinstance(target, dict):
        raise TypeError(key)
    elif operation == "remove":
        target.pop(_spelled(target, key), None)
    else:
        target[_spelled(target, key)] = value


def _change_item(target: list[Any], key: str, operation: str, value: object) -> None:
    if operation == "remove":
        del target[int(key)]
    elif operation == "replace":
        target[int(key)] = value
    else:
        target.insert(len(target) if key == "-" else int(key), value)
