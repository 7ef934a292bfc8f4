"""Times in queries and bodies, which are in UTC unless they say otherwise; and zones that show every time there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cwconnect.core.errors import DomainError


class DisplayZone(ZoneInfo):
    """A time zone to show times in: one without a local time, at the ends of the calendar, is shown as in UTC.

    Systems write 9999-12-31T23:59:59Z for "never"; east of Greenwich `ZoneInfo` has no local time for it.
    """

    def fromutc(self, moment: datetime) -> datetime:
        """Return the local time of `moment`, which holds a time in UTC and this zone."""
        try:
            return super().fromutc(moment)
        except OverflowError:
            return moment


def shifted(moment: datetime, by: timedelta) -> datetime:
    """Return an aware time moved by so much, as far as the calendar goes."""
    try:
        return moment + by
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if by > timedelta(0) else datetime.min.replace(tzinfo=UTC)


def utc_text(instant: datetime) -> str:
    """Return an aware time as the wire has it: UTC, whole seconds, `Z`."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def parse_time(text: str, name: str) -> datetime:
    """Return the time that `text` writes, aware and in UTC; DomainError that names the parameter if it writes none."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise DomainError(f"{name} must be a time like 2026-01-31T12:00:00Z.") from None
