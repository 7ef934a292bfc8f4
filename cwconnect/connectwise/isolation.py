"""A list that one record makes unreadable, read around it: in halves, until that record stands alone.

Where quotes or brackets don't match, nobody knows where a record ends, so none of the answer can be used. The ids alone
can still be asked for, since the member that breaks the answer is then not in it: they say how many records there are
to halve, and which one it is in the end. That one is asked for by its id, so that no other can be taken for it, and is
left out by name; the next page begins behind it. An answer that was cut off is no such list: it may come whole the
next time.

Requests: the list, its ids, one for each halving (ten for a thousand records), and one for the record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cwconnect.connectwise.answers import Page
from cwconnect.connectwise.errors import BrokenList, Unreachable

MOST_HALVINGS = 12  # a thousand records take ten; rows that come meanwhile are read with the next page


@dataclass(frozen=True)
class Piece:
    """A part of a list to ask for: so many records behind `after_id`, or the one with the id `only`."""

    after_id: int = 0
    size: int = 1
    only: int | None = None
    ids_alone: bool = False


Ask = Callable[[Piece, Mapping[str, str], float | None], Page]
"""Asks for a piece by these parameters, within so many seconds if they are given; raises `BrokenList` too."""
ReadPiece = Callable[[Piece], Page]


class Pieces:
    """A list that is read piece by piece, by `ask`; all of a page together within `seconds`."""

    def __init__(self, ask: Ask, params: Mapping[str, str], *, seconds: float) -> None:
        self._ask, self._params, self._deadline = ask, params, time.monotonic() + seconds
        self._requests = 0

    def read_page(self, *, after_id: int, size: int) -> Page:
        """Return the page behind `after_id`; one that can't be read as a whole only up to the record that is why."""
        try:
            return self._read(Piece(after_id, size))
        except BrokenList as broken:
            page = _read_around(self._read, broken, after_id=after_id, size=size)
        return replace(page, requests=self._requests)

    def _read(self, piece: Piece) -> Page:
        seconds = round(self._deadline - time.monotonic(), 1) if self._requests else None
        if seconds is not None and seconds <= 0:
            raise Unreachable("There was no time left to find the record that can't be read.")
        self._requests += 1
        return self._ask(piece, self._params_of(piece), seconds)

    def _params_of(self, piece: Piece) -> Mapping[str, str]:
        params = {**self._params, "fields": "id"} if piece.ids_alone else dict(self._params)
        if piece.only is not None:
            chosen, one = params.get("conditions"), f"id = {piece.only}"
            params["conditions"] = f"({chosen}) and {one}" if chosen else one
        return params


def _read_around(read: ReadPiece, broken: BrokenList, *, after_id: int, size: int) -> Page:
    """Return a list's records behind `after_id` up to the first that can't be read, which is left out by name.

    `broken` is what became of the whole page. Raises it where nothing was read, since the list has changed meanwhile,
    and the `ConnectWiseError` of any piece. The page never says that it is the last one.
    """
    listed = read(Piece(after_id, size, ids_alone=True))
    ids = [record["id"] for record in listed.records]
    guess = broken.guess
    # Its ids are those that the page was taken apart into, which none of its elements could vouch for.
    if ids and guess is not None and len(guess.skipped) == len(ids) and guess.last_id == ids[-1]:
        return guess
    pages, rest = _halve(read, after_id, ids)
    if len(rest) == 1:
        pages.append(_read_alone(read, rest[0]))
    if not any(page.last_id > after_id for page in pages):
        raise broken
    return _joined(pages, listed)


def _halve(read: ReadPiece, after_id: int, ids: Sequence[int]) -> tuple[list[Page], Sequence[int]]:
    """Return the pages that could be read, and the ids of what follows: the one that can't be, unless time is short."""
    pages: list[Page] = []
    for _ in range(MOST_HALVINGS):
        if len(ids) < 2:
            break
        half = ids[: len(ids) // 2]
        try:
            page = read(Piece(after_id, len(half)))
        except BrokenList:
            ids = half
        except Unreachable:
            if not pages:
                raise
            break  # what was read is kept; the trouble shows itself to the next request
        else:
            pages.append(page)
            after_id = page.last_id
            ids = [] if page.is_last else [number for number in ids if number > after_id]
    return pages, ids


def _read_alone(read: ReadPiece, record_id: int) -> Page:
    """Read one record by its id, empty if it is gone; one that can't be read is left out by name."""
    try:
        return read(Piece(only=record_id))
    except BrokenList as error:
        return Page([], None, record_id, [f"record {record_id} can't be read: {error.why}"])


def _joined(pages: Sequence[Page], listed: Page) -> Page:
    """Join pages that follow each other. `listed` was read before them: its clock is the one to go by."""
    skipped = [*listed.skipped, *(words for page in pages for words in page.skipped)]
    return Page(
        records=[record for page in pages for record in page.records],
        date=listed.date,
        last_id=max(page.last_id for page in pages),
        skipped=list(dict.fromkeys(skipped)),
        notes=[words for page in pages for words in page.notes],
    )
