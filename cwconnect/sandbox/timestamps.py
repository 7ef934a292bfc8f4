"""Instants, as ConnectWise writes them: UTC, whole seconds, a trailing Z. Inside the sandbox they are Unix seconds."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

Moment = datetime | str | int | float
_LITERAL = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(\.\d{1,9})?)?Z?)?", re.IGNORECASE)
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def to_text(seconds: int) -> str:
    """Return `2018-07-31T19:39:46Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def to_seconds(moment: Moment) -> int:
    """Return Unix seconds, the fraction cut off; a datetime or a text without a zone counts as UTC."""
    if isinstance(moment, int | float):
        return int(moment)
    instant = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def due_seconds(after: Moment | timedelta, now: float) -> float:
    """Return when something is due: numbers and timedeltas count from `now`, dates and texts stand for themselves."""
    if isinstance(after, timedelta):
        return now + after.total_seconds()
    return now + after if isinstance(after, int | float) else to_seconds(after)


def looks_like_date(value: object) -> bool:
    """Return whether a record's value is an instant."""
    return isinstance(value, str) and _STAMP.match(value) is not None


def read_stamp(value: object) -> int | None:
    """Return a record's instant in Unix seconds, None where there is none."""
    try:
        return to_seconds(value) if isinstance(value, str) else None
    except ValueError:
        return None


def read_literal(text: str) -> float | None:
    """Read the inside of `[2016-08-20T18:04:26Z]`, a fraction too; None for an offset or anything else that is unsafe.

    Whole seconds come as an int.
    """
    found = _LITERAL.fullmatch(text.strip())
    seconds = read_stamp(text.strip().upper()) if found else None
    return seconds if seconds is None or not (found and found[1]) else seconds + float(found[1])
