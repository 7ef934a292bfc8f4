"""The values of a write, as ConnectWise takes them: what it reads leniently, and what it refuses, field by field.

Like .NET's JSON reader, ConnectWise takes numbers as text and text as numbers, and words in any case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cwconnect.sandbox.field_types import FieldType
from cwconnect.sandbox.timestamps import to_text

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.IGNORECASE)
_FRACTION = re.compile(r"\.\d+")


@dataclass(frozen=True)
class Problem:
    """Why a field can't be taken: ConnectWise's code, its words, and the field's name."""

    code: str
    message: str
    field: str


class UnfitValueError(ValueError):
    """A value is of another type than its field; the message says what is wanted."""


def plain_value(name: str, value: object, field: FieldType) -> object:
    """Return the value of a field that is no reference, as it is stored; UnfitValueError. None stays None."""
    if value is None:
        return None
    if field.kind == "o":
        return value
    found = _READERS[field.kind](value)
    if field.kind == "s" and field.longest is not None and len(str(found)) > field.longest:
        raise UnfitValueError(f"Length must be {field.longest} or less")
    if field.kind == "e" and found is not None:
        return _word(name, str(found), field.words)
    return found


def id_of(value: object) -> int | None:
    """Return an id given as a number or as digits; None for what is none."""
    try:
        number = whole_number(value)
    except UnfitValueError:
        return None
    return number if isinstance(number, int) and number > 0 else None


def whole_number(value: object) -> int:
    """Return a whole number, read from text if need be; UnfitValueError."""
    found = number(value)
    if found != int(found):
        raise UnfitValueError("A whole number is wanted.")
    return int(found)


def number(value: object) -> int | float:
    """Return a number, read from text if need be; UnfitValueError."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(value)
        found = value if isinstance(value, int | float) else float(value)
        if found - found != 0:  # infinite, or no number
            raise ValueError(value)
        return found
    except ValueError:
        raise UnfitValueError("A number is wanted.") from None


def boolean(value: object) -> bool:
    """Return true or false, read from a word or a number if need be; UnfitValueError."""
    word = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    if word not in {"true", "false", "1", "0"}:
        raise UnfitValueError("True or false is wanted.")
    return word in {"true", "1"}


def date(value: object) -> str:
    """Return a date as ConnectWise shows it: UTC in whole seconds; UnfitValueError."""
    try:
        if not isinstance(value, str) or not _DATE.fullmatch(value.strip()):
            raise ValueError(value)
        instant = datetime.fromisoformat(_FRACTION.sub("", value.strip().upper()))
        return to_text(int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()))
    except (OverflowError, ValueError):
        raise UnfitValueError("A date is wanted, such as 2026-05-04T12:00:00Z.") from None


def text(value: object) -> str:
    """Return a text; numbers become one, arrays and objects do not: UnfitValueError."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float | str):
        raise UnfitValueError("A text is wanted.")
    return str(value)


def _array(value: object) -> object:
    if not isinstance(value, list):
        raise UnfitValueError("An array is wanted.")
    return value


def _word(name: str, given: str, words: tuple[str, ...]) -> str | None:
    found = next((word for word in words if word.lower() == given.strip().lower()), None)
    if found is None and given.strip():
        raise UnfitValueError(f"{name} must be one of {', '.join(words)}.")
    return found


_READERS: dict[str, Callable[[object], object]] = {
    "s": text,
    "e": text,
    "i": whole_number,
    "n": number,
    "b": boolean,
    "d": date,
    "a": _array,
}
