"""Times that our own clock wrote while it was ahead: nothing waits for them to come round.

A machine may wake up with a clock that is hours or years ahead, until it learns the time. What is then further away
than anything of its kind may be is made due now, and a lease that nobody can have taken for so long is free. Taken for
one of those by mistake, because this clock is behind, a poll runs early and a fence holds what it always holds.

The supervisor has it done when it begins and whenever it sees its clock set back; a periodic job does so for good
measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.lookups import In

from instances.models import Instance
from polling.alerts.destination_job import LONGEST_WAIT
from polling.alerts.destinations import LONGEST_MUTE
from polling.delivery.retry_schedule import JITTER, LONGEST_RETRY_AFTER
from polling.models import (
    AlertSend,
    AnnouncedRecord,
    BulkJob,
    CallbackEndpoint,
    CallbackHint,
    Copy,
    Heartbeat,
    Lock,
    Notification,
    PollState,
    Receiver,
    Site,
    Subscription,
)
from polling.models.deliveries import TO
from polling.models.leased import leased_rows
from polling.workers.heartbeats import NEVER

SLACK = timedelta(hours=1)  # machines' clocks may differ that much; and the longest wait of a poll, a site or a lease
LONGEST_INTERVAL = timedelta(minutes=44_640)


def repair_clock_skew(now: datetime) -> int:
    """Make due what would wait for a time that came from a wrong clock, and free such leases; give how many rows."""
    count = Heartbeat.objects.filter(seen_at__gt=now + SLACK).update(seen_at=NEVER)
    count += Lock.objects.filter(taken_at__gt=now + SLACK).update(taken_at=NEVER)
    count += _repair_polls(now)
    count += _repair_deliveries(now)
    count += _repair_callbacks(now)
    count += BulkJob.objects.filter(next_try_at__gt=now + SLACK).update(next_try_at=now)
    count += Copy.objects.filter(next_try_at__gt=now + 2 * SLACK).update(next_try_at=now)
    count += _repair_alerts(now)
    count += Receiver.objects.filter(open_until__gt=now + SLACK).update(open_until=now)
    return count + sum(rows.filter(lease_until__gt=now + SLACK).end_leases() for rows in leased_rows())


def _repair_deliveries(now: datetime) -> int:
    """Make due what waits for longer than its subscription's retry schedule has it, or than a receiver may ask for."""
    usual, own = _longest_wait(settings.RETRY_SCHEDULE), Subscription.objects.filter(retry_schedule__isnull=False)
    longest = {key: _longest_wait(schedule or ()) for key, schedule in own.values_list("pk", "retry_schedule")}
    longer = {key: wait for key, wait in longest.items() if wait > usual}
    late = Notification.objects.filter(next_attempt_at__gt=now + usual)
    count = late.exclude(In(TO, list(longer))).update(next_attempt_at=now)
    for wait in set(longer.values()):
        ours = late.to([key for key, its in longer.items() if its == wait])
        count += ours.filter(next_attempt_at__gt=now + wait).update(next_attempt_at=now)
    return count


def _longest_wait(schedule: Sequence[float]) -> timedelta:
    return timedelta(seconds=max([*schedule, LONGEST_RETRY_AFTER]) * (1 + JITTER)) + SLACK


def _repair_alerts(now: datetime) -> int:
    kept = AlertSend.objects.filter(state=AlertSend.State.MUTED, next_try_at__gt=now + LONGEST_MUTE + SLACK)
    waiting = AlertSend.objects.filter(state=AlertSend.State.WAITING, next_try_at__gt=now + LONGEST_WAIT + SLACK)
    return kept.update(next_try_at=now) + waiting.update(next_try_at=now)


def _repair_callbacks(now: datetime) -> int:
    waiting = CallbackHint.objects.filter(status=CallbackHint.Status.WAITING, judge_at__gt=now + SLACK)
    count = waiting.update(judge_at=now)
    count += AnnouncedRecord.objects.filter(next_read_at__gt=now + SLACK).update(next_read_at=now)
    count += CallbackEndpoint.objects.filter(next_key_at__gt=now + SLACK).update(next_key_at=now)
    return count + CallbackEndpoint.objects.filter(next_compare_at__gt=now + 2 * SLACK).update(next_compare_at=now)


def _repair_polls(now: datetime) -> int:
    count = 0
    for minutes in set(Instance.objects.values_list("refresh_interval", flat=True)):
        states = PollState.objects.filter(resource_poll__instance__refresh_interval=minutes)
        longest = max(timedelta(minutes=minutes), SLACK) + SLACK
        count += states.filter(next_poll_at__gt=now + longest).update(next_poll_at=now)
    count += PollState.objects.filter(next_sweep_at__gt=now + LONGEST_INTERVAL + SLACK).update(next_sweep_at=now)
    return count + Site.objects.filter(blocked_until__gt=now + 2 * SLACK).delete()[0]
