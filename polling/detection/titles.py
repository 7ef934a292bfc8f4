"""What people call records whose text is not at hand: the titles of their kept bodies, or of their newest events."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import orjson
from django.db.models import Max, Q

from cwconnect.connectwise.titles import title_of
from cwconnect.core.bulk_sql import any_of
from instances.models import ResourcePoll
from polling.detection.jobs import plan_of_poll
from polling.detection.snapshots import FEW, read_bodies
from polling.models import Event

Titles = Mapping[tuple[int, int], str]


def any_record(ids: Mapping[int, Collection[int]]) -> Q:
    """Return the condition that a row belongs to one of these records of polls.

    Many records of one poll are one parameter. Those of several are written out: PostgreSQL goes through the whole
    table where each of the alternatives has a subquery of its own: 19 s of a million events, 0.2 s so.
    """
    found = Q(pk__in=[])
    for poll, of_poll in ids.items():
        many = len(ids) == 1 and len(of_poll) > FEW
        found |= Q(resource_poll=poll, record_id__in=any_of(of_poll) if many else list(of_poll))
    return found


def last_titles(ids: Mapping[int, Collection[int]]) -> dict[tuple[int, int], str]:
    """Return the titles of those of these records (by poll) whose events have one, by their newest: one query."""
    if not any(ids.values()):
        return {}
    titled = Event.objects.filter(any_record(ids)).exclude(title="").order_by()
    newest = titled.values("resource_poll_id", "record_id").annotate(newest=Max("pk")).values("newest")
    rows = Event.objects.filter(pk__in=newest).values_list("resource_poll_id", "record_id", "title")
    return {(poll, record): title for poll, record, title in rows if poll is not None}


def record_titles(wanted: Mapping[ResourcePoll, Collection[int]]) -> Titles:
    """Return what people call these records of polls, by the poll's key and the record's id: two queries at most.

    A body that was kept is newer than any event. Records without a title are left out.
    """
    ids = {poll.pk: of_poll for poll, of_poll in wanted.items() if of_poll}
    if not ids:
        return {}
    bodies = read_bodies(ids)
    titles = {
        (poll.pk, record): title
        for poll in wanted
        for record, text in bodies.get(poll.pk, {}).items()
        if (title := title_of(orjson.loads(text), plan_of_poll(poll).titles))
    }
    others = {poll: [record for record in of_poll if (poll, record) not in titles] for poll, of_poll in ids.items()}
    return last_titles(others) | titles
