"""What an audit entry's details say, in words for people: one line a field, with what it was and what it is. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from instances.audit import named
from instances.configuration.config_keys import KEYS

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d:\d\d")
_TITLES: Mapping[str, str] = {key.field: key.title for key in KEYS} | {
    "former_until": "The former one is good until",
    "expires_at": "Expires",
    "may_write": "May write",
    "writes_to_connectwise": "May write to ConnectWise",
    "scope": "Scope",
    "networks": "Good from",
    "only_instances": "For the instances",
    "user": "API key made",
    "organization": "Organization secret made",
    "address": "From",
    "email": "Mail address",
    "second_factor": "Who must have one",
    "factor": "Which",
    "codes_left": "Codes left",
    "to send": "Notifications to send",
    "what": "What",
    "begin": "Goes on from",
}
# Written as [old, new]; any other list is a list.
_PAIRS = {*(key.field for key in KEYS), "name", "tags", "role", "scope", "networks", "only_instances", "expires_at"}
_PAIRS |= {"second_factor", "writes_to_connectwise"}
_PAIRS |= {"enabled", "filter", "form", "fields", "mapping", "retry_schedule", "retention_days"}  # of subscriptions


@dataclass(frozen=True)
class Line:
    """One field of an entry: what it was and what it is; or, where neither is kept, what is said of it."""

    field: str
    old: str = ""
    new: str = ""
    said: str = ""

    def __str__(self) -> str:
        """Return the line as text, for a file."""
        return f"{self.field}: {self.said}" if self.said else f"{self.field}: {self.old} → {self.new}"


def lines_of(details: Any) -> list[Line]:
    """Return the lines of an entry's details, whatever shape those have."""
    if not isinstance(details, dict):
        return [Line("Details", said=_shown(details))] if details else []
    return [_line(str(name), value) for name, value in details.items()]


def _line(name: str, value: Any) -> Line:
    title = _title(name)
    if name in _PAIRS and isinstance(value, list) and len(value) == 2:
        return Line(title, old=_shown(value[0]), new=_shown(value[1]))
    return Line(title, said=_shown(value))


def _title(name: str) -> str:
    """Return a field's name as a form has it: a resource's stands behind `polls.`."""
    if name.startswith("polls."):
        return f"Resource {name.removeprefix('polls.')}"
    return _TITLES.get(name) or name.replace("_", " ").capitalize()


def _shown(value: Any) -> str:
    """Write a value as people do; what has parts is written part by part, and what is deeper as JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "" or value == []:
        return "nothing"
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    if isinstance(value, dict):
        return "; ".join(f"{name} {_shown(each)}" for name, each in value.items())
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    """Write a text: a time as people read it, a person by name."""
    with suppress(ValueError, OverflowError):  # text that looks like a time, and is none
        if _TIME.fullmatch(value):
            return f"{datetime.fromisoformat(value).astimezone(UTC):%d %b %Y, %H:%M:%S} UTC"
    return value.removeprefix(named(""))
