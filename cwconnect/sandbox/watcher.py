"""What the data tells of every change, in the thread that makes it and under its lock."""

from __future__ import annotations

from typing import Protocol

from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.table import Table


class Watcher(Protocol):
    """Somebody who wants to know of changes, whoever makes them."""

    def early(self, table: Table, action: str) -> float | None:
        """Return the seconds by which a change that begins now is announced before it can be read; None for not."""

    def changed(self, table: Table, action: str, record: Record, by: str) -> None:
        """Take in that a record was `added`, `updated` or `deleted` by the member `by`, or by whom it names (empty)."""

    def will_settle(self, seconds: float) -> None:
        """Take in that a change becomes visible in so many seconds, if somebody calls `settle` then."""
