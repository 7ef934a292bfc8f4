"""Sending whole notifications again: the same id and bytes, marked as a replay if they may have arrived before.

A replay is a queued delivery beside the notification's own: what was delivered stays delivered, what was given up
stays so until its replay arrives, and neither holds up later events or pauses the instance. What is still on its way is
hurried, with a fresh schedule. No record's events are sent again out of order (see ordering.py).

A replay is asked for, then queued, then sent; `Replay` is the row that shows how far each came. A small selection is
queued where it is asked for; a large one by the workers, a batch a transaction (`queue_due_replays`, part of each
delivery task), so that no request waits for it. The row remembers the last notification that is queued: a worker that
was killed is followed by one that goes on from there. Pages and `/v1` call `start_replay` and then read the row;
what runs in the foreground, and sends at once what it queued, calls `replay_now`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, Max, QuerySet
from django.utils import timezone

from instances import audit
from instances.audit import Action
from instances.models import Instance
from polling.delivery.pausing import BLOCKED, ON_ITS_WAY, sending_among
from polling.delivery.replay.ordering import line_up, link_chains
from polling.delivery.replay.selection import Selection, select, selection_of
from polling.models import Notification, Replay
from polling.workers.leases import (
    LeaseLostError,
    claim,
    fence,
    free,
    release,
)
from polling.workers.loop import never

State = Notification.State
BATCH = 5000
AT_ONCE = 500  # so many are queued within a request: 0.1 s, for 5,000 records on SQLite
COUNTED = 1000  # so many a page looks at to say how many match
LEASE = timedelta(seconds=60)  # a batch takes 3 s, with ten records each
_UNQUEUED = Replay.objects.filter(queued_at=None)


def count_selected(instance: Instance, selection: Selection) -> int:
    """Return how many notifications a replay of the selection would send."""
    return select(instance, selection).count()


def count_newest(instance: Instance, selection: Selection) -> tuple[int, bool]:
    """Count among the instance's newest notifications alone; give how many, and whether there are older ones.

    For a page, which may not take the longer the more there are.
    """
    ours = Notification.objects.filter(instance=instance).order_by("-pk").values_list("pk", flat=True)
    oldest = ours[COUNTED : COUNTED + 1].first()
    found = select(instance, selection)
    return (found if oldest is None else found.filter(pk__gt=oldest)).count(), oldest is not None


def start_replay(instance: Instance, selection: Selection, now: datetime) -> Replay:
    """Have the selection sent again; give the row that shows how far it came. For requests: returns soon.

    Up to AT_ONCE notifications are queued here and now, more by the workers. While the instance rests (disabled, events
    off, paused) they wait for its release like everything else. What is made after `now` is no part of it.
    """
    return _start(instance, selection, now, at_once=AT_ONCE)


def replay_now(instance: Instance, selection: Selection, now: datetime) -> Replay:
    """Have the selection sent again, and queue all of it before this returns. For the foreground: takes its time."""
    return _start(instance, selection, now, at_once=None)


def replay_notifications(chosen: QuerySet[Notification], now: datetime) -> list[Replay]:
    """Have these very notifications sent again, discarded ones left out; give one replay an instance."""
    ids: dict[int, list[int]] = {}
    found = chosen.exclude(state=State.DISCARDED).order_by("pk")
    for instance_id, key in found.values_list("instance_id", "pk"):
        ids.setdefault(instance_id, []).append(key)
    instances = Instance.objects.select_related("organization").in_bulk(ids)
    return [start_replay(instances[key], Selection(ids=tuple(ids[key])), now) for key in sorted(ids)]


def _start(instance: Instance, selection: Selection, now: datetime, *, at_once: int | None) -> Replay:
    what, selected = str(selection), select(instance, selection)
    asked_for = selected.aggregate(count=Count("pk"), upto=Max("pk"))
    with transaction.atomic():
        replay = Replay.objects.create(
            instance=instance,
            asked_at=now,
            what=what,
            selection=selection.as_json(),
            total=asked_for["count"],
            upto=asked_for["upto"] or 0,
        )
        audit.record(Action.REPLAY, instance, organization=instance.organization, details={"what": what})
        here = at_once is None or asked_for["count"] <= at_once
        # Born claimed, so that no worker begins beside us.
        token = claim(_UNQUEUED, [replay.pk], now=timezone.now(), length=LEASE)[0] if here else ""
    if here:
        _carry_on(replay, token)
    replay.refresh_from_db()
    return replay


def queue_due_replays(*, deadline: float, stopping: Callable[[], bool] = never) -> int:
    """Queue what waiting replays ask for, until `deadline` (monotonic seconds) or `stopping()`; give how many ended."""

    def ends() -> bool:
        return stopping() or time.monotonic() >= deadline

    ended = 0
    while not ends():
        now = timezone.now()
        key = _UNQUEUED.filter(free(now)).order_by("asked_at").values_list("pk", flat=True).first()
        if key is None:
            break
        token, keys = claim(_UNQUEUED, [key], now=now, length=LEASE)
        if keys:
            replay = Replay.objects.select_related("instance__organization").get(pk=key)
            ended += _carry_on(replay, token, ends)
    return ended


def _carry_on(replay: Replay, token: str, ends: Callable[[], bool] = never) -> bool:
    """Queue batch by batch under the lease; give whether all is queued now."""
    selected = select(replay.instance, selection_of(replay.selection)).filter(pk__lte=replay.upto)
    try:
        while keys := list(
            selected.filter(pk__gt=replay.reached_id).order_by("pk").values_list("pk", flat=True)[:BATCH]
        ):
            if ends():
                return False
            _queue_batch(replay, token, keys)
        fence(Replay, replay.pk, token, queued_at=timezone.now(), total=F("queued"))
    except LeaseLostError:
        return False  # another worker took it while this one was held up, and goes on with it
    finally:
        release(Replay, [replay.pk], token)
    return True


def _queue_batch(replay: Replay, token: str, keys: Sequence[int]) -> None:
    now = timezone.now()
    with transaction.atomic():
        count = _queue(replay, keys, now)
        # Last, since those who write results lock notifications first and then their replay.
        fence(Replay, replay.pk, token, reached_id=keys[-1], queued=F("queued") + count, lease_until=now + LEASE)
    replay.reached_id = keys[-1]


def _queue(replay: Replay, keys: Sequence[int], now: datetime) -> int:
    chosen = Notification.objects.filter(pk__in=keys)
    # All of them, in the order that all lock them in, before it is judged which have their own delivery behind them.
    states = list(chosen.order_by("pk").select_for_update().values_list("pk", "state"))
    again = [key for key, state in states if state in Notification.DELIVERED_OR_GIVEN_UP]
    count_out(chosen)  # asked for twice and not sent yet: it is sent once, and counts for the later of both
    count = chosen.update(replay=replay, step=0)
    Notification.objects.filter(pk__in=again).update(follows=None, next_attempt_at=None)
    link_chains(again)
    line_up(Notification.objects.filter(pk__in=again, follows=None))
    to = {row.to for row in chosen.only("instance_id", "subscription_id")}
    waiting = chosen.filter(ON_ITS_WAY).to(sending_among(to))
    waiting.exclude(BLOCKED).update(next_attempt_at=now)  # what waits for its next try is hurried
    return count


def count_out(rows: QuerySet[Notification]) -> None:
    """Have those of these notifications that are sent again count no more for the replays that they are sent by."""
    sent_again = rows.filter(replay__isnull=False).order_by("replay")
    for part in list(sent_again.values("replay").annotate(count=Count("pk"))):
        less = {"total": F("total") - part["count"], "queued": F("queued") - part["count"]}
        Replay.objects.filter(pk=part["replay"], queued__gte=part["count"]).update(**less)
