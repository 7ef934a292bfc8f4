"""Lengths of time as people type them, `0, 5s, 5m, 2h, 1d`, and back; in seconds. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from cwconnect.core.unseen import trim

_UNITS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_ONE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([smhd]?)", re.IGNORECASE)


class DurationError(ValueError):
    """What was typed can't be read; the message is a sentence for people."""


def read_durations(text: str) -> list[float]:
    """Read lengths of time with commas between, each with its unit (s, m, h, d; none is seconds); DurationError."""
    return [_read(part) for each in text.split(",") if (part := trim(each))]


def _read(part: str) -> float:
    found = _ONE.fullmatch(part)
    if found is None:
        raise DurationError(f"“{part[:30]}” is no length of time: write 0, 5s, 5m, 2h or 1d, with commas between.")
    return float(found[1]) * _UNITS[found[2].lower() or "s"]


def write_durations(seconds: Iterable[float]) -> str:
    """Write lengths of time, each by the largest unit that it is whole in."""
    return ", ".join(_written(each) for each in seconds)


def _written(seconds: float) -> str:
    if seconds == 0:
        return "0"
    unit = next((unit for unit, size in _UNITS.items() if seconds % size == 0), "s")
    return f"{seconds / _UNITS[unit]:.9f}".rstrip("0").rstrip(".") + unit
