"""Java's SimpleDateFormat: times written and read by a pattern (docs/wire-contract.md#4-configuration-keys-of-events).

Writing follows Java (English, United States), `S` runs included: they are milliseconds padded with zeros, so that
`SSSSSS` writes 123 ms as `000123`. How reading differs from Java's, see `pattern_reading`.
Years run from 1 to 9999 in the Gregorian calendar throughout; Java changes to the Julian one before 1582.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from cwconnect.connectwise.java_dates.fields import MONTHS, NUMBERS, WEEKDAYS
from cwconnect.connectwise.java_dates.parsing import read_by_tokens, read_milliseconds, read_seconds
from cwconnect.connectwise.java_dates.tokens import PatternError, Token, tokenize
from cwconnect.connectwise.java_dates.zones import long_name, offset_minutes, short_name

__all__ = ["MILLISECONDS", "DatePattern", "PatternError", "compile_pattern"]

MILLISECONDS: Final = "milliseconds"
SECONDS: Final = "yyyy-MM-dd'T'HH:mm:ss'Z'"  # ConnectWise's own stamps, and every default configuration
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class DatePattern:
    """A checked pattern, which writes and reads times. Made by `compile_pattern`."""

    text: str
    tokens: tuple[Token, ...]

    def format(self, instant: datetime, zone: tzinfo) -> str:
        """Write an aware time in `zone`, as Java would. Raises `PatternError` outside the years 1 to 9999."""
        if instant.tzinfo is None:
            raise PatternError("A time without a zone can't be written by a pattern.")
        if self.text == MILLISECONDS:
            return str((instant - _EPOCH) // timedelta(milliseconds=1))
        try:
            local = instant.astimezone(zone)
        except OverflowError:
            raise PatternError(f"{instant.isoformat()} has no local time within the years 1 to 9999.") from None
        return "".join(_write(token, local) for token in self.tokens)

    def parse(self, text: str, zone: tzinfo) -> datetime:
        """Read a time and give it in UTC; `zone` is its zone if the text names none. Raises `PatternError`."""
        if self.text == MILLISECONDS:
            return read_milliseconds(text, zone)
        if self.text == SECONDS and (moment := read_seconds(text, zone)):
            return moment
        return read_by_tokens(self.text, self.tokens, text, zone)


@lru_cache(maxsize=512)
def compile_pattern(text: str) -> DatePattern:
    """Check a pattern and give it ready for use. Raises `PatternError` that names the letter or quote at fault.

    The word `milliseconds` alone stands for Unix time in milliseconds.
    """
    return DatePattern(text, () if text == MILLISECONDS else tokenize(text))


def _write(token: Token, local: datetime) -> str:
    if not token.letter:
        return token.literal
    if writer := _WRITERS.get(token.letter):
        return writer(local, token.count)
    return f"{NUMBERS[token.letter](local):0{token.count}}"


def _year(letter: str) -> Callable[[datetime, int], str]:
    def write(local: datetime, count: int) -> str:
        year = NUMBERS[letter](local)
        return f"{year % 100:02}" if count == 2 else f"{year:0{count}}"

    return write


def _month(local: datetime, count: int) -> str:
    if count < 3:
        return f"{local.month:0{count}}"
    return MONTHS[local.month - 1] if count > 3 else MONTHS[local.month - 1][:3]


def _weekday(local: datetime, count: int) -> str:
    name = WEEKDAYS[local.weekday()]
    return name if count > 3 else name[:3]


def _zone_name(local: datetime, count: int) -> str:
    return long_name(local) if count > 3 else short_name(local)


def _rfc822(local: datetime, _: int) -> str:
    minutes = offset_minutes(local)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def _iso(local: datetime, count: int) -> str:
    text = _rfc822(local, 4)
    if offset_minutes(local) == 0:
        return "Z"
    return text[:3] if count == 1 else text if count == 2 else f"{text[:3]}:{text[3:]}"


_WRITERS: Final[dict[str, Callable[[datetime, int], str]]] = {
    "G": lambda _local, _count: "AD",
    "y": _year("y"),
    "Y": _year("Y"),
    "M": _month,
    "L": _month,
    "E": _weekday,
    "a": lambda local, _count: "PM" if local.hour >= 12 else "AM",
    "z": _zone_name,
    "Z": _rfc822,
    "X": _iso,
}
