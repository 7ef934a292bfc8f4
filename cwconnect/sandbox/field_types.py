"""What ConnectWise's lists take in a write: the methods of each list, and the fields of its records with their types.

`field_types.json` holds facts of ConnectWise's OpenAPI (2022.1). A list names the type of its records and its methods:
`C` creates, `U` puts, `P` patches, `D` deletes, `-` none of them. A field's code is `s` text (with the characters it
may have), `i` and `n` whole and other numbers, `b` true or false, `d` a date, `e:One|Two` one of several words, `a`
and `o` an array and an object, `r:/list` a reference into a list; `{board}` in it is the id of the record's own board.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_NUMBERED = re.compile(r"/\d{1,18}(?=/)")


@dataclass(frozen=True)
class FieldType:
    """One field: the first letter of its code, the characters of a text, the words of a choice, where it refers to."""

    kind: str
    longest: int | None = None
    words: tuple[str, ...] = ()
    target: str = ""


@dataclass(frozen=True)
class RecordType:
    """The records of a list: their fields by name, and the letters of the methods that write them."""

    fields: Mapping[str, FieldType]
    methods: str

    def spelled(self, name: str) -> str:
        """Return a field's name as ConnectWise writes it; a name that is none of its fields comes back as it is."""
        return name if name in self.fields else self._by_lower_case.get(name.lower(), name)

    @property
    def _by_lower_case(self) -> Mapping[str, str]:
        return {name.lower(): name for name in self.fields}


def record_type(path: str) -> RecordType | None:
    """Return the type of the records of a list, nested or not, by its path; None for a list not of ConnectWise's."""
    return _by_template(_NUMBERED.sub("/{}", path).rstrip("/").lower())


def list_of(entity: str, *, nested: bool) -> str | None:
    """Return the path of the list whose records are called `entity`, in any case; with `{}` for a parent's id."""
    return _by_entity(nested).get(entity.lower())


@cache
def _by_entity(nested: bool) -> Mapping[str, str]:  # a key of the cache
    found: dict[str, str] = {}
    for path, code in _facts()["lists"].items():
        if ("{}" in path) == nested:
            found.setdefault(code.split()[0].rpartition(".")[2].lower(), path)
    return found


@cache
def _by_template(template: str) -> RecordType | None:
    found = _facts()["lists"].get(template)
    if found is None:
        return None
    name, methods = found.split()
    fields = (field.split("=", 1) for field in _facts()["types"][name].split())
    return RecordType({key: _field_type(code) for key, code in fields}, methods)


def _field_type(code: str) -> FieldType:
    kind, _, more = code.rstrip("*").partition(":")
    longest = int(kind[1:]) if kind[1:] else None
    if kind == "e":
        return FieldType(kind, words=tuple(more.split("|")))
    return FieldType(kind[0], longest, target=more)


@cache
def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((Path(__file__).parent / "field_types.json").read_text(encoding="utf-8"))
    return facts | {"lists": {path.rstrip("/").lower(): code for path, code in facts["lists"].items()}}
