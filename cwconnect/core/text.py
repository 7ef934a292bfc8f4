"""Numbers with their nouns, as sentences for people hold them."""

from __future__ import annotations


def counted(value: int, one: str, many: str = "") -> str:
    """Write a count, its digits grouped, with what is said of one or of many: `1 event`, `2,000 events`.

    `many` is `one` with an s unless given: `counted(count, "delivery is", "deliveries are")`.
    """
    return f"{value:,} {one if value == 1 else many or f'{one}s'}"
