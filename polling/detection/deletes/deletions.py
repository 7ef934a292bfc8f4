"""Deletes: when they are recorded, when they are held back, and what a person may decide about those held.

ConnectWise leaves no trace of a delete. A row counts as gone when a sweep does not find it, ConnectWise says of its id
that there is no such record, and an id known to live answers meanwhile. Recorded are deletes of rows that stood there
when watching began and of rows recorded since; one that came and went between two polls is not.

More than a tenth and more than 20 of all rows gone at once look like a lost security role or a wrong site and not like
work: nothing is sent, and a person decides. So it is when no row is left that could answer for the others. While some
are held, what else is missed is held with them.

Released, they are recorded by a sweep that begins at once and does not find them either (the person's word stands for
the question by id). Dismissed, they are neither recorded nor held again as long as they stay away; a row that is seen
again is watched as before. Held rows that are seen again are no longer held: no decision is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from cwconnect.connectwise.hub_url import field_value
from cwconnect.connectwise.titles import title_of
from instances import audit
from instances.audit import Action
from instances.models import ResourcePoll
from instances.plans import Plan
from polling.detection.changes import UNREAD
from polling.detection.deletes.missing_records import (
    Status,
    calm_health,
    counts,
    missing_records,
)
from polling.detection.event_log import PollEvents, record_events
from polling.detection.event_shapes import shape_of
from polling.detection.jobs import abandon
from polling.detection.reading import object_id_of
from polling.detection.snapshots import read_bodies
from polling.detection.titles import last_titles
from polling.models import Event, Health, NewEvent, PollRun, PollState, RecordSnapshot, SnapshotBody
from polling.workers.due import PAUSED

FEW = 20
SHARE = 10
LOOKS_FOR_DELETES = Q(resource_poll__configuration__detectDeletes=True)


def is_mass_delete(gone: int, known: int) -> bool:
    """Whether so many rows gone, of those known, are for a person to decide."""
    return gone > FEW and gone * SHARE > known


def judge_missing(poll_id: int, *, anyone_left: bool, gone_before: int = 0) -> list[int]:
    """Hold what a sweep missed, or let it go on to be confirmed; give the ids held.

    Once all ids are read, in that transaction. What was held before is judged anew, with what is missed now.
    `gone_before`: rows recorded as deleted a short while ago, to be judged with these.
    """
    status = counts(poll_id)
    gone = status.get(Status.MISSED, 0) + status.get(Status.HELD, 0) + gone_before
    known = RecordSnapshot.objects.filter(resource_poll_id=poll_id, gone=False).count() + gone_before
    hold = gone > 0 and (is_mass_delete(gone, known) or not anyone_left)
    before, after = (Status.MISSED, Status.HELD) if hold else (Status.HELD, Status.MISSED)
    missing_records(poll_id, before).update(status=after)
    if not hold:
        return []
    return list(missing_records(poll_id, Status.HELD).order_by("record_id").values_list("record_id", flat=True))


def record_deletes(
    poll: ResourcePoll, plan: Plan, run: PollRun, ids: Sequence[int], *, now: datetime, seen: datetime
) -> int:
    """Record these rows as deleted and remember them as gone; give the number of events. In a fenced transaction.

    Rows that were dismissed, or seen by a poll, since they were missed are left alone.
    """
    waiting = missing_records(poll.pk, Status.MISSED, Status.RELEASED).filter(record_id__in=ids)
    gone = sorted(waiting.values_list("record_id", flat=True))
    if not gone:
        return 0
    occurred_at, shape = run.listed_at or seen, shape_of(poll, plan)
    deletes = [
        NewEvent(
            *(poll.name, object_id, number, Event.Kind.DELETED, occurred_at),
            polled_at=seen,
            record=shape.text(text),
            title=title,
        )
        for number, object_id, text, title in _last_known(poll, plan, gone)
    ]
    stamp = int(occurred_at.timestamp())  # of the event, so that a later look can judge if it should still be there
    RecordSnapshot.objects.filter(resource_poll=poll, record_id__in=gone).update(gone=True, stamp=stamp, digest=UNREAD)
    SnapshotBody.objects.filter(resource_poll=poll, record_id__in=gone).delete()
    missing_records(poll.pk).filter(record_id__in=gone).delete()
    return record_events([PollEvents(poll, run, deletes)], now=now)


def _last_known(poll: ResourcePoll, plan: Plan, ids: Sequence[int]) -> list[tuple[int, str, str, str]]:
    """Return each row's objectId, last text and title: as read last, or `{"id":17}` if its text was never kept."""
    bodies = read_bodies({poll.pk: ids}).get(poll.pk, {})
    events = Event.objects.filter(resource_poll=poll, record_id__in=ids).order_by("pk")
    names = dict(events.values_list("record_id", "object_id")) if plan.id_field != "id" else {}
    titles = last_titles({poll.pk: [number for number in ids if number not in bodies]})
    found = []
    for number in ids:
        text = bodies.get(number, f'{{"id":{number}}}')
        record = orjson.loads(text)
        object_id = names.get(number) or object_id_of(field_value(record, plan.id_field)) or str(number)
        found.append((number, object_id, text, titles.get((poll.pk, number)) or title_of(record, plan.titles)))
    return found


def sweep_now(states: QuerySet[PollState]) -> int:
    """Make these polls' sweeps due at once, those without deletes to look for and those paused excepted; give how many.

    What is asked for begins after it was asked: a sweep that has begun is abandoned, for the ids that it has read may
    have been deleted since.
    """
    asked = states.filter(LOOKS_FOR_DELETES).exclude(PAUSED)
    with transaction.atomic():
        keys = list(asked.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
        abandon(PollRun.objects.filter(resource_poll_id__in=keys, kind=PollRun.Kind.SWEEP))
        return PollState.objects.filter(pk__in=keys).update(next_sweep_at=timezone.now())


def held_deletes(poll: ResourcePoll) -> QuerySet[RecordSnapshot]:
    """Return the rows whose deletes are held back, by id."""
    held = missing_records(poll.pk, Status.HELD).values("record_id")
    return RecordSnapshot.objects.filter(resource_poll=poll, record_id__in=held).order_by("record_id")


def release_held(state: PollState) -> int:
    """Let the held deletes of a poll be recorded; give how many. A sweep due at once looks for them once more."""
    return _decide(state, Status.RELEASED)


def dismiss_held(state: PollState) -> int:
    """Have the held deletes of a poll dismissed; give how many. The rows stay known and are watched once seen again."""
    return _decide(state, Status.DISMISSED)


def _decide(state: PollState, decision: Status) -> int:
    row = PollState.objects.filter(pk=state.pk)
    with transaction.atomic():
        # Locked first, as by the sweep that may be about to judge the same rows.
        list(row.select_for_update().values_list("pk"))
        count = missing_records(state.pk, Status.HELD).update(status=decision)
        PollRun.objects.filter(resource_poll_id=state.pk).exclude(held=[]).update(held=[])
        row.filter(health=Health.HELD).update(health=calm_health(state.pk))
        if decision == Status.RELEASED and count:
            sweep_now(row.exclude(next_sweep_at=None))
        poll = state.resource_poll
        details = {"decision": decision.value, "rows": count}
        audit.record(Action.DECIDE_DELETES, poll, organization=poll.instance.organization, details=details)
    return count
