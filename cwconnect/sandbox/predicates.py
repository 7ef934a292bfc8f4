"""The comparisons of `conditions` as Python closures over a row.

They answer True, False or None, as SQL does: a record without the field neither equals nor differs from a value.
Text is compared without regard to case, as ConnectWise's database does.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cwconnect.sandbox.errors import bad_condition
from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.names import STAMP_KEYS, Field
from cwconnect.sandbox.table import Row
from cwconnect.sandbox.timestamps import read_stamp

Predicate = Callable[[Row], bool | None]
Load = Callable[[Row], Record]
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_NO_BOOLEAN = (
    "Expected a boolean value, not a numeric. String values should be enclosed with double or single quotes; DateTime "
    "values should be enclosed in square brackets; numbers should consist of only digits, and optionally a decimal "
    "point and a negation sign; boolean values should be indicated with the keywords true or false; null values should "
    "be indicated by the keyword null."
)
"""What ConnectWise says, as clients quote it."""


@dataclass(frozen=True)
class Value:
    """A literal of the conditions; a date's value is in Unix seconds."""

    sort: Literal["text", "number", "boolean", "date", "null"]
    value: str | float | bool | None
    written: str


def getter(field: Field, load: Load) -> Callable[[Row], Any]:
    """Return what reads a field of a row; id and stamp without parsing the record."""
    if field.keys == ("id",):
        return operator.attrgetter("id")
    if field.keys == STAMP_KEYS:
        return operator.attrgetter("stamp")

    def read(row: Row) -> object:
        value: object = load(row)
        for key in field.keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return read


def compare(field: Field, sign: str, literal: Value, load: Load) -> Predicate:
    """Return the test `field sign literal`; 400 where ConnectWise could not compare the two."""
    get = getter(field, load)
    if literal.sort == "null":
        return _null_test(get, sign)
    literal = _fitted(field, literal)
    test, value = _OPERATORS[sign], literal.value.casefold() if isinstance(literal.value, str) else literal.value
    if field.keys in {("id",), STAMP_KEYS} and isinstance(value, int | float):
        return lambda row: None if (found := get(row)) is None else test(found, value)
    adapt = _ADAPTERS[literal.sort]
    return lambda row: None if (found := adapt(get(row))) is None else test(found, value)


def one_of(field: Field, literals: Sequence[Value], load: Load) -> Predicate:
    """Return the test `field in (…)`."""
    tests = [compare(field, "=", literal, load) for literal in literals]

    def test(row: Row) -> bool | None:
        answers = [each(row) for each in tests]
        return True if True in answers else None if None in answers else False

    return test


def matches(field: Field, sign: str, literal: Value, load: Load) -> Predicate:
    """Return the test `field like "a*"` or `field contains "a"`; `*` and `%` stand for any text in `like`."""
    if literal.sort != "text":
        raise bad_condition(f"{sign} needs a text, not {literal.written}.")
    get, pattern = getter(field, load), _pattern(str(literal.value), sign)

    def test(row: Row) -> bool | None:
        found = get(row)
        return None if found is None else pattern(str(found)) is not None

    return test


def all_of(tests: Sequence[Predicate]) -> Predicate:
    """Return what `and` makes of one or more tests, in their order: a tree of pairs, so that many are not deep."""
    if len(tests) == 1:
        return tests[0]
    left, right = all_of(tests[: len(tests) // 2]), all_of(tests[len(tests) // 2 :])

    def test(row: Row) -> bool | None:
        first = left(row)
        if first is False:
            return False
        second = right(row)
        return second if first else (False if second is False else None)

    return test


def any_of(tests: Sequence[Predicate]) -> Predicate:
    """Return what `or` makes of one or more tests, in their order: a tree of pairs, so that many are not deep."""
    if len(tests) == 1:
        return tests[0]
    left, right = any_of(tests[: len(tests) // 2]), any_of(tests[len(tests) // 2 :])

    def test(row: Row) -> bool | None:
        first = left(row)
        if first:
            return True
        second = right(row)
        return True if second else (None if first is None or second is None else False)

    return test


def negated(inner: Predicate) -> Predicate:
    """Return `not inner`."""
    return lambda row: None if (found := inner(row)) is None else not found


def _pattern(text: str, sign: str) -> Callable[[str], re.Match[str] | None]:
    if sign == "contains":
        return re.compile(re.escape(text), re.IGNORECASE).search
    pieces = (".*" if piece in {"*", "%"} else re.escape(piece) for piece in re.split(r"([*%])", text))
    return re.compile("".join(pieces), re.IGNORECASE | re.DOTALL).fullmatch


def _null_test(get: Callable[[Row], Any], sign: str) -> Predicate:
    if sign == "=":
        return lambda row: get(row) is None
    if sign == "!=":
        return lambda row: get(row) is not None
    raise bad_condition(f"null can't be compared with {sign}.")


def _fitted(field: Field, literal: Value) -> Value:
    """Return the literal as the field's sort needs it. Dates stand in brackets, and nothing else does.

    A client that forgets should learn of it here.
    """
    if field.sort == "boolean" and literal.sort == "number":
        raise bad_condition(_NO_BOOLEAN)
    known = field.sort in {"date", "number", "boolean", "text"}
    number = _as_number(literal.value) if field.sort == "number" else None
    if (known and (field.sort == "date") != (literal.sort == "date")) or (
        field.sort == "number" and literal.sort == "text" and number is None
    ):
        raise bad_condition(f"{literal.written} can't be compared with {'/'.join(field.keys)}.")
    return Value("number", number, literal.written) if literal.sort == "text" and number is not None else literal


def _as_text(value: object) -> str | None:
    if isinstance(value, bool | int | float):
        return str(value).casefold()
    return value.casefold() if isinstance(value, str) else None


def _as_number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except ValueError:
        return None


def _as_boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


_ADAPTERS: dict[str, Callable[[Any], Any]] = {
    "text": _as_text,
    "number": _as_number,
    "boolean": _as_boolean,
    "date": read_stamp,
}
