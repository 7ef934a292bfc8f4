"""Values of a filter as people type them, `Closed, 17, "a, b"`, and back. Pure.

What reads as a number, as true, false or null is that; anything else is a text. One that would be read otherwise, or
that holds a comma, stands in double quotes, as in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Final

from cwconnect.core.unseen import trim
from polling.filters.reading import Scalar

_NEXT: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"(?=\s*(?:,|$))|[^,]*)(?:,|$)', re.DOTALL)


def values_of(typed: str) -> list[Scalar]:
    """Read what was typed: one value, or several with commas between; none of a text that is blank.

    Nothing that can be typed is refused: a quote without its end is part of a text.
    """
    return [_value(part) for part in _parts(typed) if part]


def text_of(values: Sequence[Scalar]) -> str:
    """Write values so that `values_of` reads these; the inverse of it."""
    return ", ".join(_written(value) for value in values)


def _parts(typed: str) -> Iterator[str]:
    place = 0
    while place < len(typed) and (found := _NEXT.match(typed, place)):
        yield trim(found[1])
        place = found.end()


def _value(part: str) -> Scalar:
    try:
        found = json.loads(part, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return part
    if isinstance(found, float) and not isfinite(found):
        return part
    return found if found is None or isinstance(found, str | int | float) else part


def _refuse(name: str) -> None:
    raise ValueError(name)


def _written(value: Scalar) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    is_plain = value.isprintable() and values_of(value) == [value]  # a field of a page has no line ends, for one
    return value if is_plain else json.dumps(value, ensure_ascii=False)
