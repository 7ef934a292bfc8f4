"""What a page came to for subscriptions, written: one transaction, fenced by their leases, which it ends.

The fence moves `reached_id` on and is the first statement; with it come notifications, what became of each event, and
counts, or nothing. So a worker that is killed leaves all of a page to the next, and one that was overtaken writes none.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, transaction

from cwconnect.core.bulk_sql import db_timestamp, insert
from cwconnect.core.statements import rows_of
from polling.delivery.fan_out.bodies import Body, StoredBodies
from polling.delivery.fan_out.claims import Claimed
from polling.delivery.fan_out.order import Draft
from polling.delivery.fan_out.spans import begin_span, runs_of
from polling.delivery.fan_out.waits import still_undelivered
from polling.log.event_ids import take_ids
from polling.models import Notification, SubscriptionEvent
from polling.workers.queue import wake_on_commit
from polling.workers.wakeups import Kind

_ADVANCE = """UPDATE polling_subscription AS mine
SET reached_id = given.upto, passed = mine.passed + given.passed, held = mine.held + given.held,
    catching_up_to = CASE WHEN catching_up_to > given.upto THEN catching_up_to END,
    lease_token = NULL, lease_until = NULL
FROM json_to_recordset(%s) AS given (
    id bigint, token text, reached bigint, upto bigint, passed bigint, held bigint,
    filter text, form text, fields text, mapping text
)
WHERE mine.id = given.id AND lease_token = given.token AND reached_id = given.reached AND enabled
    AND deleted_at IS NULL AND mine.filter = given.filter AND mine.form = given.form
    AND CAST(mine.fields AS text) = given.fields AND mine.mapping = given.mapping
RETURNING mine.id
"""
_ADVANCE_ONE = """UPDATE polling_subscription
SET reached_id = %s, passed = passed + %s, held = held + %s,
    catching_up_to = CASE WHEN catching_up_to > %s THEN catching_up_to END, lease_token = NULL, lease_until = NULL
WHERE id = %s AND lease_token = %s AND reached_id = %s AND enabled AND deleted_at IS NULL
    AND filter = %s AND form = %s AND fields = %s AND mapping = %s
RETURNING id
"""

_NOTIFICATION = (
    *("id", "instance_id", "subscription_id", "object_type", "webhook_id", "body", "shared_body_id", "content_type"),
    *("event_count", "follows_id", "state", "next_attempt_at", "step", "last_error", "created_at"),
    "traceparent",
)
_JUDGED = ("subscription_id", "event_id", "notification_id", "held_by", "not_judged")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made of a page: notifications with their bytes, what is held by id, what was let pass unjudged.

    `upto`: the last event that was looked at.
    """

    upto: int
    drafts: Sequence[tuple[Draft, Body]]
    held: Mapping[int, str]
    unjudged: Mapping[int, str]

    @property
    def passed(self) -> int:
        """How many events are carried."""
        return sum(len(draft.events) for draft, _ in self.drafts)


@dataclass(frozen=True, slots=True)
class Ready:
    """A claimed subscription, and what is to be written for it; `rests`: nothing may be sent to it now."""

    claimed: Claimed
    plan: Plan
    rests: bool


def write(ready: Sequence[Ready], bodies: StoredBodies, now: datetime) -> set[int]:
    """Write all of these; for those that are not ours any more, or ask for something else by now, nothing.

    Return the ids of those that it was written for.
    """
    with transaction.atomic():
        ours = _advance(ready)
        add([one for one in ready if one.claimed.id in ours], bodies, now)
    return ours


def add(kept: Sequence[Ready], bodies: StoredBodies, now: datetime) -> None:
    """Write the notifications of these and what became of each event. In a transaction that has their rows locked."""
    follows = {draft.follows for one in kept for draft, _ in one.plan.drafts if draft.follows is not None}
    undelivered = still_undelivered(follows)
    count = sum(len(one.plan.drafts) for one in kept)
    ids = iter(take_ids(count) if count else ())
    bodies.store((body for one in kept for _, body in one.plan.drafts), now)
    runs = runs_of({event.id for one in kept for draft, _ in one.plan.drafts for event in draft.events})
    made: list[tuple[Any, ...]] = []
    judged: list[tuple[Any, ...]] = []
    for one in kept:
        taken = [next(ids) for _ in one.plan.drafts]
        made += _notifications(one, taken, undelivered, runs, now)
        judged += _judged(one, taken)
    insert(Notification, _NOTIFICATION, made)
    insert(SubscriptionEvent, _JUDGED, judged)
    if any(row[_NOTIFICATION.index("next_attempt_at")] for row in made):
        wake_on_commit(Kind.DELIVER)


def _advance(ready: Sequence[Ready]) -> set[int]:
    """The fence: move on those that are still ours, end their leases, and return which they are."""
    if connection.vendor == "postgresql":
        given = [_given(one) for one in ready]
        return {key for (key,) in rows_of(_ADVANCE, [orjson.dumps(given).decode()])}
    return {key for one in ready for (key,) in rows_of(_ADVANCE_ONE, _values(one))}


def _given(one: Ready) -> dict[str, Any]:
    claimed, plan = one.claimed, one.plan
    return {
        "id": claimed.id,
        "token": claimed.token,
        "reached": claimed.reached,
        "upto": plan.upto,
        "passed": plan.passed,
        "held": len(plan.held),
        **claimed.asks._asdict(),
    }


def _values(one: Ready) -> list[Any]:
    claimed, plan = one.claimed, one.plan
    moved = [plan.upto, plan.passed, len(plan.held), plan.upto]
    return [*moved, claimed.id, claimed.token, claimed.reached, *claimed.asks]


def _notifications(
    one: Ready, ids: Sequence[int], undelivered: Collection[int], runs: Mapping[int, str], now: datetime
) -> Iterable[tuple[Any, ...]]:
    claimed, at = one.claimed, db_timestamp(now)
    subscription = None if claimed.is_first else claimed.id
    for key, (draft, body) in zip(ids, one.plan.drafts, strict=True):
        follows = ids[draft.after] if draft.after is not None else draft.follows
        if draft.follows is not None and draft.follows not in undelivered:
            follows = None  # delivered since it was looked up
        webhook_id = f"msg_{uuid.uuid4()}"  # a receiver recognises repeats by it
        said: dict[str, str | int] = {
            "cwconnect.instance_id": claimed.instance_id,
            "cwconnect.subscription_id": claimed.id,
            "cwconnect.resource": draft.object_type,
            "cwconnect.notification_id": key,
            "cwconnect.webhook_id": webhook_id,
        }
        yield (
            *(key, claimed.instance_id, subscription, draft.object_type, webhook_id),
            *("", body.hash, body.content_type, len(draft.events), follows, Notification.State.PENDING.value),
            *(None if one.rests or follows is not None else at, 0, "", at, begin_span(said, draft.events, runs)),
        )


def _judged(one: Ready, ids: Sequence[int]) -> Iterable[tuple[Any, ...]]:
    key, unjudged = one.claimed.id, one.plan.unjudged
    for notification, (draft, _) in zip(ids, one.plan.drafts, strict=True):
        for event in draft.events:
            yield key, event.id, notification, "", unjudged.get(event.id, "")
    for event_id, held_by in one.plan.held.items():
        yield key, event_id, None, held_by, ""
