"""One list of ConnectWise as the hub knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from cwconnect.connectwise.field_table import fields_of

# What a field holds: `date`, `number` or `boolean`. Others are text, or judged by the literal's form.
COMMON_FIELD_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "id": "number",
        "lastUpdated": "date",
        "_info.lastUpdated": "date",
        "dateEntered": "date",
        "_info.dateEntered": "date",
    }
)
_COMPARED: Final[Mapping[str, str]] = MappingProxyType(
    {"date": "date", "integer": "number", "number": "number", "boolean": "boolean"}
)


@dataclass(frozen=True)
class Resource:
    """One list of ConnectWise as the hub knows it. `created_field` is None where records have none (contacts).

    `titles`: of which fields a record's title is made (titles.py). `web_record`: what ConnectWise's own pages call such
    a record (web_links.py); empty where no source says so. `own_types`: of its fields, where they were put together by
    hand; None where ConnectWise's description says them.
    """

    name: str
    path: str
    created_field: str | None
    aliases: tuple[str, ...]
    titles: tuple[str, ...]
    web_record: str
    own_types: Mapping[str, str] | None = field(repr=False, compare=False)

    @property
    def field_types(self) -> Mapping[str, str]:
        """Return what its fields hold, by their dotted names; what it lacks is text."""
        return _described_types(self.path) if self.own_types is None else self.own_types

    @property
    def module(self) -> str:
        """Return the part of ConnectWise that has it, as its path begins: `company`, `service`, …"""
        return self.path.split("/")[1]


def _described_types(path: str) -> Mapping[str, str]:
    """Return what the table of fields says of a list; a reference is compared by its id."""
    types = dict(COMMON_FIELD_TYPES)
    for each in fields_of(path):
        if kind := _COMPARED.get(each.type):
            types[each.name] = kind
        elif each.native_type.endswith("Reference"):
            types[f"{each.name}.id"] = "number"
    return MappingProxyType(types)
