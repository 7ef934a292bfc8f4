"""A record's title: the words by which people know it, made of the fields that its resource names. Pure.

It is made of each record of which an event is recorded, so it is cheap: a few look-ups, and a cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from cwconnect.connectwise.resource import Resource

LONGEST_TITLE: Final = 200
# Of lists that the catalogue lacks: the first of these that a record has. Nearly all lists have one of them.
GENERIC_TITLES: Final = (
    *("name", "summary", "firstName lastName", "title", "subject"),
    *("identifier", "description", "caption", "text"),
)


def titles_of(resource: Resource | None) -> tuple[str, ...]:
    """Return of which fields the titles of a resource's records are made; the usual ones where it is not known."""
    return GENERIC_TITLES if resource is None else resource.titles


def title_of(record: Mapping[str, Any], titles: Sequence[str]) -> str:
    """Return the title of a record: of the first of `titles` whose fields hold any text; empty where none does.

    Each of `titles` names dotted fields: `firstName lastName` stand side by side, `poNumber, vendorCompany.name` with a
    comma between. White space is made one blank, U+0000 (which no database takes) is left out, and what is longer than
    `LONGEST_TITLE` is cut.
    """
    for title in titles:
        separator, fields = _fields(title)
        found = separator.join(text for path in fields if (text := _text(record, path)))
        if found:
            return found if len(found) <= LONGEST_TITLE else f"{found[: LONGEST_TITLE - 1].rstrip()}…"
    return ""


@cache
def _fields(title: str) -> tuple[str, tuple[tuple[str, ...], ...]]:
    separator = ", " if "," in title else " "
    return separator, tuple(tuple(name.strip().split(".")) for name in title.split(separator))


def _text(record: Mapping[str, Any], path: tuple[str, ...]) -> str:
    value: Any = record
    for name in path:
        if not isinstance(value, dict):
            return ""
        value = value.get(name)
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    return " ".join(str(value)[: 4 * LONGEST_TITLE].replace("\x00", "").split())
