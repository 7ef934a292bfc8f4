"""The names a list knows: what conditions, orders and fields may call, in any case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.timestamps import looks_like_date

Sort = Literal["text", "number", "boolean", "date", "object", "array", "unknown"]
STAMP_KEYS = ("_info", "lastUpdated")


@dataclass(frozen=True)
class Field:
    """One name: the keys that lead to its value, and what sort of value that is."""

    keys: tuple[str, ...]
    sort: Sort


class Names:
    """The fields seen in a list's records so far. What stands in arrays is kept apart, for childConditions."""

    def __init__(self) -> None:
        self._fields: dict[str, Field] = {}
        self._items: Names | None = None
        self.version = 0

    @property
    def items(self) -> Names:
        """The fields seen inside of arrays, each with the array's name before it."""
        self._items = self._items or Names()
        return self._items

    def learn(self, record: Record, above: tuple[str, ...] = ()) -> None:
        """Take in the names of one record."""
        for key, value in record.items():
            keys = (*above, key)
            name, sort = "/".join(keys).lower(), _sort(value)
            known = self._fields.get(name)
            if known is None or (known.sort == "unknown" and sort != "unknown"):
                self._fields[name] = Field(keys, sort)
                self.version += 1
            if isinstance(value, dict):
                self.learn(value, keys)
            elif isinstance(value, list) and not above:
                for item in value:
                    self.items.learn({key: item})

    def admit(self, name: str) -> None:
        """Let a name be known that no record here has yet, though ConnectWise's do."""
        keys = tuple(name.split("/"))
        self._fields.setdefault(name.lower(), Field(keys, "unknown"))

    def admit_date(self, name: str, keys: tuple[str, ...]) -> None:
        """Let a name stand for a date, perhaps further down."""
        self._fields[name.lower()] = Field(keys, "date")

    def find(self, name: str) -> Field | None:
        """Return the field called `name`, None if no record has had it."""
        return self._fields.get(name.lower())


def _sort(value: object) -> Sort:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "date" if looks_like_date(value) else "text"
