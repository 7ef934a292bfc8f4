"""The lists of ConnectWise's API that have no kind of record of their own: reference lists, nested lists, all others.

They are made when they are first asked for. `list_models.json` holds facts of ConnectWise's OpenAPI (2022.1): for
each list the name of its records, and of their fields those that are required, that name the record, or that lead to
its parent; behind them `unstamped` where its records have no `_info`. A field's code is `s` text, `i` and `n`
numbers, `b` true or false, `d` a date, `a` and `o` an array and an object, `e:Value` one of several words, `r:/list`
a reference into a list and `q:/list` one without a name; `*` behind it says that it is required.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from cwconnect.sandbox import parts
from cwconnect.sandbox.catalogue import ListSpec
from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.parts import Draw
from cwconnect.sandbox.reference_names import NAMES, child_id, more
from cwconnect.sandbox.timestamps import to_text

ATTACHED = "ConfigurationReference"
"""The records of lists that hold what was attached to their parents, under its own ids."""
_OTHERS = 2
"""The records of a list whose words nobody thought of."""
_NESTED = re.compile(r"(?P<list>/.+?)/(?P<parent>\d{1,18})/(?P<child>[^/].*)")
_NAMING = {"name", "description", "caption", "summary"}


@dataclass(frozen=True)
class Model:
    """A list's records: their name, and their fields with the codes above. `template` has `{}` for a parent's id."""

    template: str
    entity: str
    fields: dict[str, str]
    stamped: bool


@dataclass(frozen=True)
class Parent:
    """Whose list a nested one is: the path of the parent's list, and the parent's id."""

    path: str
    number: int


def spec_at(path: str) -> ListSpec | None:
    """Return the list at a path, in any case; None where ConnectWise has none or it is nested."""
    model = _models().get(path.rstrip("/").lower())
    return None if model is None or "{}" in model.template else _spec(model, model.template, None)


def nested_at(path: str) -> tuple[Parent, ListSpec] | None:
    """Return the nested list at a path, such as `/service/boards/1/statuses`, and whose it is; None for other paths."""
    found = _NESTED.fullmatch(path.rstrip("/"))
    model = _models().get(f"{found['list']}/{{}}/{found['child']}".lower()) if found else None
    if found is None or model is None:
        return None
    parent = Parent(model.template.partition("/{}")[0], int(found["parent"]))
    return parent, _spec(model, model.template.replace("{}", found["parent"]), parent)


def _spec(model: Model, path: str, parent: Parent | None) -> ListSpec:
    names, attached = NAMES.get(model.template, ()), model.entity == ATTACHED and parent is not None
    return ListSpec(
        path,
        path,
        model.entity,
        tuple(name for name, code in model.fields.items() if code.endswith("*")),
        edit="name" if "name" in model.fields else next(iter(model.fields), "name"),
        created="info" if model.stamped else "unstamped",
        aside=True,
        kind=partial(_record, model, parent),
        first=child_id(parent.number, 0) if parent else 1,
        amount=0 if attached else len(names) or _OTHERS,
        linking=_linking(model, parent) if parent else (),
    )


def _linking(model: Model, parent: Parent) -> tuple[str, ...]:
    """Return the fields that lead to the parent, as `_value` fills them."""
    whole = {f"r:{parent.path}", f"q:{parent.path}"}
    return tuple(
        name
        for name, code in model.fields.items()
        if code.rstrip("*") in whole or (code.rstrip("*") == "i" and name.endswith("Id"))
    )


@cache
def _models() -> dict[str, Model]:
    text = (Path(__file__).parent / "list_models.json").read_text(encoding="utf-8")
    return {
        path.lower(): Model(path, entity, fields, stamped=not unstamped)
        for path, (entity, fields, *unstamped) in json.loads(text).items()
    }


def _record(model: Model, parent: Parent | None, number: int, _draw: Draw, stamp: int) -> Record:
    place = number - (child_id(parent.number, 0) if parent else 1)
    names = NAMES.get(model.template, ())
    name = names[place] if place < len(names) else f"{_words(model.entity)} {number}"
    made = {key: _value(key, code, name, parent, stamp) for key, code in model.fields.items()}
    return {key: value for key, value in made.items() if value is not None} | more(model.template, place)


def _value(key: str, code: str, name: str, parent: Parent | None, stamp: int) -> object:
    """Return a field's value; None for what is neither needed nor known."""
    kind, _, more_of_it = code.rstrip("*").partition(":")
    if kind in {"r", "q"}:
        number = parent.number if parent and parent.path == more_of_it else 1
        found = _reference(key, more_of_it, number)
        return found if kind == "r" else {name: found[name] for name in ("id", "_info")}
    if kind == "i" and parent and key.endswith("Id"):
        return parent.number
    plain = {"i": 1, "n": 1.0, "b": False, "d": to_text(stamp), "e": more_of_it, "a": [], "o": {}}
    if kind in plain:
        return plain[kind]
    return name if key in _NAMING else name.replace(" ", "")[:15]


def _reference(key: str, path: str, number: int) -> Record:
    if path == "/company/companies":
        return parts.company_ref(number)
    names = NAMES.get(path, ())
    return parts.ref(number, names[number - 1] if number <= len(names) else f"{key} {number}", key, path)


def _words(entity: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", entity)
