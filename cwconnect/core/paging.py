"""Pages of a list by key: `pageSize`, and `nextPage` with the value of the last answer's Elements-Next-Page-Token."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from cwconnect.core.errors import DomainError

NEXT_PAGE_HEADER = "Elements-Next-Page-Token"
COUNT_HEADER = "Elements-Returned-Count"
TOTAL_HEADER = "Elements-Total-Count"
DEFAULT_SIZE = 200
LARGEST_SIZE = 1000

Row = TypeVar("Row")


def key_of(row: Any) -> int:
    """Return a row's id."""
    return int(row.pk)


def page_size(query: Mapping[str, str], *, default: int = DEFAULT_SIZE) -> int:
    """Read `pageSize`: 1 and more, where more than 1000 is taken as 1000."""
    text = query.get("pageSize", "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise DomainError("pageSize must be a whole number from 1.")
    return min(int(text), LARGEST_SIZE)


def cut(rows: Sequence[Row], size: int, key: Callable[[Row], int] = key_of) -> tuple[Sequence[Row], str | None]:
    """Cut a page off `rows`, of which one more than `size` was read; give it and the token of the next, if any.

    `key` gives what a page begins behind: by default the id.
    """
    page = rows[:size]
    return page, write_token(key(page[-1])) if len(rows) > size else None


def write_token(key: int) -> str:
    """Return the token of the page that begins behind `key`."""
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def read_token(query: Mapping[str, str]) -> int | None:
    """Read `nextPage`; None when it is not given; DomainError for what no answer of ours sent."""
    text = query.get("nextPage", "").strip()
    if not text:
        return None
    try:
        key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        if len(key) > 18 or not (key.isascii() and key.isdigit()):
            raise ValueError(key)
    except (ValueError, binascii.Error):
        raise DomainError("nextPage must be the Elements-Next-Page-Token of an earlier answer.") from None
    return int(key)
