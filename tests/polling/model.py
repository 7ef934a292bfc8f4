"""The truth that polls are held against: every state that each record had, and when it could be read.

It is taken from the source itself after every single change, knows nothing of cursors, pages or leases, and shares no
code with the poller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from cwconnect.sandbox import Store

LOOK_BACK = 300  # seconds that a row may become visible late: the promise (design.md, The window)


def bare(value: Any) -> Any:
    """Give a record without its null members, at any depth."""
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items() if item is not None}
    return [bare(item) for item in value] if isinstance(value, list) else value


def content(value: Any) -> Any:
    """Give what counts as a record's content: all but `_info`, references to itself, and nulls."""
    if isinstance(value, dict):
        kept = {key: content(item) for key, item in value.items() if item is not None}
        return {key: item for key, item in kept.items() if key != "_info" and not key.endswith("_href")}
    return [content(item) for item in value] if isinstance(value, list) else value


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Give a record's content by dotted names."""
    if not isinstance(value, dict):
        return {name: value}
    return {
        key: item for part, inner in value.items() for key, item in flat(inner, f"{name}.{part}".strip(".")).items()
    }


def difference(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """Give the fields whose value differs, from what to what."""
    old, new = flat(content(before)), flat(content(after))
    return {key: (old.get(key), new.get(key)) for key in old | new if old.get(key) != new.get(key)}


@dataclass(frozen=True)
class Version:
    """One state of a record; `seconds_late` is how long after its stamp it could first be read."""

    record: dict[str, Any]
    stamp: int
    seconds_late: float


@dataclass(frozen=True)
class Told:
    """One event."""

    kind: str
    record: dict[str, Any]
    changes: list[dict[str, Any]] | None
    tracked: bool


@dataclass
class History:
    """All states of one record, oldest first, and if it can be read now."""

    versions: list[Version] = field(default_factory=list)
    readable: bool = True


@dataclass
class Rules:
    """What was asked for: from when on, above which id a record is new, and how much is to be told."""

    since: int
    mark: int
    look_back: int
    ignore_empty_changes: bool
    track_changes: bool
    told_from: int = 0

    def __post_init__(self) -> None:
        self.told_from = self.since


class Truth:
    """The histories of all records of a list."""

    def __init__(self, store: Store, list_name: str) -> None:
        self._store, self._list = store, list_name
        self.histories: dict[int, History] = {}
        self.due: dict[int, float] = {}

    def observe(self) -> None:
        """Take in what is new at the source since the last look."""
        store, now = self._store, self._store.exact_now()
        hidden = store.table(self._list).hidden
        ids = store.ids(self._list)
        for record_id in {*ids, *self.histories}:
            record = store.get(self._list, record_id)
            history = self.histories.setdefault(record_id, History())
            was, history.readable = history.readable, record is not None and record_id not in hidden
            if record is None:
                continue
            visible_at = min(now, self.due.get(record_id, now)) if not history.versions else now
            version = _version(record, visible_at if history.readable else float("inf"))
            if not history.versions or history.versions[-1].record != version.record:
                history.versions.append(version)
            elif history.readable and not was:
                history.versions[-1] = version  # polls went by meanwhile: what counts is when it is back

    def check(self, told: dict[int, list[Told]], rules: Rules, *, reread_from: int | None) -> None:
        """Hold all that was told against the truth, after a complete poll that began after the last change.

        `reread_from` is the opening of a backfill that was complete by now: what it could see must be told as well.
        """
        assert told.keys() <= self.histories.keys(), "a record that never was"
        for record_id, history in self.histories.items():
            events = told.get(record_id, [])
            _check_states(record_id, history, events, rules)
            _check_kinds(record_id, events, rules)
            if history.readable:
                _check_nothing_is_missing(record_id, history, events, rules, reread_from)
            if rules.track_changes:
                _check_changes(record_id, history, events)


def _version(record: dict[str, Any], visible_at: float) -> Version:
    stamp = int(datetime.fromisoformat(record["_info"]["lastUpdated"]).timestamp())
    return Version(bare(record), stamp, visible_at // 1 - stamp)


def _check_states(record_id: int, history: History, events: list[Told], rules: Rules) -> None:
    """Each event tells a state that was, later than the one before, and another one."""
    at = -1
    for event in events:
        later = range(at + 1, len(history.versions))
        at = next((place for place in later if history.versions[place].record == event.record), -2)
        assert at >= 0, f"{record_id}: a state that was not, or not after the one told before: {event}"
        assert at > 0 or record_id > rules.mark or history.versions[0].stamp >= rules.told_from, (
            f"{record_id}: a state from before watching began was told"
        )
    same = content if rules.ignore_empty_changes else bare
    for before, after in pairwise(events):
        assert same(before.record) != same(after.record), f"{record_id}: told twice: {after}"


def _check_kinds(record_id: int, events: list[Told], rules: Rules) -> None:
    first = "CREATED" if record_id > rules.mark else "UPDATED"
    kinds = [event.kind for event in events]
    assert kinds == [first, *["UPDATED"] * (len(events) - 1)][: len(events)], f"{record_id}: {kinds}"


def _check_nothing_is_missing(
    record_id: int, history: History, events: list[Told], rules: Rules, reread_from: int | None
) -> None:
    now = history.versions[-1]
    if events:
        same = content if rules.ignore_empty_changes else bare
        if same(events[-1].record) == same(now.record):
            return
    elif record_id <= rules.mark and now.stamp < rules.since:
        return  # from before watching began, or not to be told from it
    elif record_id <= rules.mark and rules.ignore_empty_changes and _was_there_before(history, rules):
        return
    in_window = now.seconds_late <= rules.look_back
    reread = reread_from is not None and now.stamp > reread_from
    could_be_seen = in_window or reread
    assert not could_be_seen, f"{record_id}: missed {now}; told were {events}"


def _was_there_before(history: History, rules: Rules) -> bool:
    """Whether the content of now is one from before watching began, which may be remembered in silence."""
    now = content(history.versions[-1].record)
    return any(version.stamp < rules.since and content(version.record) == now for version in history.versions)


def _check_changes(record_id: int, history: History, events: list[Told]) -> None:
    for number, event in enumerate(events):
        assert event.tracked == (event.kind == "UPDATED"), f"{record_id}: changes belong to UPDATED"
        if not event.tracked:
            continue
        before = [events[number - 1].record] if number else [version.record for version in history.versions]
        if event.changes is None:
            assert not number, f"{record_id}: the earlier content was told, so it is known"
            continue
        found = {change["field"]: (change["from"], change["to"]) for change in event.changes}
        assert len(found) == len(event.changes)
        assert any(found == difference(earlier, event.record) for earlier in before), f"{record_id}: {event.changes}"
