"""One list in memory: rows sorted by id, each with its stamp and its record as serialised bytes.

Bytes, because 100,000 parsed contacts would take six times the memory, and because a page is then only a join.
Not thread-safe: the store's lock guards it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from itertools import islice

from cwconnect.sandbox.catalogue import ListSpec
from cwconnect.sandbox.jsontext import Record, dumps, loads
from cwconnect.sandbox.keeping import KeptList, StoredRow
from cwconnect.sandbox.names import STAMP_KEYS, Names
from cwconnect.sandbox.records import make_record, seeded_stamp
from cwconnect.sandbox.timestamps import read_stamp

_SAMPLES = 20


class Row:
    """One record: its id, its `_info.lastUpdated` in Unix seconds (None if it has none), its JSON."""

    __slots__ = ("body", "id", "stamp")

    def __init__(self, number: int, stamp: int | None, body: bytes) -> None:
        self.id = number
        self.stamp = stamp
        # A copy, because orjson's own bytes keep their whole buffer: 100,000 took 800 MB in place of 136 (measured).
        self.body = bytes(memoryview(body))


class Table:
    """The rows of one list and what the caller's role may see of them."""

    def __init__(self, spec: ListSpec, seed: int, kept: KeptList | None = None) -> None:
        """Begin empty, or with what is `kept` of the list; each change is written there first."""
        self.spec = spec
        self.seed = seed
        self.names = Names()
        self.rows: list[Row] = []
        self.ids: list[int] = []
        self.hidden: set[int] = set()
        self.unstamped: set[int] = set()
        """Rows whose `_info.lastUpdated` no answer shows, though conditions go by it."""
        self.garbled: dict[int, bytes] = {}
        """Rows whose answers hold this in place of a value, by id: what makes of them no JSON, as a rule."""
        self.forbidden = False
        self.withdrawn = False
        """Whether the site has no such list, as those that are older than it."""
        self.version = 0
        """Moves with each record that is stored or removed."""
        self.next_id = spec.first
        self.compiled: dict[str, Callable[[Row], bool | None]] = {}
        """Conditions read so far, by text; a poll sends the same with each page."""
        self._memo: tuple[Row | None, bytes, Record] = (None, b"", {})
        self.names.learn(make_record(spec, seed, spec.first, 0))
        for name in spec.also:
            self.names.admit(name)
        if spec.created == "info":
            self.names.admit_date("dateEntered", ("_info", "dateEntered"))
        for name in ("lastUpdated", "/".join(STAMP_KEYS)):
            self.names.admit_date(name, STAMP_KEYS)
        self._kept = kept
        if kept is not None and kept.next_id is not None:
            self._take_in(kept.rows())
            self.next_id = kept.next_id

    def _take_in(self, rows: Iterable[StoredRow]) -> None:
        for number, stamp, body, learnt in rows:
            self.rows.append(Row(number, stamp, body))
            if learnt:
                self.names.learn(loads(body))
        self.ids = [row.id for row in self.rows]

    def fill(self, count: int, now: int) -> None:
        """Make `count` records, from the list's first id on."""
        numbers = range(self.spec.first, self.spec.first + count)
        for number in numbers:
            stamp = seeded_stamp(self.spec, self.seed, number, now)
            record = make_record(self.spec, self.seed, number, stamp)
            if number < numbers.start + _SAMPLES:
                self.names.learn(record)
            self.rows.append(Row(number, stamp, dumps(record)))
        self.ids = list(numbers)
        self.next_id = numbers.stop
        if self._kept is not None:
            rows = ((row.id, row.stamp, row.body, place < _SAMPLES) for place, row in enumerate(self.rows))
            self._kept.fill(rows, self.next_id)

    def take_id(self) -> int:
        """Return the next id; it is never given again."""
        if self._kept is not None:
            self._kept.take(self.next_id + 1)
        self.next_id += 1
        return self.next_id - 1

    def put(self, record: Record) -> None:
        """Store a record under its id, new or in place of the old one."""
        number = record["id"]
        info = record.get("_info")
        row = Row(number, read_stamp(info.get("lastUpdated")) if isinstance(info, dict) else None, dumps(record))
        if self._kept is not None:
            self._kept.put(number, row.stamp, row.body, self.next_id)
        self._learn(record)
        self.version += 1
        at = bisect_left(self.ids, number)
        if at < len(self.ids) and self.ids[at] == number:
            self.rows[at] = row
        else:
            self.ids.insert(at, number)
            self.rows.insert(at, row)

    def _learn(self, record: Record) -> None:
        """Take in a record's names; what was read before a name was known is read again."""
        version = self.names.version
        self.names.learn(record)
        if self.names.version != version:
            self.compiled.clear()

    def drop(self, number: int) -> None:
        """Remove a record that is there."""
        at = bisect_left(self.ids, number)
        if self._kept is not None:
            self._kept.drop(number)
        self.version += 1
        del self.ids[at], self.rows[at]

    def row(self, number: int) -> Row | None:
        """Return the row of an id, hidden or not."""
        at = bisect_left(self.ids, number)
        return self.rows[at] if at < len(self.ids) and self.ids[at] == number else None

    def record(self, row: Row) -> Record:
        """Return a row parsed. The last one is remembered, since one condition may look at several of its fields."""
        if self._memo[0] is not row:
            self._memo = (row, row.body, loads(row.body))
        return self._memo[2]

    def shown(self, row: Row) -> Record:
        """Return a row parsed as answers show it: without its stamp, where that is concealed."""
        record = self.record(row)
        if row.id not in self.unstamped:
            return record
        info = record.get("_info") or {}
        return record | {"_info": {key: value for key, value in info.items() if key != "lastUpdated"}}

    def garble(self, row: Row, body: bytes) -> bytes:
        """Return a row's answer as it is sent: with the text that makes it no JSON, where there is one."""
        text = self.garbled.get(row.id)
        return body if text is None else body[:-1] + b',"garbled":' + text + b"}"

    def visible(self, after: int | None = None) -> Iterable[Row]:
        """Return the rows that the role sees, by id, those above `after` if it is given."""
        rows: Iterable[Row] = self.rows
        if after is not None:
            rows = islice(self.rows, bisect_right(self.ids, after), None)
        return (row for row in rows if row.id not in self.hidden) if self.hidden else rows
