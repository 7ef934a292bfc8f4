"""The body of a transformation, read and checked: every mistake names its field.

Source: docs/wire-contract.md#field-mapping. Scripts, which the product ran, are refused in words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cwconnect.connectwise.catalogue import find_resource
from cwconnect.core.errors import DomainError
from instances.configuration.values import ConfigurationError, resource_name
from instances.hub.mapping_paths import Path, PathError, lists_of, read_path
from instances.hub.mappings import clash_of, is_id

MOST_FIELDS = 500
KINDS, WAYS = ("remove", "passThrough"), ("fromVendor", "toVendor")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_VENDOR_NAME = re.compile(r"/?[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+){1,9}")
_TAKEN = ("ping", "objects", "bulk", "keys", "elements")  # names of routes beside it
_MEMBERS = ("name", "vendorName", "fields", "configuration", "script", "level")


@dataclass(frozen=True)
class Body:
    """What a transformation says, as it is kept and shown."""

    vendor_name: str
    fields: list[dict[str, str]]
    configuration: list[dict[str, Any]]


def read_name(name: str) -> str:
    """Read the name in the path. DomainError for one that can't be a transformation's."""
    if not _NAME.fullmatch(name):
        raise DomainError("name: a transformation's has 1 to 100 letters, digits, - and _, and begins with a letter.")
    if find_resource(name) or name.lower() in _TAKEN:
        raise DomainError(f"name: {name} is the hub's own; call the transformation otherwise.")
    try:
        return resource_name(name)
    except ConfigurationError:
        raise DomainError(f"name: {name} is a name that notifications use themselves; call it otherwise.") from None


def read_body(data: object, name: str) -> Body:
    """Read the body of a PUT. Raises DomainError that names the field at fault."""
    if not isinstance(data, Mapping):
        raise DomainError("The body must be a JSON object.")
    _refuse_scripts(data, "")
    _known_members(data, _MEMBERS, "")
    if data.get("name") not in (None, "", name):
        raise DomainError("name: the body says another than the path.")
    if data.get("level") not in (None, "", "instance"):
        raise DomainError("level: only instance is known here; a transformation belongs to one instance.")
    return Body(_vendor_name(data.get("vendorName")), _fields(data.get("fields")), _ways(data.get("configuration")))


def _refuse_scripts(value: object, place: str, depth: int = 6) -> None:
    """Refuse a script wherever one may stand; one that is null or blank is none."""
    if isinstance(value, Mapping) and depth:
        for name, item in value.items():
            inner = f"{place}.{name}" if place else str(name)
            if str(name).lower() in ("script", "scripts") and item not in (None, "", {}, []):
                raise DomainError(f"{inner}: scripts are not run here; map fields by their paths.")
            _refuse_scripts(item, inner, depth - 1)
    elif isinstance(value, list) and depth:
        for number, item in enumerate(value[: MOST_FIELDS + 1]):
            _refuse_scripts(item, f"{place}[{number}]", depth - 1)


def _known_members(data: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for name in data:
        if name not in known:
            raise DomainError(f"{place}{name[:100]}: is not known here; known are {', '.join(known)}.")


def _vendor_name(given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        raise DomainError("vendorName: is required: the name of a resource, like contacts.")
    name = given.strip()
    resource = find_resource(name)
    if resource is None and (len(name) > 200 or not _VENDOR_NAME.fullmatch(name)):
        raise DomainError(
            f"vendorName: there is no resource {name[:100]!r}; one that the catalogue lacks is written with its "
            "module: finance/taxCodes."
        )
    return resource.name if resource else name.strip("/")


def _fields(given: object) -> list[dict[str, str]]:
    if not isinstance(given, list) or not given:
        raise DomainError("fields: must be a list of objects with path and vendorPath.")
    if len(given) > MOST_FIELDS:
        raise DomainError(f"fields: holds more than {MOST_FIELDS}.")
    pairs = [_field(row, f"fields[{number}]") for number, row in enumerate(given)]
    for member, paths in (("path", [ours for ours, _ in pairs]), ("vendorPath", [vendor for _, vendor in pairs])):
        if (clash := clash_of(paths)) is not None:
            raise DomainError(f"fields[{clash[0]}].{member}: {clash[1]}.")
    _check_lists(pairs)
    return [{"path": row["path"].strip(), "vendorPath": row["vendorPath"].strip()} for row in given]


def _field(row: object, place: str) -> tuple[Path, Path]:
    if not isinstance(row, Mapping):
        raise DomainError(f"{place}: must be an object with path and vendorPath.")
    _known_members(row, ("path", "vendorPath", "type", "script"), f"{place}.")
    ours, vendor = _path(row, "path", place), _path(row, "vendorPath", place)
    if len(ours) != len(vendor):
        raise DomainError(f"{place}.path: has [*] {len(ours) - 1} times, and vendorPath {len(vendor) - 1} times.")
    if ours[0][0] == "id" and not (is_id(ours) and is_id(vendor)):
        raise DomainError(f"{place}.path: id is always ConnectWise's own; call this otherwise.")
    return ours, vendor


def _path(row: Mapping[str, Any], member: str, place: str) -> Path:
    try:
        return read_path(row.get(member))
    except PathError as error:
        raise DomainError(f"{place}.{member}: {error}.") from None


def _check_lists(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Refuse two lists that are made one: their items would stand side by side by mere chance."""
    there: dict[tuple[str, ...], tuple[str, ...]] = {}
    back: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, (ours, vendor) in enumerate(pairs):
        for own, theirs in zip(lists_of(ours), lists_of(vendor), strict=True):
            if there.setdefault(own, theirs) != theirs or back.setdefault(theirs, own) != own:
                raise DomainError(
                    f"fields[{number}].path: the list {'.'.join(own)} stands for another in a field before."
                )


def _ways(given: object) -> list[dict[str, Any]]:
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > len(KINDS) * len(WAYS):
        raise DomainError("configuration: must be a list of at most four objects with type and properties.")
    rows = [_way(row, f"configuration[{number}]") for number, row in enumerate(given)]
    chosen: dict[str, str] = {}
    for number, row in enumerate(rows):
        for way in (way for way, on in row["properties"].items() if on):
            if chosen.setdefault(way, row["type"]) != row["type"]:
                raise DomainError(
                    f"configuration[{number}].properties.{way}: is removed and passed through; choose one."
                )
    return rows


def _way(row: object, place: str) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise DomainError(f"{place}: must be an object with type and properties.")
    _known_members(row, ("type", "properties", "script"), f"{place}.")
    if row.get("type") not in KINDS:
        raise DomainError(f"{place}.type: must be {' or '.join(KINDS)}.")
    properties = row.get("properties")
    if not isinstance(properties, Mapping):
        raise DomainError(f"{place}.properties: must be an object with {' or '.join(WAYS)}.")
    _known_members(properties, WAYS, f"{place}.properties.")
    for way, on in properties.items():
        if not isinstance(on, bool):
            raise DomainError(f"{place}.properties.{way}: must be true or false.")
    return {"type": row["type"], "properties": dict(properties)}
