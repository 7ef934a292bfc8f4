"""What the service asks its database: each statement counted, and made to take longer, as of a database that is far."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch


class Requests:
    """Counts what the outbound client is asked to send, as good as exactly: a thread may be interrupted in between."""

    count = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the client of all threads."""
        from cwconnect.outbound import OutboundClient

        request = OutboundClient.request

        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            return request(*arguments, **options)

        with patch.object(OutboundClient, "request", counted):
            yield


class Statements:
    """Counts what this thread's connection sends, and lets each wait for `delay` seconds before it is sent.

    That is statements, COPYs, and the beginnings and ends of transactions, which cost a round trip as well.
    """

    def __init__(self, delay: float = 0.0) -> None:
        self.delay, self.count = delay, 0

    def before(self, *_: object) -> None:
        """Count one."""
        self.count += 1
        if self.delay:
            time.sleep(self.delay)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the connection of this thread."""
        from django.db import connection

        driver: Any = connection  # what it has beneath is not in its types

        def statement(execute: Any, sql: str, *arguments: Any) -> Any:
            self.before()
            return execute(sql, *arguments)

        with ExitStack() as stack:
            stack.enter_context(connection.execute_wrapper(statement))
            stack.enter_context(patch.object(driver, "_commit", self._and_then(driver._commit)))
            if connection.vendor == "postgresql":
                from psycopg import Cursor

                begin = self._and_then(driver._set_autocommit, only=lambda autocommit: not autocommit)
                stack.enter_context(patch.object(driver, "_set_autocommit", begin))
                stack.enter_context(patch.object(Cursor, "copy", self._and_then(Cursor.copy)))
            yield

    def _and_then(self, do: Any, only: Any = lambda *_: True) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            if only(*arguments):
                self.before()
            return do(*arguments, **options)

        return counted
