"""A filter as fields of a form, beside the same as JSON; both are one filter. Pure.

What is stored is the JSON. Fields show what stands in it (`fields_of`), and a part of them that was changed is written
into it (`with_part`), which leaves all else as it was. So both can be sent together, and no script is needed to keep
them in step (`read_posted`).

Source: docs/wire-contract.md#filters.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cwconnect.core.unseen import trim
from instances.configuration import values
from instances.configuration.values import ConfigurationError
from polling.filters.reading import KINDS, MOST
from polling.filters.values_as_text import text_of, values_of

FilterJson = dict[str, Any]  # a filter's JSON
PARTS: Final = ("resources", "kinds", "where", "rows")
MOST_ROWS: Final = 3 * MOST
_LONGEST_FIELD: Final = 1009  # characters: ten names of a hundred


@dataclass(frozen=True)
class Row:
    """A field that has to have changed, with what it has to have been and become, as people type it; blank: anything.

    One that says neither is of the list `changed`, of which one has to be met; of the others all have to.
    """

    field: str = ""
    before: str = ""
    after: str = ""

    def __bool__(self) -> bool:
        """Whether anything stands in it."""
        return bool(self.field or self.before or self.after)


@dataclass(frozen=True)
class FilterFields:
    """What the fields of a filter show; nothing chosen is every one."""

    resources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    where: str = ""
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Posted:
    """A filter as it was sent, what its fields show then, and what is wrong with its JSON, if anything."""

    wanted: FilterJson
    fields: FilterFields
    wrong: ConfigurationError | None = None


def written(wanted: Mapping[str, Any]) -> str:
    """Write a filter as JSON for people."""
    return json.dumps(wanted, indent=2, ensure_ascii=False)


def fields_of(wanted: Mapping[str, Any], known: Collection[str] = ()) -> FilterFields:
    """Return what the fields show of a filter's JSON, whatever that is; `known` resources are shown as they are called.

    What can't be shown as fields stays in the JSON, where the rules say what is wrong with it.
    """
    names = {name.lower(): name for name in known}
    resources = dict.fromkeys(names.get(each.lower(), each) for each in _texts(wanted.get("resources")))
    kinds = {each.upper() for each in _texts(wanted.get("kinds"))}
    where = wanted.get("where")
    before, after = (_scalars(wanted.get(member)) for member in ("from", "to"))
    rows = [Row(name) for name in dict.fromkeys(_texts(wanted.get("changed")))]
    rows += [Row(name, before.get(name, ""), after.get(name, "")) for name in dict.fromkeys((*before, *after))]
    return FilterFields(
        resources=tuple(sorted(resources)),
        kinds=tuple(kind for kind in KINDS if kind in kinds),
        where=_line(where) if isinstance(where, str) else "",
        rows=tuple(rows),
    )


def read_posted(whole: str, was: str, typed: FilterFields | None, known: Collection[str] = ()) -> Posted:
    """Return the filter that was sent. `whole` is its JSON, `was` the JSON that all of the form showed first.

    The JSON counts, and in it each part of the fields that was changed by itself: `typed` is what stood in them, None
    where they were not sent.
    """
    first, _ = _read(was, {})
    wanted, wrong = _read(whole, first)
    if typed is None:
        return Posted(wanted, fields_of(wanted, known), wrong)
    shown_first, said = fields_of(first, known), replace(typed, rows=tuple(each for each in typed.rows if each))
    for part in PARTS:
        if getattr(said, part) != getattr(shown_first, part):
            wanted = with_part(wanted, part, said)
    shown = fields_of(wanted, known)
    # A row that says too little is in no JSON: it is shown as it was typed.
    rows = typed.rows if problems_of(typed.rows) else shown.rows
    return Posted(wanted, FilterFields(shown.resources, shown.kinds, shown.where, rows), wrong)


def with_part(wanted: Mapping[str, Any], part: str, typed: FilterFields) -> FilterJson:
    """Return a filter's JSON with one part of the fields written into it; what is empty asks for nothing."""
    if part == "rows":
        given = _of_rows(typed.rows)
    else:
        shown = getattr(typed, part)
        given = {part: list(shown) if isinstance(shown, tuple) else shown}
    return {name: value for name, value in ({**wanted, **given}).items() if value or name not in given}


def problems_of(rows: Sequence[Row]) -> dict[int, str]:
    """Return what is wrong with rows by themselves, by their places."""
    found: dict[int, str] = {}
    seen: set[str] = set()
    for place, row in enumerate(rows):
        if row and not row.field:
            found[place] = "Name the field that these values are of."
        elif len(row.field) > _LONGEST_FIELD:
            found[place] = "This is longer than the name of any field: status.name, for example."
        elif (row.before or row.after) and row.field in seen:
            found[place] = "This field has a line already: several values stand in one, with commas between."
        if row.before or row.after:
            seen.add(row.field)
    return found


def _of_rows(rows: Sequence[Row]) -> FilterJson:
    before = {row.field: _one_or_several(row.before) for row in rows if row.field and row.before}
    after = {row.field: _one_or_several(row.after) for row in rows if row.field and row.after}
    changed = [row.field for row in rows if row.field and not (row.before or row.after)]
    return {"changed": list(dict.fromkeys(changed)), "from": before, "to": after}


def _one_or_several(typed: str) -> Any:
    found = values_of(typed)
    return found[0] if len(found) == 1 else found


def _read(text: str, instead: FilterJson) -> tuple[FilterJson, ConfigurationError | None]:
    try:
        return values.json_object(text if trim(text) else "{}"), None
    except ConfigurationError as error:
        return dict(instead), error


def _texts(given: Any) -> list[str]:
    return [each for each in given if isinstance(each, str)] if isinstance(given, list) else []


def _scalars(given: Any) -> dict[str, str]:
    """Return the values of each field as people type them; without those that no field can show."""
    found = {}
    for name, value in (given if isinstance(given, dict) else {}).items():
        wanted = value if isinstance(value, list) else [value]
        if wanted and all(each is None or isinstance(each, str | int | float) for each in wanted):
            found[name] = text_of(wanted)
    return found


def _line(text: str) -> str:
    """Return a text as a browser sends it back: its line ends are one kind, and none stand around it."""
    return trim(text.replace("\r\n", "\n").replace("\r", "\n"))
