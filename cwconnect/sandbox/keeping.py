"""The sandbox's state in a file: a SQLite database that each change is written to before it is answered.

All records stand in it as they are, those that nobody changed too: a later version of the sandbox, or another seed,
makes others. A start that finds a state goes on with it, and makes nothing.

What is written survives `kill -9` of the sandbox at any moment, for the operating system has it by then. It is not
waited for until it is on the disk, so the latest may be lost where the machine loses its power; the file stays sound.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cwconnect.sandbox.catalogue import DEFAULT_RECORDS, list_key
from cwconnect.sandbox.errors import DataFileError

VERSION = 1
"""The version of the file's shape, as its `user_version`."""
_APPLICATION = 0x43575362
"""What tells such a file from others of SQLite, as its `application_id`: "CWSb"."""
_LOCK_SECONDS = 2.0
_SHAPE = """
CREATE TABLE company (id INTEGER PRIMARY KEY, name TEXT UNIQUE, seed INTEGER, records TEXT, begun REAL);
CREATE TABLE list (id INTEGER PRIMARY KEY, company INTEGER, path TEXT, next_id INTEGER, UNIQUE (company, path));
CREATE TABLE record (
    list INTEGER, id INTEGER, stamp INTEGER, learnt INTEGER, body BLOB, PRIMARY KEY (list, id)
);
CREATE TABLE callback_site (company INTEGER, id INTEGER, origin TEXT, PRIMARY KEY (company, id));
"""
StoredRow = tuple[int, int | None, bytes, bool]
"""A record: its id, its stamp in Unix seconds, its JSON, and whether its fields' names have to be learnt."""


class DataFile:
    """An open data file, which no other sandbox can open meanwhile. Its methods may be called from any thread."""

    def __init__(self, path: str | Path) -> None:
        """Open `path`, or make it; DataFileError, which names `--data`, where it can't be used. Nothing foreign is
        written to.
        """
        self.path = Path(path)
        self.lock = threading.RLock()
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise self._failure(error.strerror or str(error)) from None
        self._connection = sqlite3.connect(
            self.path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._open()
        except BaseException:
            self._connection.close()
            raise

    def _open(self) -> None:
        # Exclusive, so that two sandboxes never share a file.
        self.run("PRAGMA locking_mode = EXCLUSIVE")
        application, version = self._number("PRAGMA application_id"), self._number("PRAGMA user_version")
        if self._number("SELECT count(*) FROM sqlite_master") == 0 and not (application or version):
            self.run("PRAGMA journal_mode = WAL")
            self._make()
        elif application != _APPLICATION:
            raise self._failure("it is a database of another program")
        elif version != VERSION:
            raise self._failure(f"a newer version of the sandbox wrote it (shape {version}, this one knows {VERSION})")
        self.run("PRAGMA journal_mode = WAL")
        self.run("PRAGMA synchronous = OFF")
        with self.transaction():
            pass  # takes the lock, which stays

    def _make(self) -> None:
        with self.transaction():
            for statement in _SHAPE.split(";"):
                self.run(statement)
            self.run(f"PRAGMA application_id = {_APPLICATION}")
            self.run(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Close the file; what is written afterwards raises DataFileError."""
        with self.lock:
            self._connection.close()

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """Write what a start makes: all of it, or nothing and the file is closed, where an exception leaves this."""
        try:
            with self.transaction():
                yield
            self.run("PRAGMA wal_checkpoint(TRUNCATE)")  # or the log would stay as large as all records
        except BaseException:
            self.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all that is written within, or nothing of it where an exception leaves it."""
        with self.lock:
            if self._connection.in_transaction:
                yield
                return
            self.run("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.rollback()
                raise
            self.run("COMMIT")

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement, and return its rows; DataFileError."""
        with self.lock, self._failing():
            return self._connection.execute(statement, values).fetchall()

    def each(self, statement: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield a statement's rows without holding all of them; DataFileError."""
        with self.lock, self._failing():
            yield from self._connection.execute(statement, values)

    def run_many(self, statement: str, values: Iterable[tuple[Any, ...]]) -> None:
        """Run a statement for each row of values; DataFileError."""
        with self.lock, self._failing():
            self._connection.executemany(statement, values)

    def _number(self, statement: str) -> int:
        return int(self.run(statement)[0][0])

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            locked = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            raise self._failure("another sandbox uses it" if locked else str(error)) from error

    def _failure(self, why: str) -> DataFileError:
        return DataFileError(f"--data {self.path} can't be used: {why}.")


class KeptCompany:
    """What the file has of one company."""

    def __init__(
        self, file: DataFile, name: str, records: Mapping[str, int] | None = None, seed: int | None = None
    ) -> None:
        """Go on with a company, or begin it. `records` and `seed` are None where nobody asked for any: then those of
        the file are meant. DataFileError where others are asked for than the company began with.
        """
        self._file = file
        sought = "SELECT id, seed, records, begun FROM company WHERE name = ?"
        found = file.run(sought, (name.lower(),))
        self.new = not found
        if self.new:
            amounts = json.dumps(_by_list(DEFAULT_RECORDS if records is None else records))
            row = (name.lower(), 1 if seed is None else seed, amounts, time.time())
            file.run("INSERT INTO company (name, seed, records, begun) VALUES (?, ?, ?, ?)", row)
            found = file.run(sought, (name.lower(),))
        self.id: int = found[0][0]
        self.seed: int = found[0][1]
        self.records: dict[str, int] = json.loads(found[0][2])
        self.begun: float = found[0][3]
        """When it began, in Unix seconds."""
        self._refuse_others(records, seed)

    def _refuse_others(self, records: Mapping[str, int] | None, seed: int | None) -> None:
        given = "" if records is None or _by_list(records) == self.records else "--records"
        given = given or ("" if seed in {None, self.seed} else "--seed")
        if given:
            amounts = ",".join(f"{name}={amount}" for name, amount in self.records.items())
            raise DataFileError(
                f"--data {self._file.path} holds a sandbox that began with --records {amounts} --seed {self.seed}, and "
                f"goes on as it is now: leave {given} out, or name another file."
            )

    def kept_list(self, path: str) -> KeptList:
        """Return what is kept of the list at a path."""
        return KeptList(self._file, self.id, path)

    def paths(self) -> list[str]:
        """Return the paths of all lists that have anything kept, as they were first asked for."""
        return [path for (path,) in self._file.run("SELECT path FROM list WHERE company = ? ORDER BY id", (self.id,))]

    def sites(self) -> KeptSites:
        """Return by which origin each registration for callbacks was made."""
        return KeptSites(self._file, self.id)


class KeptList:
    """The records of one list in the file, and its next id. Each write is in the file when the call returns."""

    def __init__(self, file: DataFile, company: int, path: str) -> None:
        self._file, self._company, self._path = file, company, path
        found = file.run("SELECT id, next_id FROM list WHERE company = ? AND path = ? COLLATE NOCASE", (company, path))
        self._id: int = found[0][0] if found else 0
        self.next_id: int | None = found[0][1] if found else None
        """The next id as it was read, None for a list that nothing was ever written of."""

    def rows(self) -> Iterator[StoredRow]:
        """Yield all records by id, as they are in the file now."""
        statement = "SELECT id, stamp, body, learnt FROM record WHERE list = ? ORDER BY id"
        yield from self._file.each(statement, (self._id,))

    def fill(self, rows: Iterable[StoredRow], next_id: int) -> None:
        """Write many records that were not there."""
        with self._file.transaction():
            self.take(next_id)
            statement = "INSERT INTO record (list, id, stamp, body, learnt) VALUES (?, ?, ?, ?, ?)"
            self._file.run_many(statement, ((self._id, *row) for row in rows))

    def take(self, next_id: int) -> None:
        """Write which id is the next."""
        if self._id:
            self._file.run("UPDATE list SET next_id = ? WHERE id = ?", (next_id, self._id))
            return
        with self._file.transaction():
            made = "INSERT INTO list (company, path, next_id) VALUES (?, ?, ?)"
            self._file.run(made, (self._company, self._path, next_id))
            self._id = self._file.run("SELECT last_insert_rowid()")[0][0]

    def put(self, number: int, stamp: int | None, body: bytes, next_id: int) -> None:
        """Write a record, new or in place of the old one."""
        if not self._id:
            self.take(next_id)
        statement = "INSERT OR REPLACE INTO record (list, id, stamp, body, learnt) VALUES (?, ?, ?, ?, 1)"
        self._file.run(statement, (self._id, number, stamp, body))

    def drop(self, number: int) -> None:
        """Remove a record."""
        self._file.run("DELETE FROM record WHERE list = ? AND id = ?", (self._id, number))


class KeptSites(dict[int, str]):
    """Origins by a registration's id, each written to the file when it is set."""

    def __init__(self, file: DataFile, company: int) -> None:
        self._file, self._company = file, company
        found = file.run("SELECT id, origin FROM callback_site WHERE company = ?", (company,))
        super().__init__(found)

    def __setitem__(self, number: int, origin: str) -> None:
        self._file.run("INSERT OR REPLACE INTO callback_site VALUES (?, ?, ?)", (self._company, number, origin))
        super().__setitem__(number, origin)


def _by_list(records: Mapping[str, int]) -> dict[str, int]:
    """Return the amounts by one name for each list, in one order."""
    return {list_key(name): amount for name, amount in sorted(records.items())}
