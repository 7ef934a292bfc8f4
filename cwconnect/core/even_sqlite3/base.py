"""Django's SQLite, but who finds the database locked asks again every few milliseconds until `timeout` is over.

SQLite's own waiting asks after 1, 2, 5, 10, 15, 20, 25 … and at last every 100 ms. Beside commits that come all the
time who has waited long asks least often, and those that came later go first: so a few wait for hundreds of
milliseconds for a lock that is held for one or two at a time.
"""

from __future__ import annotations

import random
import sqlite3
import time
from typing import Any

from django.db.backends.sqlite3 import base

_STEP_SECONDS = (0.001, 0.004)  # at random between these, so that two that wait don't ask at the same times for ever
# Not SQLITE_BUSY_SNAPSHOT: a transaction that reads what is no longer the newest gets the lock by no waiting.
_WORTH_WAITING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY, sqlite3.SQLITE_BUSY_TIMEOUT}


class PatientCursor(base.SQLiteCursorWrapper):
    """A cursor whose statements wait for the database by even steps.

    One that finds it locked has done nothing, so it may be said again.
    """

    patience = 0.0

    def execute(self, query: str, params: Any = None) -> Any:
        """Execute a statement; sqlite3.OperationalError if the database stays locked for `patience` seconds."""
        end = time.monotonic() + self.patience
        while True:
            try:
                return super().execute(query, params)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in _WORTH_WAITING or time.monotonic() > end:
                    raise
            time.sleep(random.uniform(*_STEP_SECONDS))  # noqa: S311  (no secret)

    def executemany(self, query: str, param_list: Any) -> Any:
        """Execute a statement for each of these; outside a transaction, which has the lock, each by itself."""
        if self.connection.in_transaction:
            return super().executemany(query, param_list)
        for params in param_list:
            self.execute(query, params)
        return self


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection to SQLite, with such cursors; the option `timeout` says how many seconds they wait."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect, waiting in SQLite's own way until all is set, and in ours from then on."""
        connection = super().get_new_connection(conn_params)
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    def create_cursor(self, name: str | None = None) -> Any:
        """Return a cursor that waits."""
        cursor = self.connection.cursor(factory=PatientCursor)
        cursor.patience = float(self.settings_dict["OPTIONS"].get("timeout", 5.0))  # sqlite3's default
        return cursor
