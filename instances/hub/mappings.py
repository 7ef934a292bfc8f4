"""Field mappings: ConnectWise's records in a shape of one's own, and back. Pure, but for `mapping_named`.

Source: docs/wire-contract.md#field-mapping. Both ways go field by field, through lists item by item. `id` is always
ConnectWise's. What the mapping doesn't name is left out of what is shown unless it is passed through, and refused in
what is written unless it is passed through or removed: a value that somebody sent is not dropped unasked.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cwconnect.connectwise.catalogue import find_resource
from cwconnect.core.errors import DomainError
from instances.hub.mapping_paths import Path, moved, name_of, prefixes, read_path, steps_of, without
from instances.models import Instance, Transformation

_OWN_NAMES = ("id", "lastupdated", "dateentered", "_info")  # ConnectWise's own, which conditions take of any record
_ID = read_path("id")


@dataclass(frozen=True)
class MappedField:
    """Where a value stands in the mapped record, and where in ConnectWise's."""

    path: Path
    vendor_path: Path


@dataclass(frozen=True)
class Mapping:
    """A mapping called `name` of the list at ConnectWise's `vendor_path`.

    `keeps_shown` and `keeps_written`: what it doesn't name is passed through when read, and when written.
    `drops_written`: it is left out of what is written, and not refused.
    """

    name: str
    vendor_path: str
    fields: tuple[MappedField, ...]
    keeps_shown: bool = False
    keeps_written: bool = False
    drops_written: bool = False

    def shown(self, record: Dict[str, Any]) -> dict[str, Any]:
        """Return ConnectWise's record as the mapping has it."""
        kept = self._rest(record, [field.vendor_path for field in self.fields]) if self.keeps_shown else {}
        for field in self.fields:
            kept = moved(record, field.vendor_path, kept, field.path)
        return {"id": record["id"], **kept} if "id" in record else kept

    def written(self, body: Dict[str, Any]) -> dict[str, Any]:
        """Return a mapped record, or a part of one, as ConnectWise has it. DomainError names what it can't place."""
        rest = self._rest(body, [field.path for field in self.fields])
        unknown = sorted(name for name in rest if name != "id")
        if unknown and not (self.keeps_written or self.drops_written):
            raise DomainError(f"{unknown[0]}: the transformation {self.name} has no such field.")
        kept = rest if self.keeps_written else {name: value for name, value in rest.items() if name == "id"}
        for field in self.fields:
            kept = moved(body, field.path, kept, field.vendor_path)
        return dict(kept)

    def vendor_names(self, name: str) -> list[str]:
        """Return ConnectWise's dotted names of a field as the mapping calls it, several where that holds several.

        Raises DomainError for one that it doesn't have.
        """
        plain = name.replace("/", ".")
        found = [vendor for field in self.fields if (vendor := _renamed(plain, field))]
        if found:
            return found
        if self.keeps_shown or plain.split(".")[0].lower() in _OWN_NAMES:
            return [plain]
        raise DomainError(f"{name}: the transformation {self.name} has no such field.")

    def own_name(self, vendor_name: str) -> str:
        """Return what the mapping calls a field as ConnectWise's errors name it; as it is where it has none."""
        plain = vendor_name.replace("/", ".")
        for field in self.fields:
            name = name_of(field.vendor_path)
            if plain == name or name.startswith(f"{plain}.") or plain.startswith(f"{name}."):
                return name_of(field.path)
        return vendor_name

    def vendor_name(self, name: str) -> str:
        """Return ConnectWise's name of one field. DomainError where it is none, or is made of several."""
        found = self.vendor_names(name)
        if len(found) > 1:
            raise DomainError(f"{name} holds several fields of the transformation {self.name}; name one of them.")
        return found[0]

    @staticmethod
    def _rest(record: Dict[str, Any], paths: Sequence[Path]) -> dict[str, Any]:
        rest: Any = dict(record)
        for path in paths:
            rest = without(rest, steps_of(path))
        return dict(rest)


def mapping_named(instance: Instance, name: str) -> Mapping | None:
    """Return the instance's mapping of that name, as its case is written; None if there is none."""
    stored = Transformation.objects.filter(instance=instance, name=name).first()
    return None if stored is None else mapping_of(stored)


def names_of(instance: Instance) -> list[str]:
    """Return the names of an instance's mappings, sorted."""
    return sorted(Transformation.objects.filter(instance=instance).values_list("name", flat=True))


def mapping_of(stored: Transformation) -> Mapping:
    """Return a stored transformation, ready to be used."""
    fields = tuple(MappedField(read_path(row["path"]), read_path(row["vendorPath"])) for row in stored.fields)
    kinds = {(row["type"], way) for row in stored.configuration for way, on in row["properties"].items() if on}
    return Mapping(
        name=stored.name,
        vendor_path=vendor_path_of(stored.vendor_name),
        fields=fields,
        keeps_shown=("passThrough", "fromVendor") in kinds,
        keeps_written=("passThrough", "toVendor") in kinds,
        drops_written=("remove", "toVendor") in kinds,
    )


def vendor_path_of(name: str) -> str:
    """Return ConnectWise's path of a list, by its hub name or as `module/resource`."""
    resource = find_resource(name)
    return resource.path if resource else "/" + name.strip("/")


def clash_of(paths: Sequence[Path]) -> tuple[int, str] | None:
    """Return which of the paths can't stand beside those before it, and why; None if all can."""
    kinds: dict[tuple[str, ...], str] = {}
    for number, path in enumerate(paths):
        for place, kind in prefixes(path):
            before = kinds.get(place)
            if before is not None and (before != kind or kind == "a value"):
                again = " again" if before == kind else f", and {before} in a field before it"
                return number, f"makes {'.'.join(place)} {kind}{again}"
            kinds[place] = kind
    return None


def _renamed(name: str, field: MappedField) -> str | None:
    ours, vendor = name_of(field.path), name_of(field.vendor_path)
    if name == ours or ours.startswith(f"{name}."):
        return vendor
    return vendor + name[len(ours) :] if name.startswith(f"{ours}.") else None


def is_id(path: Path) -> bool:
    """Return whether a path is that of the record's own id."""
    return path == _ID
