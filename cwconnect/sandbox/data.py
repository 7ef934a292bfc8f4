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
from itertools import count
from typing import Any

from cwconnect.sandbox.catalogue import CATALOGUE, DEFAULT_RECORDS, ListSpec, list_key, spec_for_path
from cwconnect.sandbox.errors import UnknownListError
from cwconnect.sandbox.jsontext import Record, loads
from cwconnect.sandbox.keeping import KeptCompany
from cwconnect.sandbox.records import make_record, overlay
from cwconnect.sandbox.served_lists import nested_at, spec_at
from cwconnect.sandbox.table import Table
from cwconnect.sandbox.timestamps import Moment, due_seconds, to_seconds, to_text
from cwconnect.sandbox.watcher import Watcher


class Data:
    """The lists and the clock."""

    def __init__(
        self,
        records: Mapping[str, int] | None = None,
        *,
        seed: int = 1,
        clock: Callable[[], datetime] | None = None,
        extra_paths: Iterable[str] = (),
        kept: KeptCompany | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.seed = kept.seed if kept else seed
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
        self.watcher: Watcher | None = None
        self._clock = clock or (lambda: datetime.now(UTC))
        self._pending: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = count()
        self._tables: dict[str, Table] = {}
        self._kept = kept
        self.begun = kept.begun if kept else self.exact_now()
        """When the records were made, in Unix seconds."""
        for spec in CATALOGUE:
            self._add(spec)
        for path in extra_paths:
            self._table_or_new(path)
        for path in kept.paths() if kept else ():
            if not self.find_table(path) and nested_at(path) is None:
                self._table_or_new(path)
        if kept is None or kept.new:
            for name, amount in (DEFAULT_RECORDS if records is None else records).items():
                self._table_or_new(name).fill(amount, self.now())

    # -- lists -----------------------------------------------------------------------------------------------------

    def _add(self, spec: ListSpec) -> Table:
        table = Table(spec, self.seed, self._kept.kept_list(spec.path) if self._kept else None)
        self._tables[list_key(spec.name)] = self._tables[list_key(spec.path)] = table
        return table

    def _table_or_new(self, name: str) -> Table:
        found = self._tables.get(list_key(name))
        if found is None and "/" not in name.strip("/"):
            raise UnknownListError(f"There is no list {name!r}; give a path such as /company/notes for a new one.")
        return found or self._add(spec_for_path(name))

    def find_table(self, path: str) -> Table | None:
        """Return the list at a path, None if there is none."""
        key = path.strip("/").lower()
        if "/" not in key or key in self._tables:
            return self._tables.get(key)
        spec = spec_at("/" + key)
        return None if spec is None else self._served(spec)

    def _served(self, spec: ListSpec) -> Table:
        """Make a list of ConnectWise's that was not asked for before."""
        with self.lock:
            table = self._tables.get(list_key(spec.path)) or self._add(spec)
            if not table.ids and table.next_id == spec.first:
                table.fill(spec.amount, self.now())
            return table

    def table(self, name: str) -> Table:
        """Return a list by hub name or path; UnknownListError if there is none."""
        found = self._tables.get(list_key(name))
        if found is None:
            raise UnknownListError(f"There is no list {name!r}.")
        return found

    def lists(self) -> dict[str, int]:
        """Return the number of records of every list, by hub name (or path, if it has none)."""
        with self.lock:
            return {table.spec.name: len(table.ids) for table in self._tables.values() if not table.spec.aside}

    def nested_table(self, path: str) -> Table | None:
        """Return the list beneath a record by its path, new if need be; None for other paths and no such record."""
        found = nested_at(path)
        if found is None:
            return None
        parent, spec = found
        with self.lock:
            above = self.find_table(parent.path)
            return self._served(spec) if above is not None and above.row(parent.number) else None

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
            overlay(record, fields or {}, remove)
            self.publish(table, record["id"], lambda: record, after=visible_after)
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

            def changed() -> Record | None:
                if table.row(record_id) is None:
                    return None
                fresh = self._existing(table, record_id)
                overlay(fresh, {"_info": {"lastUpdated": to_text(at)}})
                overlay(fresh, fields, remove)
                return fresh

            self.publish(table, record_id, changed, after=visible_after)
            return self._existing(table, record_id) if visible_after is None else record

    def touch(self, list_name: str, record_id: int, *, stamp: Moment | None = None) -> Record:
        """Move a record's stamp and nothing else, as a note written beneath it may do."""
        return self.change(list_name, record_id, {}, stamp=stamp)

    def delete(self, list_name: str, record_id: int) -> None:
        """Remove a record without a trace; LookupError if it is not there."""
        with self.lock:
            table = self.table(list_name)
            self._existing(table, record_id)
            self.retract(table, record_id)

    def add_note(self, list_name: str, record_id: int, text: str = "A note") -> Record:
        """Write a note beneath a ticket, which stands still, its stamp too; give the note."""
        with self.lock:
            ticket = self._existing(self.table(list_name), record_id)
            notes = self.nested_table(f"{self.table(list_name).spec.path}/{record_id}/notes")
            if notes is None:
                raise UnknownListError(f"The records of {list_name} have no notes.")
            return self.create(notes.spec.path, {"ticketId": ticket["id"], "text": text})

    def publish(
        self,
        table: Table,
        record_id: int,
        make: Callable[[], Record | None],
        *,
        by: str = "",
        after: Moment | timedelta | None = None,
    ) -> None:
        """Store what `make` returns, if anything, now or once it is to be visible, and tell the watcher."""
        action = self._action(table, record_id)
        early = self.watcher.early(table, action) if self.watcher else None
        if early is not None:
            self._tell(table, action, make(), by)

        def store() -> None:
            record, action = make(), self._action(table, record_id)
            if record is not None:
                table.put(record)
                if early is None:
                    self._tell(table, action, record, by)

        self._when(early if after is None else after, store)

    def retract(self, table: Table, record_id: int, *, by: str = "") -> None:
        """Remove a record that is there, and tell the watcher."""
        last = self._existing(table, record_id)
        early = self.watcher.early(table, "deleted") if self.watcher else None

        def drop() -> None:
            if table.row(record_id) is not None:
                table.drop(record_id)

        self._when(early, drop)
        self._tell(table, "deleted", last, by)

    def _tell(self, table: Table, action: str, record: Record | None, by: str) -> None:
        if self.watcher is not None and record is not None:
            self.watcher.changed(table, action, record, by)

    @staticmethod
    def _action(table: Table, record_id: int) -> str:
        return "added" if table.row(record_id) is None else "updated"

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
            if self.watcher is not None:
                self.watcher.will_settle(due - self.exact_now())

    def _stamp(self, stamp: Moment | None) -> int:
        return self.now() if stamp is None else to_seconds(stamp)

    @staticmethod
    def _existing(table: Table, number: int) -> Record:
        row = table.row(number)
        if row is None:
            raise LookupError(f"{table.spec.entity} {number} not found")
        record: Record = loads(row.body)
        return record
