"""What *Events* and *Deliveries* are filtered by: parameters of the URL, presets of time, chips that take one off."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone

from instances.models import Instance
from polling.pages.chips import Chip
from polling.pages.shared import moment_of

_LONGEST_TEXT = 200
_MOST_DIGITS = 9
_LONGEST_ID = 18
_NUMBERED = re.compile(r"(\d{1,18})|.* \((\d{1,18})\)", re.ASCII | re.DOTALL)  # `12`, or `Acme (12)` as is proposed
_OF_A_PAGE = ("before", "after")  # of no filter: where in the list a page stands, and what a tab has seen
PRESETS: Mapping[str, str] = {"hour": "Last hour", "today": "Today", "yesterday": "Yesterday"}


@dataclass(frozen=True)
class Choice:
    """One click: its words, the URL it leads to, and whether it is what is shown."""

    label: str
    url: str
    on: bool


@dataclass(frozen=True)
class Times:
    """From when to when; `preset` is the word that says so, if one does."""

    since: datetime | None = None
    until: datetime | None = None
    preset: str = ""


def times_of(given: QueryDict, now: datetime) -> Times:
    """Return the times that a query names: `from` and `to`, or else a `preset`, in the viewer's zone."""
    since, until = moment_of(given.get("from", "")), moment_of(given.get("to", ""))
    preset = given.get("preset", "")
    if since or until or preset not in PRESETS:
        return Times(since, until)
    if preset == "hour":
        return Times(now - timedelta(hours=1), None, preset)
    today = timezone.localtime(now).date()
    if preset == "today":
        return Times(_midnight(today), None, preset)
    return Times(_midnight(today - timedelta(days=1)), _midnight(today), preset)


def _midnight(day: date) -> datetime:
    local = timezone.make_aware(datetime.combine(day, time.min))
    return local.astimezone(UTC)


def text_of(given: QueryDict, name: str) -> str:
    """Return what a field for text sends, as the database takes it."""
    return given.get(name, "").strip().replace("\x00", "")[:_LONGEST_TEXT]


def number_of(given: QueryDict, name: str) -> int:
    """Return what a field for a number sends; 0 where it is none."""
    text = given.get(name, "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 0


def id_of(given: QueryDict, name: str) -> int:
    """Return the id that a link sends; 0 where it is none."""
    text = given.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID else 0


def query_of(given: QueryDict, *without: str, **more: object) -> str:
    """Return the query of a page as it stands, from its beginning, without some parameters and with others."""
    kept = {name: value for name, value in given.items() if value and name not in (*_OF_A_PAGE, *without)}
    return urlencode(kept | more)


def presets(given: QueryDict, times: Times) -> list[Choice]:
    """Return the times that are one click away."""
    others = ("from", "to", "preset")
    urls = {name: "?" + query_of(given, *others, preset=name) for name in PRESETS}
    return [Choice(label, urls[name], times.preset == name) for name, label in PRESETS.items()]


def chips(given: QueryDict, times: Times, named: Sequence[tuple[str, str, str]]) -> list[Chip]:
    """Return a chip for each thing that narrows a list: `named` are parameter, words before the value, and value."""
    found = [Chip(f"{words}: {value}", "?" + query_of(given, *name.split())) for name, words, value in named if value]
    if times.preset:
        found.append(Chip(PRESETS[times.preset], "?" + query_of(given, "preset")))
    if not times.preset and times.since:
        found.append(Chip(f"From {_written(times.since)}", "?" + query_of(given, "from")))
    if not times.preset and times.until:
        found.append(Chip(f"Before {_written(times.until)}", "?" + query_of(given, "to")))
    return found


def _written(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return f"{local:%d %b %Y, %H:%M}"


def is_over(times: Times, now: datetime) -> bool:
    """Return whether nothing new can come into these times."""
    return times.until is not None and times.until <= now


def named_instance(instances: QuerySet[Instance], text: str) -> Instance | None:
    """Return the one instance that a text names: by its name, by its id, or by both."""
    called = list(instances.filter(name__iexact=text)[:2]) if text else []
    if len(called) == 1:
        return called[0]
    numbered = _NUMBERED.fullmatch(text)
    return instances.filter(pk=numbered[1] or numbered[2]).first() if numbered else None
