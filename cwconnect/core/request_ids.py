"""The id of the request that is being answered: the same in its answer, its errors and its log lines."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="")


@contextmanager
def new_request_id() -> Iterator[str]:
    """Make an id of 24 hex digits the current one while the block runs."""
    request_id = secrets.token_hex(12)
    token = _current.set(request_id)
    try:
        yield request_id
    finally:
        _current.reset(token)


def current_request_id() -> str:
    """Return the current id; a fresh one where there is none, so that an error body always has it."""
    return _current.get() or secrets.token_hex(12)


def is_answering() -> bool:
    """Return whether a web request is being answered, in this thread or context."""
    return bool(_current.get())


class RequestIdFilter(logging.Filter):
    """Gives each log record the `request_id` it was written under: `-` outside a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id; let every record pass."""
        record.request_id = _current.get() or "-"
        return True
