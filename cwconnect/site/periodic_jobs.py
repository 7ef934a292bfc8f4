"""The chores of the house: small jobs done once in a while, by whichever cluster's `tick` comes first.

To add one, append it to `CHORES`. A chore that fails is logged and comes round again; it holds up no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from axes.models import AccessAttempt
from django.contrib.sessions.models import Session

from cwconnect.site.alert_sender import tell_operator
from cwconnect.site.healthcheck_ping import send_pulse
from polling.alerts.auth_alerts import tell_refusals
from polling.delivery.pausing import rearm_forgotten
from polling.maintenance.clock_skew import mend_times
from polling.maintenance.purge import forget_deleted
from polling.maintenance.retention import prune_the_rest, prune_told
from polling.models import Heartbeat
from polling.reports import counters
from polling.workers.heartbeats import NEVER

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chore:
    """A job, how often it is done, and the name under which its last time is kept."""

    name: str
    every: timedelta
    run: Callable[[datetime], object]


def forget_sessions(now: datetime) -> int:
    """Delete the sign-ins that have expired; give how many."""
    return Session.objects.filter(expire_date__lt=now).delete()[0]


def forget_attempts(now: datetime) -> int:
    """Delete failed sign-ins that no longer count; give how many."""
    return int(AccessAttempt.objects.filter(attempt_time__lt=now - timedelta(days=1)).delete()[0])


def forget_clusters(now: datetime) -> int:
    """Delete the signs of life of clusters not seen for a day (a machine that is no more); give how many."""
    parts = Heartbeat.objects.exclude(name__startswith="chore ").exclude(name="schedule")
    return parts.filter(seen_at__lt=now - timedelta(days=1), seen_at__gt=NEVER).delete()[0]


CHORES: list[Chore] = [
    Chore("tallies", timedelta(0), counters.advance),
    Chore("tell refusals", timedelta(0), tell_refusals),
    Chore("tell the operator", timedelta(0), tell_operator),
    Chore("rearm forgotten", timedelta(0), rearm_forgotten),
    Chore("mend times", timedelta(minutes=5), mend_times),
    Chore("pulse", timedelta(0), send_pulse),
    Chore("forget sessions", timedelta(days=1), forget_sessions),
    Chore("forget sign-in attempts", timedelta(days=1), forget_attempts),
    Chore("forget clusters", timedelta(days=1), forget_clusters),
    Chore("retention", timedelta(0), prune_told),
    Chore("forget deleted instances", timedelta(0), forget_deleted),
    Chore("retention of the rest", timedelta(minutes=10), prune_the_rest),
]


def run_due_chores(now: datetime) -> list[str]:
    """Run the chores whose time has come, each on one machine only; give the names of those that were run."""
    done = []
    for chore in CHORES:
        if _take(chore, now):
            done.append(chore.name)
            try:
                chore.run(now)
            except Exception:  # whatever a chore raises, the next one is not its business
                log.exception("The chore %r failed; it comes round again.", chore.name)
    return done


def _take(chore: Chore, now: datetime) -> bool:
    name = f"chore {chore.name}"
    Heartbeat.objects.bulk_create([Heartbeat(name=name, seen_at=NEVER)], ignore_conflicts=True)
    return bool(Heartbeat.objects.filter(name=name, seen_at__lte=now - chore.every).update(seen_at=now))
