"""The fields of ConnectWise's records by list: names, kinds, what is required; facts of its OpenAPI description.

`fields.json` beside this has them. A field is written as its native type, and after it `!` where it is required, its
longest length in brackets, and behind `=` the values that it takes: `string!(30)`, `string=Female|Male`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_PLAIN: Mapping[str, str] = {"date-time": "date"} | {
    name: name for name in ("string", "integer", "number", "boolean", "date", "object")
}
_WRITTEN = re.compile(r"(?P<native>[\w-]+(?:\[\])*)(?P<required>!?)(?:\((?P<longest>\d+)\))?(?:=(?P<choices>.+))?")
_FIXED = ("id", "_info")  # what ConnectWise alone writes


@dataclass(frozen=True)
class Field:
    """One field of a record; `type` is one of string, integer, number, boolean, date, object, array.

    `max_length` is None where none is known, `choices` are empty where any value may stand.
    """

    name: str
    type: str
    native_type: str
    required: bool = False
    read_only: bool = False
    max_length: int | None = None
    choices: tuple[str, ...] = ()


@lru_cache(maxsize=512)
def fields_of(path: str) -> tuple[Field, ...]:
    """Return the fields of the list at ConnectWise's `path`, in any case; none of a list that the table lacks."""
    table = _table()
    # Below a record: /company/companies/5/sites stands there as /company/companies/{}/sites.
    record = table["lists"].get(re.sub(r"/[0-9]+(?=/)", "/{}", path.rstrip("/").lower()))
    return tuple(_field(name, text) for name, text in table["records"].get(record, {}).items())


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("fields.json").read_text("utf-8"))
    return table | {"lists": {path.lower(): record for path, record in table["lists"].items()}}


def _field(name: str, text: str) -> Field:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(f"The table of fields has {name} as {text!r}.")
    native, longest, choices = found["native"], found["longest"], found["choices"]
    return Field(
        name=name,
        type="array" if native.endswith("[]") else _PLAIN.get(native, "object"),
        native_type=native,
        required=bool(found["required"]),
        read_only=name in _FIXED,
        max_length=int(longest) if longest else None,
        choices=tuple(choices.split("|")) if choices else (),
    )
