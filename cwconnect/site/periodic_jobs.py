"""Periodic jobs: small things done once in a while, by whichever cluster's `tick` comes first.

To add one, append it to `PERIODIC_JOBS`. A job that fails is logged and comes round again; it holds up no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from axes.models import AccessAttempt
from django.contrib.sessions.models import Session

from cwconnect.site.alert_sender import send_alerts
from cwconnect.site.healthcheck_ping import ping_healthcheck
from cwconnect.site.scheduled_backup import look_after_backups
from instances.guesses import MEMORY
from instances.models import FailureCount
from instances.sign_ins import delete_old_sign_ins
from polling.alerts.auth_alerts import raise_auth_alerts
from polling.alerts.destination_job import send_to_destinations
from polling.alerts.expiry_alerts import raise_expiry_alerts
from polling.callbacks.announced_events import examine_events
from polling.callbacks.endpoints import notice_address
from polling.delivery.pausing import rearm_stranded
from polling.maintenance.clock_skew import repair_clock_skew
from polling.maintenance.purge import purge_deleted
from polling.maintenance.retention import prune_delivered, prune_the_rest
from polling.models import Heartbeat, Lock
from polling.reports import callback_totals, counters, event_hours, name_index, receiver_hours
from polling.workers import locks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PeriodicJob:
    """A job, how often it is done, and the name under which its last time is kept."""

    name: str
    every: timedelta
    run: Callable[[datetime], object]


def delete_expired_sessions(now: datetime) -> int:
    """Delete the sign-ins that have expired; give how many."""
    return Session.objects.filter(expire_date__lt=now).delete()[0]


def delete_old_failures(now: datetime) -> int:
    """Delete failed sign-ins that no longer count; give how many."""
    return int(AccessAttempt.objects.filter(attempt_time__lt=now - timedelta(days=1)).delete()[0])


def delete_old_counts(now: datetime) -> int:
    """Delete counts of failures that no longer delay anything; give how many."""
    return FailureCount.objects.filter(last_at__lt=now - MEMORY).delete()[0]


def delete_dead_heartbeats(now: datetime) -> int:
    """Delete signs of life and places of clusters not seen for a day (a machine that is no more); give how many."""
    before = now - timedelta(days=1)
    places = Lock.objects.filter(kind=Lock.Kind.SLOT, taken_at__lt=before)
    return Heartbeat.objects.filter(seen_at__lt=before).delete()[0] + places.delete()[0]


PERIODIC_JOBS: list[PeriodicJob] = [
    PeriodicJob("counters", timedelta(0), counters.advance),
    PeriodicJob("counts of hours", timedelta(0), event_hours.advance),
    PeriodicJob("counts of receivers", timedelta(0), receiver_hours.advance),
    PeriodicJob("index of names", timedelta(0), name_index.advance),
    PeriodicJob("auth alerts", timedelta(0), raise_auth_alerts),
    PeriodicJob("expiry alerts", timedelta(minutes=10), raise_expiry_alerts),
    PeriodicJob("send alerts", timedelta(0), send_alerts),
    PeriodicJob("send alerts to destinations", timedelta(0), send_to_destinations),
    PeriodicJob("rearm stranded notifications", timedelta(0), rearm_stranded),
    PeriodicJob("repair clock skew", timedelta(minutes=5), repair_clock_skew),
    PeriodicJob("announced events", timedelta(0), examine_events),
    PeriodicJob("counts of callbacks", timedelta(0), callback_totals.advance),
    PeriodicJob("another address for callbacks", timedelta(0), notice_address),
    PeriodicJob("scheduled backup", timedelta(0), look_after_backups),
    PeriodicJob("healthcheck ping", timedelta(0), ping_healthcheck),
    PeriodicJob("delete expired sessions", timedelta(days=1), delete_expired_sessions),
    PeriodicJob("delete old sign-in attempts", timedelta(days=1), delete_old_failures),
    PeriodicJob("delete old counts of failures", timedelta(days=1), delete_old_counts),
    PeriodicJob("delete old sign-ins", timedelta(days=1), delete_old_sign_ins),
    PeriodicJob("delete dead heartbeats", timedelta(days=1), delete_dead_heartbeats),
    PeriodicJob("retention", timedelta(0), prune_delivered),
    PeriodicJob("purge deleted instances", timedelta(0), purge_deleted),
    PeriodicJob("retention of the rest", timedelta(minutes=10), prune_the_rest),
]


def run_due_jobs(now: datetime) -> list[str]:
    """Run the jobs whose time has come, each on one machine only; give the names of those that were run."""
    done = []
    for job in PERIODIC_JOBS:
        if locks.take(Lock.Kind.JOB, job.name, now, length=job.every):
            done.append(job.name)
            try:
                job.run(now)
            except Exception:  # whatever a job raises, the next one is not its business
                log.exception("The periodic job %r failed; it comes round again.", job.name)
    return done
