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
    """Return a record without its null members, at any depth."""
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items() if item is not None}
    return [bare(item) for item in value] if isinstance(value, list) else value


def content(value: Any) -> Any:
    """Return what counts as a record's content: all but `_info`, references to itself, and nulls."""
    if isinstance(value, dict):
        kept = {key: content(item) for key, item in value.items() if item is not None}
        return {key: item for key, item in kept.items() if key != "_info" and not key.endswith("_href")}
    return [content(item) for item in value] if isinstance(value, list) else value


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return a record's content by dotted names."""
    if not isinstance(value, dict):
        return {name: value}
    return {
        key: item for part, inner in value.items() for key, item in flat(inner, f"{name}.{part}".strip(".")).items()
    }


def difference(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """Return the fields whose value differs, from what to what."""
    old, new = flat(content(before)), flat(content(after))
    return {key: (old.get(key), new.get(key)) for key in old | new if old.get(key) != new.get(key)}


@dataclass(frozen=True)
class Version:
    """One state of a record as answers show it; `seconds_late` is how long after its stamp it could first be read.

    `unstamped`: answers do not show its stamp, by which ConnectWise's own conditions go all the same.
    """

    record: dict[str, Any]
    stamp: int
    seconds_late: float
    unstamped: bool = False


@dataclass(frozen=True)
class RecordedEvent:
    """One event."""

    kind: str
    record: dict[str, Any]
    changes: list[dict[str, Any]] | None
    tracked: bool


@dataclass
class History:
    """What could be read of one record, oldest first; None where it was gone, or out of the role's sight.

    `garbled`: it is there, and its answers are no JSON.
    """

    states: list[Version | None] = field(default_factory=list)
    swept: bool = False
    garbled: bool = False

    @property
    def versions(self) -> list[Version]:
        """The states in which it was there."""
        return [state for state in self.states if state is not None]


@dataclass
class Rules:
    """What was asked for: from when on, above which id a record is new, and how much is to be recorded."""

    since: int
    high_water_id: int
    look_back: int
    ignore_empty_changes: bool
    track_changes: bool
    detect_deletes: bool
    filter_by_current_date: bool
    recorded_from: int = 0
    written_by_a_clock_set_back: set[int] = field(default_factory=set)
    fields: frozenset[str] | None = None

    def __post_init__(self) -> None:
        self.recorded_from = self.since

    def same(self, event: RecordedEvent, version: Version) -> bool:
        """Whether an event has all that is to be recorded of a state."""
        seen = content if self.ignore_empty_changes else bare
        return bool(event.kind != "DELETED" and seen(self.asked(event.record)) == seen(self.asked(version.record)))

    def asked(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return what was asked for of a record, where it was not asked for whole all the time."""
        if self.fields is None:
            return record
        return {key: value for key, value in record.items() if key in self.fields}


class Truth:
    """The histories of all records of a list."""

    def __init__(self, store: Store, list_name: str) -> None:
        self._store, self._list = store, list_name
        self.histories: dict[int, History] = {}
        self.due: dict[int, float] = {}

    def observe(self) -> None:
        """Take in what is new at the source since the last look."""
        now = self._store.exact_now()
        table = self._store.table(self._list)
        hidden, garbled = table.hidden, {*table.garbled}
        for record_id in {*self._store.ids(self._list), *self.histories}:
            record, shown = self._read(record_id)
            history = self.histories.setdefault(record_id, History())
            last = history.states[-1] if history.states else None
            was_garbled, history.garbled = history.garbled, record is not None and record_id in garbled - hidden
            if record is None or record_id in hidden:
                if last is not None:
                    history.states.append(None)
            elif history.garbled:
                self.due.pop(record_id, None)  # there is a state, and nobody can read it
            elif last is None or last.record != bare(shown):
                born = not history.states
                visible_at = min(now, self.due.get(record_id, now)) if born else now
                history.states.append(_version(record, shown, visible_at))
            elif was_garbled:
                # Whether it was read before it was garbled or not: now it can be, if it is not too late.
                history.states[-1] = _version(record, shown, now)
            elif last.unstamped:
                # Written again with nothing to show for it: the same state, which conditions now select by this stamp.
                again = _version(record, shown, now)
                history.states[-1] = last if again.stamp == last.stamp else again

    def _read(self, record_id: int) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Return a record as it is, None if it is gone, and as answers show it."""
        record = self._store.get(self._list, record_id)
        if record is None or record_id not in self._store.table(self._list).unstamped:
            return record, record or {}
        info = {key: value for key, value in record["_info"].items() if key != "lastUpdated"}
        return record, record | {"_info": info}

    def check(self, recorded: dict[int, list[RecordedEvent]], rules: Rules, *, reread_from: int | None) -> None:
        """Hold all that was recorded against the truth, after a complete poll that began after the last change.

        `reread_from` is the opening of a backfill that was complete by now: what it could see must be recorded as well.
        Where deletes are asked for, a complete sweep has followed.
        """
        assert recorded.keys() <= self.histories.keys(), "a record that never was"
        there = (history for history in self.histories.values() if history.states)
        anyone_left = any(history.states[-1] or history.garbled for history in there)
        for record_id, history in self.histories.items():
            events = recorded.get(record_id, [])
            _check_states(record_id, history, events, rules)
            _check_kinds(record_id, events, rules)
            if not history.states:
                continue
            if history.garbled:
                pass  # what can't be read need not be recorded, and what was there before may have come and gone
            elif (last := history.states[-1]) is not None:
                if self._is_past(last, rules):
                    _check_nothing_is_missing(record_id, last, history, events, rules, reread_from)
            elif rules.detect_deletes and anyone_left and (events or history.swept):
                assert events, f"{record_id}: it was there at a sweep and is gone"
                assert events[-1].kind == "DELETED", f"{record_id}: gone, and last recorded was {events[-1]}"
            history.swept |= (
                rules.detect_deletes and record_id <= rules.high_water_id and history.states[-1] is not None
            )
            if rules.track_changes:
                _check_changes(record_id, history, events, rules)

    def now(self) -> dict[int, Version | None]:
        """Return each record's state as it is now, None where it is gone, without those that nobody can read."""
        readable = {number: history for number, history in self.histories.items() if not history.garbled}
        return {number: history.states[-1] for number, history in readable.items() if history.states}

    def check_announced(
        self, recorded: dict[int, list[RecordedEvent]], rules: Rules, announced: dict[int, Version | None]
    ) -> None:
        """Hold what was recorded against states that were announced, each after it could be read, and acted on.

        Whatever its stamp, a record is read by its id where the poll's own condition selects it, as of the beginning of
        watching; a delete that was announced is recorded if a row known to live can vouch for it.
        """
        known = {number for number, events in recorded.items() if events[-1].kind != "DELETED"}
        vouched = any(state is not None and number in known for number, state in self.now().items())
        for record_id, state in announced.items():
            events = recorded.get(record_id, [])
            if state is None:
                if rules.detect_deletes and vouched and events:
                    assert events[-1].kind == "DELETED", f"{record_id}: announced as deleted, recorded {events}"
            elif self._is_past(state, rules):
                opening = rules.since - rules.look_back
                _check_nothing_is_missing(record_id, state, self.histories[record_id], events, rules, opening)

    def _is_past(self, state: Version, rules: Rules) -> bool:
        """Whether it may be recorded: stamped by a clock that was set back since, it may be left out for a while."""
        return not rules.filter_by_current_date or state.stamp <= self._store.exact_now()


def _version(record: dict[str, Any], shown: dict[str, Any], visible_at: float) -> Version:
    stamp = int(datetime.fromisoformat(record["_info"]["lastUpdated"]).timestamp())
    return Version(bare(shown), stamp, visible_at // 1 - stamp, "lastUpdated" not in shown["_info"])


def _check_states(record_id: int, history: History, events: list[RecordedEvent], rules: Rules) -> None:
    """Each event is a state that was, later than the one before, and another one."""
    at, last = -1, None
    for event in events:
        # With other fields asked for than before, the same state is another record.
        later = range(at if last and _reshaped(last, event) else at + 1, len(history.states))
        last = event
        at = next((place for place in later if _shows(event, history.states[place], rules)), -2)
        assert at >= 0, f"{record_id}: a state that was not, or not after the one recorded before: {event}"
        if event.kind == "DELETED":
            known = [content(rules.asked(version.record)) for version in history.versions]
            assert content(rules.asked(event.record)) in [*known, {"id": record_id}]
    if events and record_id <= rules.high_water_id and events[0].kind != "DELETED":
        first = history.versions[0]
        # Where no stamp is shown nobody can know, and what ConnectWise's condition selects is recorded. Asked for by
        # other fields than before, what was remembered in silence is another record, and may come in its new shape.
        may_be_old = first.unstamped or rules.fields is not None
        from_before = first.record == events[0].record and first.stamp < rules.recorded_from and not may_be_old
        assert not from_before, f"{record_id}: a state from before watching began was recorded"
    for before, after in pairwise(events):
        version = Version(after.record, 0, 0)
        again = rules.same(before, version) and not _reshaped(before, after)
        assert not again or after.kind == "DELETED", f"{record_id}: recorded twice: {after}"


def _reshaped(before: RecordedEvent, after: RecordedEvent) -> bool:
    return after.kind != "DELETED" and before.record.keys() != after.record.keys()


def _shows(event: RecordedEvent, state: Version | None, rules: Rules) -> bool:
    if state is None or event.kind == "DELETED":
        return state is None and event.kind == "DELETED"
    return rules.asked(state.record) == rules.asked(event.record)


def _check_kinds(record_id: int, events: list[RecordedEvent], rules: Rules) -> None:
    kinds = [event.kind for event in events]
    if record_id > rules.high_water_id and kinds:
        assert kinds[0] == "CREATED", f"{record_id}: {kinds}"
    assert "CREATED" not in kinds[record_id > rules.high_water_id :], f"{record_id}: {kinds}"
    assert ("DELETED", "DELETED") not in pairwise(kinds), f"{record_id}: {kinds}"


def _check_nothing_is_missing(
    record_id: int, now: Version, history: History, events: list[RecordedEvent], rules: Rules, reread_from: int | None
) -> None:
    if events:
        if rules.same(events[-1], now):
            return
        assert events[-1].kind != "DELETED", f"{record_id}: it is back, and was recorded as deleted"
    elif (
        record_id <= rules.high_water_id
        and now.stamp < rules.since
        and record_id not in rules.written_by_a_clock_set_back
    ):
        return  # from before watching began, or not to be recorded from it
    elif record_id <= rules.high_water_id and rules.ignore_empty_changes and _was_there_before(now, history, rules):
        return
    in_window = now.seconds_late <= rules.look_back
    reread = reread_from is not None and now.stamp > reread_from
    could_be_seen = in_window or reread
    assert not could_be_seen, f"{record_id}: missed {now}; recorded were {events}"


def _was_there_before(now: Version, history: History, rules: Rules) -> bool:
    """Whether the content of now is one from before watching began, which may be remembered in silence."""
    earlier = [version for version in history.versions if version.stamp < rules.since]
    return any(content(version.record) == content(now.record) for version in earlier)


def _check_changes(record_id: int, history: History, events: list[RecordedEvent], rules: Rules) -> None:
    for number, event in enumerate(events):
        assert event.tracked == (event.kind == "UPDATED"), f"{record_id}: changes belong to UPDATED"
        if not event.tracked:
            continue
        unknown_before = number == 0 or events[number - 1].kind == "DELETED"
        if event.changes is None:
            assert unknown_before, f"{record_id}: the earlier content was recorded, so it is known"
            continue
        before = [version.record for version in history.versions] if unknown_before else [events[number - 1].record]
        found = {change["field"]: (change["from"], change["to"]) for change in event.changes}
        assert len(found) == len(event.changes)
        before = [*before, *(rules.asked(record) for record in before)]
        assert any(_is_difference(found, earlier, event.record) for earlier in before), f"{record_id}: {event.changes}"


def _is_difference(found: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether these are the changes of the members that both records have; of the others, that they come or go."""
    both, either = before.keys() & after.keys(), before.keys() | after.keys()
    changed = {name: change for name, change in found.items() if name.split(".")[0] in both}
    old, new = ({name: value for name, value in record.items() if name in both} for record in (before, after))
    return changed == difference(old, new) and all(name.split(".")[0] in either for name in found)
