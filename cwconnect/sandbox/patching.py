"""JSON Patch as ConnectWise takes it: an array of replace, add and remove; a path's first slash may be missing.

Names stand in their own case (docs/connectwise.md#writes). A path into an object, such as `company/id`, changes nothing
and is no error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cwconnect.sandbox.errors import Refused, invalid_object
from cwconnect.sandbox.jsontext import Record

_OPERATIONS = {"replace", "add", "remove"}
Known = Callable[[str], bool]


def apply_patch(record: Record, patch: object, resource: str, known: Known) -> set[str]:
    """Change `record` in place, and return the members concerned; 400 for a patch that can't be applied.

    `known` says of a name if a record may have such a member.
    """
    if not isinstance(patch, list) or not all(isinstance(step, dict) for step in patch):
        raise invalid_object(resource, "A JSON Patch is an array of operations.")
    touched = (_apply(record, step, resource, known) for step in patch)
    return {name for name in [*touched] if name}


def _apply(record: Record, step: dict[str, Any], resource: str, known: Known) -> str:
    """Apply one operation, and return the member it concerns; empty where nothing changes."""
    operation, path = str(step.get("op", "")).lower(), str(step.get("path", ""))
    keys = [key.replace("~1", "/").replace("~0", "~") for key in path.strip("/").split("/")]
    if operation not in _OPERATIONS or not keys[0] or (operation != "remove" and "value" not in step):
        raise invalid_object(resource, f"The operation {step.get('op')} on {path} is not valid.", field=keys[0])
    if keys[0].lower() in {"id", "_info"}:
        raise invalid_object(resource, f"{path} is read-only.", field=keys[0])
    if keys[0] not in record and not known(keys[0]):
        raise _not_found(resource, path, keys[0])
    if len(keys) > 1 and isinstance(record.get(keys[0], {}), dict):
        return ""
    target: Any = record
    try:
        for key in keys[:-1]:
            target = target[_place(key) if isinstance(target, list) else key]
        _change(target, keys[-1], operation, step.get("value"))
    except (LookupError, TypeError, ValueError):
        raise _not_found(resource, path, keys[0]) from None
    return keys[0]


def _not_found(resource: str, path: str, name: str) -> Refused:
    return invalid_object(resource, f"The path {path} was not found.", field=name)


def _change(target: Any, key: str, operation: str, value: object) -> None:
    if isinstance(target, list):
        _change_item(target, key, operation, value)
    elif not isinstance(target, dict):
        raise TypeError(key)
    elif operation == "remove":
        target.pop(key, None)
    else:
        target[key] = value


def _change_item(target: list[Any], key: str, operation: str, value: object) -> None:
    if operation == "remove":
        del target[_place(key)]
    elif operation == "replace":
        target[_place(key)] = value
    else:
        target.insert(len(target) if key == "-" else _place(key), value)


def _place(key: str) -> int:
    """Return a place in an array, which never counts from its end; ValueError."""
    if not key.isdecimal():
        raise ValueError(key)
    return int(key)
