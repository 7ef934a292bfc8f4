"""Times read by a SimpleDateFormat pattern: for the stamps of other systems, so sense comes before Java's leniency.

- A run of `S` is read as a decimal fraction, whatever its length; what does not exist (31 February) is refused.
- A fraction or an offset that the pattern lacks is read all the same, and so is any plain ISO 8601 time.
- An offset in the text counts before the zone given. A quoted 'Z' is a letter and says nothing of the zone.
- Two-digit years are 1969 to 2068 (Java's range moves with the day on which it runs).
- A local time that the clocks skipped or showed twice is read as Java does: after the change, in standard time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from cwconnect.connectwise.iso8601 import OFFSET, read_iso, read_offset
from cwconnect.connectwise.java_dates.fields import (
    MONTHS,
    WEEKDAYS,
    check_range,
    local_time,
)
from cwconnect.connectwise.java_dates.tokens import PatternError, Token
from cwconnect.connectwise.java_dates.zones import fixed_zone, named_offsets

_LONGEST: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BLANKS: Final = re.compile(r"[ \t]*")
_DIGITS: Final = re.compile(r"\d+", re.ASCII)
_FRACTION: Final = re.compile(r"[.,](\d+)", re.ASCII)
_SECONDS: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_GMT_OFFSET: Final = re.compile(r"(?:GMT|UTC)([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z ]*")
_HALVES: Final = ("AM", "PM")
_ERAS: Final = ("BC", "AD")


class _Mismatch(Exception):  # noqa: N818  (never leaves this module: it says that the text has another form)
    """The text has another form than the pattern."""


@dataclass
class _Reading:
    """What has been read so far of one text."""

    text: str
    given: tzinfo
    named: tzinfo | None = None
    position: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    microsecond: int = 0

    @property
    def zone(self) -> tzinfo:
        """The zone that counts: the one in the text before the one given."""
        return self.named or self.given

    def take(self, regex: re.Pattern[str]) -> re.Match[str] | None:
        """Move past what the regex matches here, if it does."""
        match = regex.match(self.text, self.position)
        if match:
            self.position = match.end()
        return match

    def set(self, letter: str, value: int) -> None:
        """Note a number. Raises `ValueError` if it is out of range, or another than the same field's before."""
        check_range(letter, value)
        if self.numbers.setdefault(letter, value) != value:
            raise ValueError(f"it gives two values, {self.numbers[letter]} and {value}, for one field")


def read_milliseconds(text: str, zone: tzinfo) -> datetime:
    """Read Unix time in milliseconds; an ISO time is read too, `zone` being its zone if it names none."""
    if _WHOLE.fullmatch(text.strip()):
        try:
            return _EPOCH + timedelta(milliseconds=int(text))
        except OverflowError:
            raise PatternError(f"{text!r} milliseconds lead outside the years 1 to 9999.") from None
    return _read_as_iso(text, zone, bare_z=UTC, reason=f"{text[:80]!r} is no number of milliseconds")


def read_by_tokens(pattern: str, tokens: tuple[Token, ...], text: str, zone: tzinfo) -> datetime:
    """Read a text by the parts of a pattern and give the time in UTC. Raises `PatternError` that says why not."""
    if len(text) > _LONGEST:
        raise PatternError(f"A date has {_LONGEST} characters at most; this text has {len(text)}.")
    reading = _Reading(text, zone)
    try:
        _read_all(reading, tokens)
        return _resolve(local_time(reading.numbers, reading.microsecond), reading.zone)
    except _Mismatch:
        reason = f"{text!r} does not have the form {pattern!r}"
    except (ValueError, OverflowError) as error:
        reason = f"{text!r} is no possible time by the pattern {pattern!r}: {error}"
    quoted_z = any(token.literal.endswith("Z") for token in tokens)
    return _read_as_iso(text, zone, bare_z=zone if quoted_z else UTC, reason=reason)


def read_seconds(text: str, zone: tzinfo) -> datetime | None:
    """Read `2018-07-31T19:39:46Z` by the pattern with the quoted 'Z': what the parts give, in a twentieth of the time.

    Nearly every stamp is of this form. None for any other text, and for an impossible time, which is the parts' to
    explain.
    """
    if not _SECONDS.fullmatch(text):
        return None
    try:
        return _resolve(datetime.fromisoformat(text[:19]), zone)
    except (ValueError, OverflowError):
        return None


def _resolve(local: datetime, zone: tzinfo) -> datetime:
    # A time shown twice is the later one (fold=1); one that the clocks skipped is read by the offset before the change.
    skipped = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if isinstance(zone, timezone) or skipped.astimezone(zone).replace(tzinfo=None) != local:
        return skipped  # a fixed zone shows every time once
    return local.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _read_as_iso(text: str, zone: tzinfo, *, bare_z: tzinfo, reason: str) -> datetime:
    try:
        return read_iso(text, zone, bare_z=bare_z)
    except ValueError:
        raise PatternError(f"{reason}.") from None


def _read_all(reading: _Reading, tokens: tuple[Token, ...]) -> None:
    for index, token in enumerate(tokens):
        after = tokens[index + 1].literal if index + 1 < len(tokens) else ""
        if token.letter:
            _read_field(reading, token)
        elif not _literal(reading, token, last=index + 1 == len(tokens)):
            raise _Mismatch
        # A fraction that was not asked for.
        if token.letter == "s" and not after.startswith((".", ",")) and (match := reading.take(_FRACTION)):
            reading.microsecond = _microseconds(match[1])
    if reading.named is None:
        _offset_not_asked_for(reading)
    if reading.text[reading.position :].strip():
        raise _Mismatch


def _literal(reading: _Reading, token: Token, *, last: bool) -> bool:
    """Move past literal text; an offset may stand where the pattern ends in a quoted 'Z'."""
    if reading.text.startswith(token.literal, reading.position):
        reading.position += len(token.literal)
        return True
    return last and token.literal == "Z"


def _offset_not_asked_for(reading: _Reading) -> None:
    start = reading.position
    reading.take(_BLANKS)
    if reading.numbers.keys() & set("HkKh") and (match := reading.take(OFFSET)):
        reading.named = read_offset(match[0])
    else:
        reading.position = start


def _microseconds(digits: str) -> int:
    return int(digits[:6].ljust(6, "0"))


def _read_field(reading: _Reading, token: Token) -> None:
    reading.take(_BLANKS)
    if token.letter in "zZX":
        reading.named = _zone(reading)
    elif token.letter == "G":
        if not _word(reading, _ERAS):
            raise ValueError("years before Christ are not read")
    elif token.letter == "a":
        reading.set("a", _word(reading, _HALVES))
    elif token.numeric:
        _number(reading, token)
    elif token.letter == "E":
        reading.set("E", _word(reading, WEEKDAYS, short=True) + 1)
    else:
        reading.set("M", _word(reading, MONTHS, short=True) + 1)


def _number(reading: _Reading, token: Token) -> None:
    digits = _digits(reading, token.count if token.abutting else None)
    if token.letter == "S":
        reading.microsecond = _microseconds(digits)
        return
    if len(digits) > 9:
        raise ValueError(f"{digits[:20]} is too large a number")
    value = int(digits)
    if token.letter in "yY" and token.count <= 2 and len(digits) == 2:
        value += 1900 if value >= 69 else 2000
    reading.set("M" if token.letter == "L" else token.letter, value)


def _digits(reading: _Reading, count: int | None) -> str:
    match = _DIGITS.match(reading.text, reading.position)
    if match is None or (count and len(match[0]) < count):
        raise _Mismatch
    digits = match[0][:count]
    reading.position += len(digits)
    return digits


def _word(reading: _Reading, words: Iterable[str], *, short: bool = False) -> int:
    """Move past one of the words, in any case, the whole word before its three letters; give its index."""
    rest = reading.text[reading.position : reading.position + 12].lower()
    for index, word in enumerate(words):
        for form in (word, word[:3]) if short else (word,):
            if rest.startswith(form.lower()):
                reading.position += len(form)
                return index
    raise _Mismatch


def _zone(reading: _Reading) -> tzinfo:
    for reader in _ZONES:
        if zone := reader(reading):
            return zone
    raise _Mismatch


def _zone_offset(reading: _Reading) -> tzinfo | None:
    match = reading.take(OFFSET)
    return read_offset(match[0]) if match else None


def _zone_gmt_offset(reading: _Reading) -> tzinfo | None:
    match = reading.take(_GMT_OFFSET)
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    if minutes >= 24 * 60:
        raise ValueError(f"{match[0]} is no offset")
    return fixed_zone(-minutes if match[1] == "-" else minutes)


def _zone_name(reading: _Reading) -> tzinfo | None:
    """Read the longest name that is known (`Eastern Standard Time` before `EST`)."""
    match = _NAME.match(reading.text, reading.position)
    words = match[0].rstrip() if match else ""
    names = named_offsets(reading.given)
    while words:
        if (minutes := names.get(words.lower())) is not None:
            reading.position += len(words)
            return fixed_zone(minutes)
        words = words.rpartition(" ")[0].rstrip()
    return None


_ZONES: Final[tuple[Callable[[_Reading], tzinfo | None], ...]] = (_zone_gmt_offset, _zone_name, _zone_offset)
