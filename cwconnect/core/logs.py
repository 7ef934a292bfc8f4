"""Logs: a JSON object a line, or lines for people on a terminal; each with the request, instance and run it is about.

The standard library's logging with a formatter of ours, since Django, gunicorn and django-q log through it already:
structlog would be a second way beside it. No line holds a secret: what looks like a credential, and the values of the
service's own keys, are masked in message and traceback alike. Imports no Django, so that gunicorn can read it first.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from cwconnect.core.text import literal

MASK = "********"
IDS = ("instance_id", "run_id", "notification_id", "trace_id")
_SHORTEST_KEY = 8
_CREDENTIALS = (
    (re.compile(r"\b(User|Organization|Element)(\s*:\s*|\s+)(?=[A-Za-z0-9+/]{24})[A-Za-z0-9+/=]+"), rf"\1\2{MASK}"),
    (re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"(?<=://)[^/\s:@'\"]*:[^/\s@'\"]+(?=@)"), MASK),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=]+"), MASK),
    (re.compile(r"(?<=/callbacks/connectwise/)[A-Za-z0-9_-]+"), MASK),
    (re.compile(r"\bv1:gAAAA[A-Za-z0-9_=-]+"), MASK),
)
_about: ContextVar[dict[str, int | str]] = ContextVar("log_about", default={})  # noqa: B039  (never changed in place)


@contextmanager
def about(**ids: int | str | None) -> Iterator[None]:
    """Have every log line of the block carry these ids (see IDS); None is left out."""
    token = _about.set(_about.get() | {name: value for name, value in ids.items() if value is not None})
    try:
        yield
    finally:
        _about.reset(token)


class AboutFilter(logging.Filter):
    """Gives each record the ids it is about: from `about`, or from the call's own `extra`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the ids; let every record pass."""
        for name, value in _about.get().items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


def redact(text: str, keys: Collection[str] = ()) -> str:
    """Return `text` with credentials masked: by their form, and the values in `keys` wherever they stand."""
    for pattern, mask in _CREDENTIALS:
        text = pattern.sub(mask, text)
    for key in keys:
        text = text.replace(key, MASK)
    return text


class _Formatter(logging.Formatter):
    """What both forms share: `keys` are values that no line may hold; too short ones would mask ordinary words."""

    def __init__(self, keys: Collection[str] = ()) -> None:
        super().__init__()
        self._keys = tuple(key for key in keys if len(key) >= _SHORTEST_KEY)

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        request_id = getattr(record, "request_id", "-")
        ids = {name: getattr(record, name) for name in IDS if hasattr(record, name)}
        return ({} if request_id == "-" else {"request_id": request_id}) | ids

    def _trace(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""

    def _clean(self, text: str) -> str:
        return redact(text, self._keys)


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, logger, message, ids, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean(record.getMessage()),
            **self._fields(record),
        }
        if trace := self._trace(record):
            line["exception"] = self._clean(trace)
        return json.dumps(line, default=str)


class LineFormatter(_Formatter):
    """A line for people, a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        # Control characters in what others sent must not forge further lines, nor be obeyed by a terminal.
        message = literal(self._clean(record.getMessage())).replace("\n", "\n  ")
        ids = "".join(f" {name}={value}" for name, value in self._fields(record).items())
        line = f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%d %H:%M:%S} {record.levelname} {record.name}: "
        trace = literal(self._clean(self._trace(record)))
        return line + message + (f" [{ids.strip()}]" if ids else "") + (f"\n{trace}" if trace else "")


def configuration(form: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """Return the argument of `logging.config.dictConfig`; `form` is `json` or `line`."""
    formatter = {"json": JsonFormatter, "line": LineFormatter}[form]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request_id": {"()": "cwconnect.core.request_ids.RequestIdFilter"},
            "about": {"()": AboutFilter},
        },
        "formatters": {"line": {"()": formatter, "keys": tuple(keys)}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id", "about"]}
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Django's own handlers are for DEBUG and for mail to administrators: everything goes one way here.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django-q": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
        },
    }
