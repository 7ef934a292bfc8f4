"""Dotted paths with `[*]` for the items of a list: values moved from one shape of a record into another. Pure.

A path is read into parts, one for each list on the way and one for what lies in its items: `phones[*].number` is
`(("phones",), ("number",))`. Items keep their places: one that has nothing to move is an empty object in the other
shape, so that several fields of one list stand side by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MOST_STEPS = 10
MOST_LISTS = 3
_STEP = re.compile(r"[^\W\d][\w-]{0,99}(?:\[\*\])?")
_NOTHING: Any = object()
ITEMS = "*"
Path = tuple[tuple[str, ...], ...]


class PathError(ValueError):
    """A path that can't be read; the message goes on after its name."""


def read_path(text: object) -> Path:
    """Read `company.name` or `communicationItems[*].value`. Raises PathError."""
    if not isinstance(text, str) or not text.strip():
        raise PathError("must be a field's name, like company.name or communicationItems[*].value")
    steps = text.strip().split(".")
    if len(steps) > MOST_STEPS:
        raise PathError(f"is more than {MOST_STEPS} names deep")
    if not all(_STEP.fullmatch(step) for step in steps):
        raise PathError(f"{text[:80]!r} is no path: names stand between dots, and [*] behind the name of a list")
    parts: list[list[str]] = [[]]
    for step in steps:
        parts[-1].append(step.removesuffix("[*]"))
        if step.endswith("[*]"):
            parts.append([])
    if len(parts) - 1 > MOST_LISTS:
        raise PathError(f"goes through more than {MOST_LISTS} lists")
    return tuple(tuple(part) for part in parts)


def steps_of(path: Path) -> tuple[str, ...]:
    """Return a path's names in order, with `*` for the items of a list."""
    first, *rest = path
    return first + tuple(step for part in rest for step in (ITEMS, *part))


def name_of(path: Path) -> str:
    """Return a path's dotted name without the marks of lists, as conditions write it."""
    return ".".join(step for step in steps_of(path) if step != ITEMS)


def moved(source: Any, path: Path, target: Any, into: Path) -> Any:
    """Return `target` with what `source` holds at `path` in the place `into`; as it is where there is nothing.

    Both paths go through as many lists. Neither argument is changed.
    """
    value = _found(source, path[0])
    if value is _NOTHING:
        return target
    if len(path) > 1 and value is not None:
        if not isinstance(value, list):
            return target
        value = _items(value, path[1:], _found(target, into[0]), into[1:])
    return _put(target, into[0], value)


def without(record: Any, steps: Sequence[str]) -> Any:
    """Return a record without what lies at the end of `steps`, nor objects and lists that hold nothing else."""
    left = _less(record, steps)
    return {} if left is _NOTHING else left


def prefixes(path: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """Return each place on the way of a path with what stands there: an object, a list or, at its end, a value."""
    steps = steps_of(path)
    for length in range(1, len(steps)):
        yield steps[:length], "a list" if steps[length] == ITEMS else "an object"
    yield steps, "a value"


def lists_of(path: Path) -> list[tuple[str, ...]]:
    """Return the places of the lists that a path goes through, from the outermost."""
    steps = steps_of(path)
    return [steps[:place] for place, step in enumerate(steps) if step == ITEMS]


def _items(values: list[Any], path: Path, before: Any, into: Path) -> list[Any]:
    there = before if isinstance(before, list) else []
    targets = [*there, *({} for _ in values[len(there) :])]
    found = [moved(value, path, target, into) for value, target in zip(values, targets, strict=False)]
    return found + targets[len(values) :]


def _found(value: Any, names: Sequence[str]) -> Any:
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            return _NOTHING
        value = value[name]
    return value


def _put(target: Any, names: Sequence[str], value: Any) -> Any:
    if not names:
        return value
    inner = target if isinstance(target, Mapping) else {}
    return {**inner, names[0]: _put(inner.get(names[0]), names[1:], value)}


def _less(value: Any, steps: Sequence[str]) -> Any:
    if not steps:
        return _NOTHING
    if steps[0] == ITEMS:
        return _items_less(value, steps[1:]) if isinstance(value, list) else value
    if not isinstance(value, Mapping) or steps[0] not in value:
        return value
    left = _less(value[steps[0]], steps[1:])
    rest = {name: item for name, item in value.items() if name != steps[0]}
    if left is _NOTHING:
        return rest or _NOTHING
    return {name: left if name == steps[0] else item for name, item in value.items()}


def _items_less(items: list[Any], steps: Sequence[str]) -> Any:
    left = [{} if (rest := _less(item, steps)) is _NOTHING else rest for item in items]
    return left if any(item != {} for item in left) else _NOTHING
