"""The ConnectWise that is watched: a sandbox in a process of its own, whose records outlive its death in a journal.

`python -m tests.long.faults.connectwise PORT JOURNAL SPOILT`. The journal is its database: the harness appends what
changes, the process reads it from the start before it serves, and on while it does. So the harness knows the whole
truth, and a killed ConnectWise comes back as it was. Each request that met an ordered fault adds the order's name to
the file SPOILT.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from cwconnect.core.processes import follow_parent
from cwconnect.sandbox import SandboxServer
from cwconnect.sandbox.faults import Fault
from tests.long.faults.line_reader import Tail

LISTS = (
    *("contacts", "incidents", "organizations", "project-tickets", "opportunities", "activities", "agreements"),
    *("invoices", "time-entries", "expense-entries", "configurations", "projects", "schedule-entries"),
    *("purchase-orders", "products", "campaigns"),
)
VERSION = "faultsVersion"
ORDER = "X-Order"  # the header by which an ordered fault is known
_BEFORE = 3600


class Source:
    """The harness's side: writes what changes, and knows the newest version of each record.

    A version is a number no other write has; it stands in the record, so that every state delivered can be recognized.
    """

    def __init__(self, journal: Path, lists: int, records: int) -> None:
        self._file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.lists = LISTS[:lists]
        self.newest: dict[tuple[str, int], int] = {}
        self.created: set[tuple[str, int]] = set()
        self.writes = 0
        self.offset = 0.0
        self._next = dict.fromkeys(self.lists, 1)
        for name in self.lists:
            for _ in range(records):
                self._append(name, self._take(name), 0, new=True, stamp=int(time.time()) - _BEFORE)

    def create(self, name: str) -> None:
        """Make a record."""
        number = self._take(name)
        self.created.add((name, number))
        self._write(name, number, new=True)

    def change(self, name: str, number: int) -> None:
        """Change a record."""
        self._write(name, number, new=False)

    def count(self, name: str) -> int:
        """Return how many records a list has: their ids run from 1."""
        return self._next[name] - 1

    def move_clock(self, seconds: float) -> None:
        """Have ConnectWise's clock run ahead of ours by so much."""
        self.offset = seconds
        self._line({"clock_offset": seconds})

    def close(self) -> None:
        """Close the journal."""
        os.close(self._file)

    def _take(self, name: str) -> int:
        self._next[name] += 1
        return self._next[name] - 1

    def _write(self, name: str, number: int, *, new: bool) -> None:
        self.writes += 1
        self.newest[name, number] = self.writes
        self._append(name, number, self.writes, new=new, stamp=int(time.time() + self.offset))

    def _append(self, name: str, number: int, version: int, *, new: bool, stamp: int) -> None:
        self._line({"list": name, "id": number, "version": version, "new": new, "stamp": stamp})

    def _line(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def main(port: int, journal: Path, spoilt: Path) -> None:
    """Serve until killed."""
    follow_parent()
    server = SandboxServer(port=port, records=dict.fromkeys(LISTS, 0))
    _count_faults(server, spoilt)
    tail = Tail(journal)
    _read_on(server, tail)
    server.start()
    while True:
        time.sleep(0.05)
        _read_on(server, tail)


def _read_on(server: SandboxServer, tail: Tail) -> None:
    for line in tail.lines():
        entry = json.loads(line)
        if "clock_offset" in entry:
            server.store.clock_offset = entry["clock_offset"]
        elif entry["new"]:
            server.store.create(entry["list"], {VERSION: entry["version"]}, stamp=entry["stamp"])
        else:
            server.store.change(entry["list"], entry["id"], {VERSION: entry["version"]}, stamp=entry["stamp"])


def _count_faults(server: SandboxServer, spoilt: Path) -> None:
    take = server.store.take_fault
    counter = os.open(spoilt, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def counted(path: str, method: str = "") -> Fault | None:
        fault = take(path, method)
        if fault is not None:
            os.write(counter, f"{dict(fault.headers)[ORDER]}\n".encode())
        return fault

    server.store.take_fault = counted  # type: ignore[method-assign]  # a spy: the sandbox counts no faults


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
