"""ISO 8601 times as systems write them, read without a pattern."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

_TIME: Final = r"(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,30}))?)?"
_OFFSET: Final = r" ?(Z|[+-]\d{2}(?::?\d{2})?)?"
_ISO: Final = re.compile(rf"(\d{{4}})-(\d{{2}})-(\d{{2}})(?:[T ]{_TIME}{_OFFSET})?", re.IGNORECASE | re.ASCII)
OFFSET: Final = re.compile(r"Z|([+-])(\d{2})(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)


def looks_iso(text: str) -> bool:
    """Return whether a text has the form of an ISO date or time; it may still be impossible (31 February)."""
    return len(text) <= 80 and _ISO.fullmatch(text.strip()) is not None


def read_iso(text: str, zone: tzinfo = UTC, *, bare_z: tzinfo = UTC) -> datetime:
    """Read `2018-07-31`, `2018-07-31T19:39`, `2018-07-31 19:39:46.123+02:00` and the like; give it in UTC.

    `zone` is that of a text without an offset, `bare_z` that of one with `Z`. Digits beyond microseconds are cut off.
    Raises `ValueError` for another form, an impossible date, or one outside the years 1 to 9999.
    """
    match = _ISO.fullmatch(text.strip()) if len(text) <= 80 else None
    if match is None:
        raise ValueError(f"{text[:80]!r} is no ISO date.")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, offset = match[7], match[8]
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    chosen = zone if not offset else bare_z if offset in "Zz" else read_offset(offset)
    try:
        local = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=chosen, fold=1)
        return local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no possible time: {error}.") from None


def read_offset(text: str) -> tzinfo:
    """Read `Z`, `+02`, `+0200` or `+02:00`. Raises `ValueError`."""
    match = OFFSET.fullmatch(text)
    if match is None or int(match[2] or 0) > 23:
        raise ValueError(f"{text!r} is no offset.")
    delta = timedelta(hours=int(match[2] or 0), minutes=int(match[3] or 0))
    return timezone(-delta if match[1] == "-" else delta)
