"""What a filter asks for in a few words, for people: `incidents · updated · status.name became Closed`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from polling.filters.reading import FilterError, parse_filter

EVERYTHING: Final = "every event"
_NAMED: Final = 4  # names in a row before the rest is counted
_LONGEST: Final = 200  # characters of one condition


def words_of_filter(text: str) -> str:
    """Return what a filter asks for; `text` is its JSON, or empty. All parts of what is returned are to be met."""
    if not text:
        return EVERYTHING
    try:
        parse_filter(text)
    except FilterError as error:
        return f"what can’t be read any more: {error}"
    return " · ".join(_bounded(part) for part in _parts(json.loads(text))) or EVERYTHING


def _parts(wanted: Mapping[str, Any]) -> Iterator[str]:
    if wanted.get("resources"):
        yield _listed(wanted["resources"])
    if wanted.get("kinds"):
        yield _listed([kind.lower() for kind in wanted["kinds"]], "or")
    if wanted.get("changed"):
        yield f"{_listed(wanted['changed'], 'or')} changed"
    before, after = wanted.get("from") or {}, wanted.get("to") or {}
    for name in dict.fromkeys((*before, *after)):
        yield _change(name, before, after)
    if wanted.get("where"):
        yield f"where {' '.join(wanted['where'].split())}"


def _change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if name not in after:
        return f"{name} was {_values(before[name])}"
    if name not in before:
        return f"{name} became {_values(after[name])}"
    return f"{name} from {_values(before[name])} to {_values(after[name])}"


def _values(wanted: Any) -> str:
    return _listed([_value(each) for each in (wanted if isinstance(wanted, list) else [wanted])], "or")


def _value(wanted: Any) -> str:
    """Write a value without quotes, but for a text that would be taken for another value, or not be seen."""
    if wanted is None:
        return "nothing"
    if not isinstance(wanted, str):
        return json.dumps(wanted)
    return wanted if wanted.strip() == wanted != "" else json.dumps(wanted, ensure_ascii=False)


def _listed(names: Sequence[str], last: str = "and") -> str:
    """Write names as a list; of many the first ones, and how many more there are."""
    if len(names) > _NAMED:
        names = [*names[: _NAMED - 1], f"{len(names) - _NAMED + 1} others"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def _bounded(part: str) -> str:
    return part if len(part) <= _LONGEST else f"{part[: _LONGEST - 1]}…"
