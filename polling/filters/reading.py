"""A filter, read from JSON (docs/wire-contract.md#filters). Every mistake names its member."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from cwconnect.connectwise.catalogue import find_resource
from cwconnect.connectwise.ceql.emails import check_emails
from cwconnect.connectwise.ceql.evaluation import Condition, compile_where
from cwconnect.connectwise.ceql.parser import parse_where
from cwconnect.connectwise.ceql.tree import Node, WhereError
from cwconnect.connectwise.resource import COMMON_FIELD_TYPES

LONGEST: Final = 4096  # bytes of JSON
MOST: Final = 100  # names or values in one list
KINDS: Final = ("CREATED", "UPDATED", "DELETED")
Scalar = str | int | float | bool | None
Values = tuple[tuple[str, tuple[Scalar, ...]], ...]  # of fields, by their paths
_PATH: Final = re.compile(r"[^.\x00-\x1f]{1,100}(?:\.[^.\x00-\x1f]{1,100}){0,9}")


class FilterError(ValueError):
    """A filter that can't be read; the message begins with the member at fault, and is no whole sentence."""


@dataclass(frozen=True)
class Filter:
    """What an event has to meet, all of it; what is None or empty asks for nothing.

    `earlier` and `later` have for each field the values of which it must have had, or has now, one. `conditions` keeps
    `where` compiled by resource, since what a field holds depends on it.
    """

    resources: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    where: Node | None = None
    changed: tuple[str, ...] = ()
    earlier: Values = ()
    later: Values = ()
    conditions: dict[str, Condition] = field(default_factory=dict, compare=False, repr=False)

    @property
    def asks_of_changes(self) -> bool:
        """Whether it asks which fields changed."""
        return bool(self.changed or self.earlier or self.later)

    def condition(self, where: Node, resource: str) -> Condition:
        """Return `where` as it is judged on records of a resource; `WhereError` where they can't be judged by it."""
        name = resource.lower()
        if name not in self.conditions:
            known = find_resource(name)
            if known is not None and known.name == "contacts":
                check_emails(where)
            types = known.field_types if known else COMMON_FIELD_TYPES
            self.conditions[name] = compile_where(where, field_types=types)
        return self.conditions[name]


def parse_filter(text: str) -> Filter:
    """Read a filter's JSON text; `FilterError`."""
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST:
        raise FilterError(f"it is longer than {LONGEST:,} bytes")
    try:
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise FilterError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise FilterError("it holds half of a surrogate pair, which is no character") from None
    except FilterError:
        raise
    except ValueError as error:
        raise FilterError(f"it is no valid JSON: {error}") from None
    return read_filter(value)


def read_filter(value: object) -> Filter:
    """Read a filter that was JSON; `FilterError`."""
    if not isinstance(value, dict):
        raise FilterError("it must be a JSON object")
    if unknown := [name for name in value if name not in _READERS]:
        raise FilterError(f"{unknown[0][:50]}: is not known here; there are {', '.join(_READERS)}")
    # What is null is as if it were left out.
    parts = {name: _READERS[name](name, item) for name, item in value.items() if item is not None}
    read = Filter(
        resources=parts.get("resources"),
        kinds=parts.get("kinds"),
        where=parts.get("where"),
        changed=parts.get("changed", ()),
        earlier=parts.get("from", ()),
        later=parts.get("to", ()),
    )
    if read.where is not None:
        for resource in sorted(read.resources or ("",)):
            try:
                read.condition(read.where, resource)
            except WhereError as error:
                raise FilterError(f"where: {error}".removesuffix(".")) from None
    return read


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise FilterError(f"{twice[:50]}: is given more than once")
    return dict(pairs)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _names(member: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise FilterError(f"{member}: must be a list of at least one name")
    if len(value) > MOST:
        raise FilterError(f"{member}: has {len(value)} names; {MOST} is the most")
    for place, name in enumerate(value):
        if not isinstance(name, str) or not 0 < len(name.strip()) <= 200:
            raise FilterError(f"{member}.{place}: must be a text of 1 to 200 characters")
    return tuple(name.strip() for name in value)


def _resources(member: str, value: object) -> frozenset[str]:
    return frozenset(name.lower() for name in _names(member, value))


def _kinds(member: str, value: object) -> frozenset[str]:
    names = _names(member, value)
    for place, name in enumerate(names):
        if name.upper() not in KINDS:
            raise FilterError(f"{member}.{place}: must be one of {', '.join(KINDS)}")
    return frozenset(name.upper() for name in names)


def _where(member: str, value: object) -> Node:
    if not isinstance(value, str) or not value.strip():
        raise FilterError(f"{member}: must be a text that is not empty")
    try:
        return parse_where(value)
    except WhereError as error:
        raise FilterError(f"{member}: {error}".removesuffix(".")) from None


def _changed(member: str, value: object) -> tuple[str, ...]:
    names = _names(member, value)
    _check_paths(((f"{member}.{place}", name) for place, name in enumerate(names)))
    return names


def _check_paths(paths: Iterable[tuple[str, str]]) -> None:
    for place, path in paths:
        if not _PATH.fullmatch(path):
            raise FilterError(f"{place}: must be the name of a field, like status.name, at most ten names deep")


def _values(member: str, value: object) -> Values:
    if not isinstance(value, dict) or not value:
        raise FilterError(f'{member}: must be an object of fields and values, like {{"status.name":"Closed"}}')
    if len(value) > MOST:
        raise FilterError(f"{member}: has {len(value)} fields; {MOST} is the most")
    _check_paths((f"{member}.{name[:50]}", name) for name in value)
    return tuple((name, _scalars(f"{member}.{name[:50]}", wanted)) for name, wanted in value.items())


def _scalars(place: str, value: object) -> tuple[Scalar, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or len(values) > MOST:
        raise FilterError(f"{place}: has {len(values)} values; 1 to {MOST} may be given")
    if not all(item is None or isinstance(item, str | int | float) for item in values):
        raise FilterError(f"{place}: must be a text, a number, true, false or null, or a list of those")
    return tuple(values)


_READERS: Final[Mapping[str, Callable[[str, object], Any]]] = MappingProxyType(
    {"resources": _resources, "kinds": _kinds, "where": _where, "changed": _changed, "from": _values, "to": _values}
)
