"""All lists and the clock: what the sandbox knows, and how its records come, change and go.

Every public method may be called from any thread. Lists are named by hub name (`contacts`) or path
(`/company/contacts`).
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import reduce
from itertools import count
from typing import Any

from cwconnect.sandbox.catalogue import CATALOGUE, DEFAULT_RECORDS, ListSpec, list_key, spec_for_path
from cwconnect.sandbox.errors import UnknownListError
from cwconnect.sandbox.jsontext import Record, loads
from cwconnect.sandbox.records import make_record
from cwconnect.sandbox.table import Table
from cwconnect.sandbox.timestamps import (
    Moment,
    due_seconds,
    to_seconds,
    to_text,
)


class Data:
    """The lists and the clock."""

    def __init__(
        self,
        records: Mapping[str, int] | None = None,
        *,
        seed: int = 1,
        clock: Callable[[], datetime] | None = None,
        extra_paths: Iterable[str] = (),
    ) -> None:
        self.lock = threading.RLock()
        self.seed = seed
        self.clock_offset = 0.0
        """Seconds that ConnectWise's clock, hence stamps and `Date`, is ahead of ours."""
        self.date_offset = 0.0
        """Seconds that the `Date` header is ahead of ConnectWise's clock."""
        self.send_date_header = True
        self.send_links = True
        """Whether a page that has a next one names it in `Link`."""
        self.raw_controls = False
        """Whether lists show U+0001 as it is and not escaped, which is no JSON."""
        self.largest_page = 1000
        """The rows that a page has at most, whatever is asked for."""
        self._clock = clock or (lambda: datetime.now(UTC))
        self._pending: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = count()
        self._tables: dict[str, Table] = {}
        for spec in CATALOGUE:
            self._add(spec)
        for path in extra_paths:
            self._table_or_new(path)
        for name, amount in (DEFAULT_RECORDS if records is None else records).items():
            self._table_or_new(name).fill(amount, self.now())

    # -- lists -----------------------------------------------------------------------------------------------------

    def _add(self, spec: ListSpec) -> Table:
        table = Table(spec, self.seed)
        self._tables[list_key(spec.name)] = self._tables[list_key(spec.path)] = table
        return table

    def _table_or_new(self, name: str) -> Table:
        found = self._tables.get(list_key(name))
        if found is None and "/" not in name.strip("/"):
            raise UnknownListError(f"There is no list {name!r}; give a path such as /company/notes for a new one.")
        return found or self._add(spec_for_path(name))

    def find_table(self, path: str) -> Table | None:
        """Return the list at a path, None if there is none."""
        return self._tables.get(path.strip("/").lower()) if "/" in path.strip("/") else None

    def table(self, name: str) -> Table:
        """Return a list by hub name or path; UnknownListError if there is none."""
        found = self._tables.get(list_key(name))
        if found is None:
            raise UnknownListError(f"There is no list {name!r}.")
        return found

    def lists(self) -> dict[str, int]:
        """Return the number of records of every list, by hub name (or path, if it has none)."""
        with self.lock:
            return {table.spec.name: len(table.ids) for table in self._tables.values()}

    # -- the clock -------------------------------------------------------------------------------------------------

    def exact_now(self) -> float:
        """Return ConnectWise's clock in Unix seconds."""
        return self._clock().timestamp() + self.clock_offset

    def now(self) -> int:
        """Return ConnectWise's clock in whole Unix seconds, as stamps have it."""
        return int(self.exact_now())

    def date_header(self) -> str | None:
        """Return the value of the `Date` header, None if none is to be sent."""
        return formatdate(self.now() + self.date_offset, usegmt=True) if self.send_date_header else None

    # -- records ---------------------------------------------------------------------------------------------------

    def create(
        self,
        list_name: str,
        fields: Mapping[str, Any] | None = None,
        *,
        stamp: Moment | None = None,
        visible_after: Moment | timedelta | None = None,
        remove: Iterable[str] = (),
    ) -> Record:
        """Make a record: realistic, with `fields` laid over it and without those of `remove`. Gives it, with its id.

        `stamp` is its lastUpdated (now, if not said). With `visible_after` (a moment, or seconds from now) it gets
        its id and stamp now and shows up only then, as a row does whose transaction ends late.
        """
        with self.lock:
            table, at = self.table(list_name), self._stamp(stamp)
            record = make_record(table.spec, self.seed, table.take_id(), at, at)
            _overlay(record, fields or {}, remove)
            self._when(visible_after, lambda: table.put(record))
            return dict(record)

    def change(
        self,
        list_name: str,
        record_id: int,
        fields: Mapping[str, Any],
        *,
        stamp: Moment | None = None,
        visible_after: Moment | timedelta | None = None,
        remove: Iterable[str] = (),
    ) -> Record:
        """Lay `fields` over a record (members of `_info` singly) and give it `stamp`, now if not said.

        `remove` names members to leave out, such as `title` or `_info/lastUpdated`.

        With `visible_after` the record changes only then, still with a stamp of now or the one given. LookupError
        if there is no such record.
        """
        with self.lock:
            table, at, remove = self.table(list_name), self._stamp(stamp), tuple(remove)
            record = self._existing(table, record_id)

            def apply() -> None:
                if table.row(record_id) is not None:
                    fresh = self._existing(table, record_id)
                    _overlay(fresh, {"_info": {"lastUpdated": to_text(at)}})
                    _overlay(fresh, fields, remove)
                    table.put(fresh)

            self._when(visible_after, apply)
            return self._existing(table, record_id) if visible_after is None else record

    def touch(self, list_name: str, record_id: int, *, stamp: Moment | None = None) -> Record:
        """Move a record's stamp and nothing else, as a note written beneath it may do."""
        return self.change(list_name, record_id, {}, stamp=stamp)

    def delete(self, list_name: str, record_id: int) -> None:
        """Remove a record without a trace; LookupError if it is not there."""
        with self.lock:
            table = self.table(list_name)
            self._existing(table, record_id)
            table.drop(record_id)

    def get(self, list_name: str, record_id: int) -> Record | None:
        """Return a record, hidden or not; None if there is none."""
        with self.lock:
            self.settle()
            table = self.table(list_name)
            return self._existing(table, record_id) if table.row(record_id) else None

    def ids(self, list_name: str) -> list[int]:
        """Return all ids of a list, in order."""
        with self.lock:
            self.settle()
            return self.table(list_name).ids[:]

    def settle(self) -> None:
        """Let all become visible whose time has come."""
        with self.lock:
            while self._pending and self._pending[0][0] <= self.exact_now():
                heapq.heappop(self._pending)[2]()

    def reveal(self) -> None:
        """Let all that waits become visible now."""
        with self.lock:
            while self._pending:
                heapq.heappop(self._pending)[2]()

    def _when(self, after: Moment | timedelta | None, action: Callable[[], None]) -> None:
        if after is None:
            action()
        else:
            due = due_seconds(after, self.exact_now())
            heapq.heappush(self._pending, (due, next(self._sequence), action))

    def _stamp(self, stamp: Moment | None) -> int:
        return self.now() if stamp is None else to_seconds(stamp)

    @staticmethod
    def _existing(table: Table, number: int) -> Record:
        row = table.row(number)
        if row is None:
            raise LookupError(f"{table.spec.entity} {number} not found")
        record: Record = loads(row.body)
        return record


def _overlay(record: Record, fields: Mapping[str, Any], remove: Iterable[str] = ()) -> None:
    """Lay `fields` over `record` in place: members of `_info` singly, all else whole; the id stays."""
    for key, value in fields.items():
        if key == "_info" and isinstance(value, dict):
            record["_info"] = {**(record.get("_info") or {}), **value}
        elif key != "id":
            record[key] = value
    for path in remove:
        *above, last = path.split("/")
        holder = reduce(lambda found, key: found.get(key) or {}, above, record)
        holder.pop(last, None)
