"""Whether an event passes a filter, and by which of its conditions it does not (docs/wire-contract.md#filters)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cwconnect.connectwise.ceql.evaluation import find_value, in_words, same_value
from cwconnect.connectwise.ceql.tree import WhereError
from polling.filters.reading import Filter, Scalar

_NOT_KNOWN: Final = "the earlier content is not known"
_LONGEST: Final = 500  # characters of a condition in words
Changes = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a filter judges of an event: its columns as the log has them, record and changes as JSON text."""

    resource: str
    kind: str
    record: str
    changes: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether the event passes; if not, by what it is held; if so, what could not be judged and was let pass."""

    passes: bool
    held_by: str = ""
    unknown: str = ""


PASSES: Final = Judgement(passes=True)


def judge(wanted: Filter, event: Facts) -> Judgement:
    """Judge an event; what costs nothing to look at goes first."""
    if wanted.resources is not None and event.resource.lower() not in wanted.resources:
        return _held(f"resources: {event.resource}")
    if wanted.kinds is not None and event.kind not in wanted.kinds:
        return _held(f"kinds: {event.kind}")
    if not wanted.asks_of_changes and wanted.where is None:
        return PASSES
    record = json.loads(event.record)
    judged = _judge_changes(wanted, event, record) if wanted.asks_of_changes else PASSES
    if not judged.passes or wanted.where is None:
        return judged
    try:
        condition = wanted.condition(wanted.where, event.resource)
    except WhereError as error:
        return _held(f"where: {error}")
    return judged if condition.test(record) is True else _held(f"where: {in_words(condition.failed(record))}")


def _held(by: str) -> Judgement:
    return Judgement(passes=False, held_by=by if len(by) <= _LONGEST else by[: _LONGEST - 1] + "…")


def _judge_changes(wanted: Filter, event: Facts, record: Mapping[str, Any]) -> Judgement:
    known = None if event.changes is None else json.loads(event.changes)
    if known is None:
        return _judge_without(wanted, record)
    if wanted.changed and not any(_has_changed(known, path) for path in wanted.changed):
        return _held(f"changed: {', '.join(wanted.changed)}")
    for member, side, asked in (("from", 0, wanted.earlier), ("to", 1, wanted.later)):
        for path, values in asked:
            change = _find_change(known, path)
            if change is None or not _is_one_of(change[side], values):
                return _held(_words(member, path, values))
    return PASSES


def _judge_without(wanted: Filter, record: Mapping[str, Any]) -> Judgement:
    """Judge an event whose earlier content is not known: it passes, unless what the record has now is not wanted."""
    for path, values in wanted.later:
        if not _is_one_of(find_value(record, path), values):
            return _held(_words("to", path, values))
    asked = [
        name for name, part in (("changed", wanted.changed), ("from", wanted.earlier), ("to", wanted.later)) if part
    ]
    return Judgement(passes=True, unknown=f"{', '.join(asked)}: {_NOT_KNOWN}")


def _find_change(changes: Changes, path: str) -> tuple[Any, Any] | None:
    """Return what a field was and is, also where the change is said of an object around it; None if it is the same."""
    lower = path.lower()
    for change in changes:
        name = str(change.get("field", "")).lower()
        old, new = change.get("from"), change.get("to")
        if lower.startswith(f"{name}."):
            rest = lower[len(name) + 1 :]
            old, new = find_value(old or {}, rest), find_value(new or {}, rest)
        elif lower != name:
            continue
        if old != new or lower == name:
            return old, new
    return None


def _has_changed(changes: Changes, path: str) -> bool:
    within = f"{path.lower()}."
    return _find_change(changes, path) is not None or any(
        str(change.get("field", "")).lower().startswith(within) for change in changes
    )


def _is_one_of(value: Any, wanted: Sequence[Scalar]) -> bool:
    return any(same_value(value, each) for each in wanted)


def _words(member: str, path: str, values: Sequence[Scalar]) -> str:
    shown = json.dumps(values[0] if len(values) == 1 else list(values), ensure_ascii=False)
    return f"{member}.{path}: {shown}"
