"""The `${…}` templates of polling URLs: found, checked and rendered (docs/wire-contract.md#url-templates).

They are found before a `where` is parsed, since a pattern holds quotes of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from cwconnect.connectwise.java_dates.patterns import PatternError, compile_pattern
from cwconnect.connectwise.java_dates.zones import parse_zone

DEFAULT_PATTERN: Final = "yyyy-MM-dd'T'HH:mm:ssXXX"
_UNITS: Final[dict[str, int]] = {"ms": 1_000, "s": 1, "us": 1_000_000}
_ZONE_WITH_COLON: Final = re.compile(r"((?:GMT|UTC)?[+-]\d{1,2}:\d{2}):(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Template:
    """One `${…}`: stands for the last poll time.

    `kind` is `gmtDate`, `date`, `dateTimeZone` or `epoch`. `pattern` is None where the template gives none; for `epoch`
    it is the unit: ms, s or us. `zone` is None where the service's own counts. `source` is the text it was read from.
    """

    kind: str
    pattern: str | None
    zone: tzinfo | None
    source: str

    def render(self, instant: datetime, *, default_zone: tzinfo = UTC, default_pattern: str = DEFAULT_PATTERN) -> str:
        """Return the text that stands for `instant` (aware); `default_pattern` is that of a plain `${date}`."""
        if self.kind == "epoch":
            microseconds = (instant - _EPOCH) // timedelta(microseconds=1)
            return str(microseconds * _UNITS[self.pattern or "ms"] // 1_000_000)
        pattern = compile_pattern(self.pattern or default_pattern)
        return pattern.format(instant, self.zone or default_zone)


def split_templates(text: str) -> list[str | Template]:
    """Cut a text into plain parts and templates, in order; the sources put together give the text again.

    Raises `PatternError` or `ZoneError` that names what is wrong: an unknown template, letter or zone.
    """
    parts: list[str | Template] = []
    position = 0
    while (start := text.find("${", position)) >= 0:
        end = _closing(text, start)
        if start > position:
            parts.append(text[position:start])
        parts.append(_read(text[start : end + 1]))
        position = end + 1
    if position < len(text):
        parts.append(text[position:])
    return parts


def render_templates(
    text: str, instant: datetime, *, default_zone: tzinfo = UTC, default_pattern: str = DEFAULT_PATTERN
) -> str:
    """Return the text with every template replaced by what it makes of `instant`; errors as in `split_templates`."""
    return "".join(
        part
        if isinstance(part, str)
        else part.render(instant, default_zone=default_zone, default_pattern=default_pattern)
        for part in split_templates(text)
    )


def _closing(text: str, start: int) -> int:
    """Find the brace that ends a template: the first that stands outside the quotes of its pattern."""
    quoted = False
    for index in range(start + 2, len(text)):
        if text[index] == "'":
            quoted = not quoted
        elif text[index] == "}" and not quoted:
            return index
    raise PatternError(f"The template {text[start : start + 60]!r} is not closed by '}}', or a quote in it is not.")


@lru_cache(maxsize=512)
def _read(source: str) -> Template:
    name, colon, rest = source[2:-1].partition(":")
    reader = _READERS.get(name.strip().lower())
    if reader is None:
        raise PatternError(f"{source!r}: there is no template {name!r}; use gmtDate, date, dateTimeZone or epoch.")
    return reader(source, rest if colon else None)


def _gmt_date(source: str, rest: str | None) -> Template:
    return Template("gmtDate", _checked(source, rest), UTC, source)


def _date(source: str, rest: str | None) -> Template:
    return Template("date", None if rest is None else _checked(source, rest), None, source)


def _date_time_zone(source: str, rest: str | None) -> Template:
    match = _ZONE_WITH_COLON.fullmatch(rest or "")
    zone, pattern = match.groups() if match else (rest or "").split(":", 1) if ":" in (rest or "") else (rest, None)
    return Template("dateTimeZone", _checked(source, pattern), parse_zone(zone or ""), source)


def _epoch(source: str, rest: str | None) -> Template:
    unit = "ms" if rest is None else rest.strip().lower()
    if unit not in _UNITS:
        raise PatternError(f"{source!r}: {unit!r} is no unit of time here; use ms, s or us.")
    return Template("epoch", unit, None, source)


def _checked(source: str, pattern: str | None) -> str:
    if not pattern:
        raise PatternError(f"{source!r} has no pattern; write one such as yyyy-MM-dd'T'HH:mm:ss'Z'.")
    compile_pattern(pattern)
    return pattern


_READERS: Final = {"gmtdate": _gmt_date, "date": _date, "datetimezone": _date_time_zone, "epoch": _epoch}
