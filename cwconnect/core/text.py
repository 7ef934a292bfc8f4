"""Numbers with their nouns, as sentences for people hold them, and text of outside made safe for a terminal."""

from __future__ import annotations

import re

# What a terminal obeys or reorders by, line feed and tab excepted: C0 and C1 controls (ECMA-48), and Unicode's marks of
# direction (UAX 9), by which one text can be made to look like another.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def literal(text: str) -> str:
    """Return a text with what a terminal would obey written out: an escape character becomes `\\x1b`."""
    return _OBEYED.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def counted(value: int, one: str, many: str = "") -> str:
    """Write a count, its digits grouped, with what is said of one or of many: `1 event`, `2,000 events`.

    `many` is `one` with an s unless given: `counted(count, "delivery is", "deliveries are")`.
    """
    return f"{value:,} {one if value == 1 else many or f'{one}s'}"
