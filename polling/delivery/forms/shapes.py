"""What is sent of a record: all of it, some of its top fields, or the shape of a field mapping. Pure.

A mapping is applied first, and fields are chosen by the names that it gave. `changes` goes by the same: a field that is
not sent does not appear there either.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from instances.hub.mappings import Mapping
from polling.field_changes import content_of, field_changes
from polling.models import Event, NewEvent

_ID: Final = "id"


@dataclass(frozen=True)
class Shape:
    """What is sent of each record: of `fields` (small letters; none: all), by `mapping`. `id` is always sent."""

    fields: frozenset[str] = frozenset()
    mapping: Mapping | None = None

    @classmethod
    def of(cls, fields: Collection[str] = (), mapping: Mapping | None = None) -> Shape:
        """Return the shape of a subscription: its fields as people wrote them, none for all, and its mapping."""
        return cls(frozenset(name.lower() for name in (*fields, _ID)) if fields else frozenset(), mapping)

    def for_poll(self, path: str, own: Mapping | None = None) -> Shape:
        """Return the shape of what a poll of ConnectWise's list at `path` recorded.

        A mapping is for its own list alone, and not for a poll that goes by one itself: `own`, of the poll's name.
        """
        wanted = self.mapping is not None and _is_of(self.mapping, path) and not (own and _is_of(own, path))
        return self if wanted or self.mapping is None else replace(self, mapping=None)

    def sent(self, event: Event | NewEvent) -> NewEvent:
        """Return an event with what is sent of its record and changes; of what is kept for filters alone nothing is."""
        changes = None if event.changes_for_filters else event.changes
        if self.mapping is None and not self.fields:
            return copied(event, record=event.record, changes=changes)
        record = orjson.loads(event.record)
        try:
            return copied(
                event,
                record=_text(self._record(record)),
                changes=None if changes is None else _text(self._changes(record, orjson.loads(changes))),
            )
        except orjson.JSONEncodeError:
            # By a mapping too deep for JSON; what it leaves out may not be sent in its place.
            alone = {name: value for name, value in record.items() if name == _ID}
            return copied(event, record=_text(alone), changes=None if changes is None else "null")

    def _record(self, record: Dict[str, Any]) -> dict[str, Any]:
        shown = dict(record) if self.mapping is None else self.mapping.shown(record)
        return {name: value for name, value in shown.items() if name.lower() in self.fields} if self.fields else shown

    def _changes(self, record: Dict[str, Any], changes: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        if changes and self.mapping is not None:
            changes = _mapped_changes(self.mapping, record, changes)
        if changes and self.fields:
            return [change for change in changes if _top(change).lower() in self.fields]
        return changes


WHOLE: Final = Shape()


def copied(event: Event | NewEvent, *, record: str, changes: str | None) -> NewEvent:
    """Return an event with another record and other changes."""
    return NewEvent(
        object_type=event.object_type,
        object_id=event.object_id,
        record_id=event.record_id,
        kind=event.kind,
        occurred_at=event.occurred_at,
        polled_at=event.polled_at,
        record=record,
        changes=changes,
        id=event.id,
        title=event.title,
    )


def _is_of(mapping: Mapping, path: str) -> bool:
    return mapping.vendor_path.lower() == path.lower()


def _mapped_changes(mapping: Mapping, record: Dict[str, Any], changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return changes of a record as those of the mapped record: what it is now compared with what it was before.

    Only what may differ is mapped: all that stands in a place with a value of a field that changed.
    """
    if not mapping.keeps_shown:
        changed = {_top(change) for change in changes}
        places = {field.path[0][0] for field in mapping.fields if field.vendor_path[0][0] in changed}
        mapping = replace(mapping, fields=tuple(field for field in mapping.fields if field.path[0][0] in places))
        names = {field.vendor_path[0][0] for field in mapping.fields}
        record = {name: record[name] for name in names if name in record}
        changes = [change for change in changes if _top(change) in names]
    after = content_of(record)
    return field_changes(mapping.shown(_before(after, changes)), mapping.shown(after))


def _top(change: Dict[str, Any]) -> str:
    return str(change["field"]).partition(".")[0]


def _before(after: Dict[str, Any], changes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the content that a record had before these changes."""
    before = dict(after)
    for change in changes:
        *way, last = change["field"].split(".")
        place = before
        for name in way:
            inner = place.get(name)
            place[name] = dict(inner) if isinstance(inner, dict) else {}
            place = place[name]
        if change["from"] is None:  # was absent: content has no null
            place.pop(last, None)
        else:
            place[last] = change["from"]
    return before


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
