"""Time zones by the names that people write: `EST`, `GMT`, `-6:00`, `GMT+2`, `America/Denver`.

Java's `TimeZone.getTimeZone` answers GMT to what it doesn't know; here that is a `ZoneError` that names it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones


class ZoneError(ValueError):
    """A time zone that nobody knows; the message names it."""


# Java's three-letter ids (`java.time.ZoneId.SHORT_IDS`). EST, MST and HST have no summer time there; CST and PST do.
_JAVA_IDS: Final[dict[str, str]] = {
    "ACT": "Australia/Darwin", "AET": "Australia/Sydney", "AGT": "America/Argentina/Buenos_Aires",
    "ART": "Africa/Cairo", "AST": "America/Anchorage", "BET": "America/Sao_Paulo", "BST": "Asia/Dhaka",
    "CAT": "Africa/Harare", "CNT": "America/St_Johns", "CST": "America/Chicago", "CTT": "Asia/Shanghai",
    "EAT": "Africa/Addis_Ababa", "ECT": "Europe/Paris", "IET": "America/Indiana/Indianapolis", "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo", "MIT": "Pacific/Apia", "NET": "Asia/Yerevan", "NST": "Pacific/Auckland",
    "PLT": "Asia/Karachi", "PNT": "America/Phoenix", "PRT": "America/Puerto_Rico", "PST": "America/Los_Angeles",
    "SST": "Pacific/Guadalcanal", "VST": "Asia/Ho_Chi_Minh",
}  # fmt: skip
_FIXED: Final[dict[str, tzinfo]] = {
    "Z": UTC, "UTC": UTC, "UCT": UTC, "ZULU": UTC,
    "GMT": timezone(timedelta(0), "GMT"),
    "EST": timezone(timedelta(hours=-5), "EST"),
    "MST": timezone(timedelta(hours=-7), "MST"),
    "HST": timezone(timedelta(hours=-10), "HST"),
}  # fmt: skip
# Names that the tz database lists but that mean the machine's own settings, or nothing.
_NOT_ZONES: Final = {"localtime", "factory", "posixrules"}
_OFFSET: Final = re.compile(r"(?:GMT|UTC|UT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)

# Names as they stand in texts, with minutes east of Greenwich and Java's long English name. Where an abbreviation
# stands twice (CST, IST), the first is the one that Java reads when the reader's own zone does not use it.
_NAMES: Final[tuple[tuple[str, int, str], ...]] = (
    ("UTC", 0, "Coordinated Universal Time"), ("GMT", 0, "Greenwich Mean Time"),
    ("EST", -300, "Eastern Standard Time"), ("EDT", -240, "Eastern Daylight Time"),
    ("CST", -360, "Central Standard Time"), ("CDT", -300, "Central Daylight Time"),
    ("MST", -420, "Mountain Standard Time"), ("MDT", -360, "Mountain Daylight Time"),
    ("PST", -480, "Pacific Standard Time"), ("PDT", -420, "Pacific Daylight Time"),
    ("AKST", -540, "Alaska Standard Time"), ("AKDT", -480, "Alaska Daylight Time"),
    ("HST", -600, "Hawaii Standard Time"), ("HDT", -540, "Hawaii-Aleutian Daylight Time"),
    ("AST", -240, "Atlantic Standard Time"), ("ADT", -180, "Atlantic Daylight Time"),
    ("NST", -210, "Newfoundland Standard Time"), ("NDT", -150, "Newfoundland Daylight Time"),
    ("WET", 0, "Western European Standard Time"), ("WEST", 60, "Western European Summer Time"),
    ("BST", 60, "British Summer Time"), ("IST", 120, "Israel Standard Time"), ("IDT", 180, "Israel Daylight Time"),
    ("CET", 60, "Central European Standard Time"), ("CEST", 120, "Central European Summer Time"),
    ("MET", 60, "Middle Europe Time"), ("MEST", 120, "Middle Europe Summer Time"),
    ("EET", 120, "Eastern European Standard Time"), ("EEST", 180, "Eastern European Summer Time"),
    ("MSK", 180, "Moscow Standard Time"), ("SAST", 120, "South Africa Standard Time"),
    ("WAT", 60, "West Africa Standard Time"), ("CAT", 120, "Central Africa Time"), ("EAT", 180, "East Africa Time"),
    ("PKT", 300, "Pakistan Standard Time"), ("IST", 330, "India Standard Time"),
    ("WIB", 420, "Western Indonesia Time"), ("WITA", 480, "Central Indonesia Time"),
    ("WIT", 540, "Eastern Indonesia Time"), ("CST", 480, "China Standard Time"),
    ("HKT", 480, "Hong Kong Standard Time"), ("PST", 480, "Philippine Standard Time"),
    ("JST", 540, "Japan Standard Time"), ("KST", 540, "Korean Standard Time"),
    ("AWST", 480, "Australian Western Standard Time"), ("ACST", 570, "Australian Central Standard Time"),
    ("ACDT", 630, "Australian Central Daylight Time"), ("AEST", 600, "Australian Eastern Standard Time"),
    ("AEDT", 660, "Australian Eastern Daylight Time"), ("ChST", 600, "Chamorro Standard Time"),
    ("NZST", 720, "New Zealand Standard Time"), ("NZDT", 780, "New Zealand Daylight Time"),
    ("SST", -660, "Samoa Standard Time"), ("CST", -300, "Cuba Standard Time"), ("CDT", -240, "Cuba Daylight Time"),
)  # fmt: skip
_LONG: Final[dict[tuple[str, int], str]] = {(short, minutes): long for short, minutes, long in _NAMES}


@lru_cache(maxsize=512)
def parse_zone(text: str) -> tzinfo:
    """Return the zone that a text names, in any case: a Java id, an offset (`-6:00`, `+0530`, `GMT+2`), a tz name.

    Raises `ZoneError` that names the text.
    """
    name = text.strip()
    if zone := _FIXED.get(name.upper()):
        return zone
    if match := _OFFSET.fullmatch(name):
        return _offset_zone(match, text)
    key = _JAVA_IDS.get(name.upper()) or _zone_keys().get(name.lower())
    if key is None:
        raise ZoneError(f"{text!r} is no time zone; write EST, GMT, -6:00 or America/Denver, for example.")
    return ZoneInfo(key)


def _offset_zone(match: re.Match[str], text: str) -> tzinfo:
    sign, hours, minutes = match[1], int(match[2]), int(match[3] or 0)
    if hours > 23:
        raise ZoneError(f"{text!r} is no time zone: an offset is less than 24 hours.")
    return fixed_zone((hours * 60 + minutes) * (-1 if sign == "-" else 1))


def fixed_zone(minutes: int) -> tzinfo:
    """Return the zone that is always `minutes` east of Greenwich, named as Java names it (`GMT-06:00`)."""
    return timezone(timedelta(minutes=minutes), _offset_name(minutes)) if minutes else _FIXED["GMT"]


def _offset_name(minutes: int) -> str:
    return f"GMT{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@lru_cache(maxsize=1)
def _zone_keys() -> dict[str, str]:
    return {key.lower(): key for key in available_timezones() if key.lower() not in _NOT_ZONES}


def short_name(local: datetime) -> str:
    """Return the name of an aware time's zone as Java's `z` writes it: `EDT`, `UTC`, `GMT-06:00`.

    Where the tz database has no letters but a number (`-03`), the offset stands, as in newer Javas.
    """
    name = local.tzname() or ""
    return name if name[:1].isalpha() else _offset_name(offset_minutes(local))


def long_name(local: datetime) -> str:
    """Return the name of an aware time's zone as Java's `zzzz` writes it; its short name where it has no long one."""
    name = short_name(local)
    return _LONG.get((name, offset_minutes(local)), name)


def offset_minutes(local: datetime) -> int:
    """Return an aware time's whole minutes east of Greenwich; seconds of old local times are cut off towards zero."""
    return int((local.utcoffset() or timedelta(0)) / timedelta(minutes=1))


@lru_cache(maxsize=512)
def named_offsets(zone: tzinfo) -> dict[str, int]:
    """Map names found in texts, in lower case, to minutes east; what `zone` itself uses comes first (IST, CST).

    The names of `zone` are those of 2026's winter and summer: abbreviations a zone once used are not kept.
    """
    names: dict[str, int] = {}
    for month in (1, 7):
        local = datetime(2026, month, 15, tzinfo=UTC).astimezone(zone)
        for name in (short_name(local), long_name(local)):
            names.setdefault(name.lower(), offset_minutes(local))
    for short, minutes, long in _NAMES:
        names.setdefault(short.lower(), minutes)
        names.setdefault(long.lower(), minutes)
    return names
