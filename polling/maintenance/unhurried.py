"""Work on many rows in short transactions, each followed by a pause as long as it took.

What polls write meanwhile comes between them, also on SQLite, where one writes at a time. Each begins where the one
before it ended, so that what stays is read past once and not by each. A worker works for half of each minute at most,
so that its task ends in time, and goes on in the next; asked to stop, it ends with the batch under way.

What stays may be more than half a minute can walk past: a subscription that keeps longer than others, a receiver that
was paused for months. So the long walks are stored: a worker goes on where the last one ended, and begins at the head
again once an hour, for what has come to its end behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db.models import Q

from polling.models import StoredWalk
from polling.workers.stopping import stopping

BATCH = 200
STRETCH = timedelta(seconds=30)
AGAIN, NEVER = timedelta(hours=1), timedelta.max


class Place(NamedTuple):
    """Where a walk by time and id is: behind the row with these."""

    at: datetime
    key: int = 0


HEAD = Place(datetime.min.replace(tzinfo=UTC))

Batch = Callable[[Place], tuple[int, Place | None]]
"""Works on some of what there is beyond a place; gives how many rows went, and the place of the last one it looked at.

None where there is nothing left.
"""


def stretch() -> float:
    """Return until when (monotonic seconds) a worker may go on."""
    return time.monotonic() + STRETCH.total_seconds()


def beyond(place: Place, column: str) -> Q:
    """Return the condition of rows beyond a place, by the time in `column` and the id; to be asked in their order."""
    return Q(~Q(**{column: place.at, "pk__lte": place.key}), **{f"{column}__gte": place.at})


def unhurried(batch: Batch, until: float, place: Place = HEAD) -> Iterator[int]:
    """Do batch after batch, and leave the database to others for as long as each took; give how many rows went."""
    while time.monotonic() < until and not stopping():
        began = time.monotonic()
        count, reached = batch(place)
        if reached is None:
            return
        place = reached
        yield count
        time.sleep(time.monotonic() - began)


def resumed(name: str, batch: Batch, until: float, *, now: datetime, again: timedelta = AGAIN) -> Iterator[int]:
    """Do the batches of a stored walk, on from where it is; it is stored where it came to in that time.

    Once it was at its end it begins at the head anew, so long `again` after it last did.
    """
    stored = StoredWalk.objects.filter(name=name).first()
    if stored is None or (stored.ended and not timedelta(0) <= now - stored.begun_at < again):
        stored = StoredWalk(name=name, begun_at=now, reached_at=HEAD.at, reached_id=HEAD.key)
    before = (stored.reached_at, stored.reached_id)
    was_ended, stored.ended = stored.ended, False

    def step(place: Place) -> tuple[int, Place | None]:
        count, reached = batch(place)
        if reached is None:
            stored.ended = True
        else:
            stored.reached_at, stored.reached_id = reached
        return count, reached

    yield from unhurried(step, until, Place(*before))
    if (stored.reached_at, stored.reached_id) != before or stored.ended != was_ended:
        stored.save()
