"""Browsers in a person's words: enough to know one's own, no more."""

from __future__ import annotations

import re

# The first that is found counts: most claim to be several (Edge says Chrome and Safari too).
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_PROGRAM = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,30}")


def browser_in_words(user_agent: str) -> str:
    """Return `Firefox on Windows` for a User-Agent; a program's own name, or `an unknown browser`, for any other."""
    browser = _first(_BROWSERS, user_agent)
    if browser is None:
        program = _PROGRAM.match(user_agent)
        return program[0] if program else "an unknown browser"
    system = _first(_SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def _first(table: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((words for mark, words in table if mark in text), None)
