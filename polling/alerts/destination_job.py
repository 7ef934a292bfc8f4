"""Warnings on their way to where their organization wants them: a periodic job of each minute.

Each new alert is spread once: a row for each destination, each with its own state, so that one that fails stops no
other and has none sent twice. A destination is sent its due warnings in one message, under a lease; that it was tried
is written before, so a crash in between has the message sent again (its warnings' ids say so), and a bounded number of
times. Threads send, and touch no database. What is muted is looked at again when the mute ends, and sent if it still
holds and nobody knows of it.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, F, Min, Q, QuerySet, Value, When

from cwconnect.core.text import counted
from polling.alerts.destinations import send_to
from polling.alerts.messages import warned_of
from polling.alerts.sending import AlertSendError
from polling.models import Alert, AlertDestination, AlertMute, AlertSend
from polling.workers import leases
from polling.workers.stopping import stopping

log = logging.getLogger(__name__)

AT_A_TIME = 8
STRETCH = 30.0  # seconds after which a run begins no further message
LEASE = timedelta(minutes=3)  # a mail server may take its patience at each of some ten steps
MOST = 50  # warnings of one message
MOST_SPREAD = 500  # alerts of one run
TRIES = 10  # over some four hours
LONGEST_WAIT = timedelta(hours=1)
STALE = timedelta(days=1)
State = AlertSend.State


@dataclass(frozen=True)
class _Message:
    """A claimed destination, its lease, and what it is sent."""

    destination: AlertDestination
    token: str
    sends: list[AlertSend]

    def send(self) -> AlertSendError | None:
        """Send it; return why it did not arrive."""
        try:
            send_to(self.destination, [warned_of(row.alert) for row in self.sends])
        except AlertSendError as error:
            return error
        except Exception:  # whatever it is that one destination runs into, the others are not its business
            log.exception("A message of warnings to %s could not be made.", self.destination)
            return AlertSendError("The message could not be made or sent; the log of the service says why.")
        return None


def send_to_destinations(now: datetime) -> int:
    """Spread what is new, look again at what was muted, send what is due; return how many messages arrived."""
    _spread(now)
    _end_mutes(now)
    _give_up(now)
    arrived, until = 0, time.monotonic() + STRETCH
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        due = _due(now)
        for keys in (due[start : start + AT_A_TIME] for start in range(0, len(due), AT_A_TIME)):
            if time.monotonic() > until or stopping():
                break
            messages = _claim(keys, now)
            for message, error in zip(messages, threads.map(_Message.send, messages), strict=True):
                arrived += _write(message, error, now)
    return arrived


def _spread(now: datetime) -> None:
    """Make the rows of new alerts: each once, for the destinations that there are now."""
    with transaction.atomic():
        new = Alert.objects.filter(spread_at=None, created_at__gt=now - STALE).order_by("created_at")
        alerts = list(new.select_for_update(of=("self",))[:MOST_SPREAD])
        if not alerts:
            return
        Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(spread_at=now)
        mutes, destinations = _mutes(alerts, now), defaultdict[int, list[AlertDestination]](list)
        for each in AlertDestination.objects.filter(
            enabled=True, organization__in={alert.organization_id for alert in alerts}
        ):
            destinations[each.organization_id].append(each)
        AlertSend.objects.bulk_create(
            _row(alert, destination, mutes, now)
            for alert in alerts
            for destination in destinations[alert.organization_id]
            if alert.created_at >= destination.since and alert.kind not in destination.left_out
        )


def _mutes(alerts: Sequence[Alert], now: datetime) -> list[AlertMute]:
    return list(AlertMute.objects.filter(until__gt=now, organization__in={alert.organization_id for alert in alerts}))


def _row(alert: Alert, destination: AlertDestination, mutes: Sequence[AlertMute], now: datetime) -> AlertSend:
    muted = muted_until(alert, mutes)
    return AlertSend(
        alert=alert,
        destination=destination,
        place=str(destination)[:150],
        state=State.MUTED if muted else State.WAITING,
        next_try_at=muted or now,
    )


def muted_until(alert: Alert, mutes: Sequence[AlertMute]) -> datetime | None:
    """Return until when an alert is muted by these mutes, the longest of them; None if by none. Pure."""
    ends = [
        mute.until
        for mute in mutes
        if mute.organization_id == alert.organization_id
        and mute.instance_id in (None, alert.instance_id)
        and mute.kind in ("", alert.kind)
    ]
    return max(ends, default=None)


def _end_mutes(now: datetime) -> None:
    """Look again at what was muted until now: it is over, muted by another, or sent."""
    with transaction.atomic():
        kept = AlertSend.objects.filter(state=State.MUTED, next_try_at__lte=now).order_by("next_try_at", "pk")
        rows = list(kept.select_related("alert").select_for_update(of=("self",))[:MOST_SPREAD])
        mutes = _mutes([row.alert for row in rows], now)
        for row in rows:
            muted = muted_until(row.alert, mutes)
            if row.alert.resolved_at or row.alert.acknowledged_at:
                row.state, row.next_try_at = State.OVER, None
            else:
                row.state, row.next_try_at = (State.MUTED, muted) if muted else (State.WAITING, now)
        AlertSend.objects.bulk_update(rows, ["state", "next_try_at"])
        AlertMute.objects.filter(until__lte=now - STALE).delete()


def _give_up(now: datetime) -> None:
    """End what was begun as often as may be: the last time was cut off, else its result would have ended it."""
    spent = AlertSend.objects.filter(next_try_at__lte=now, tries__gte=TRIES).exclude(state=State.MUTED)
    spent.update(state=State.GIVEN_UP, next_try_at=None, error="Each try was cut off.")


def _due(now: datetime) -> list[int]:
    """Return the destinations that something is due for, the longest due first."""
    due = _waiting(now).values("destination").annotate(first=Min("next_try_at")).order_by("first")
    return [row["destination"] for row in due[: 100 * AT_A_TIME]]


def _waiting(now: datetime, **more: object) -> QuerySet[AlertSend]:
    return AlertSend.objects.filter(
        state=State.WAITING, next_try_at__lte=now, destination__enabled=True, tries__lt=TRIES, **more
    )


def _claim(keys: Sequence[int], now: datetime) -> list[_Message]:
    """Take leases of these destinations, and write that what is due there is tried: by the schedule, again."""
    with transaction.atomic():
        rows = AlertDestination.objects.filter(enabled=True)
        token, ours = leases.claim(rows, keys, now=now, length=LEASE)
        messages = []
        for destination in rows.filter(pk__in=ours).select_related("organization"):
            read = ("alert__organization", "alert__instance", "alert__subscription__instance")
            due = _waiting(now, destination=destination).select_related(*read)
            if sends := list(due.order_by("alert_id")[:MOST]):
                messages.append(_Message(destination, token, sends))
            else:
                leases.release(AlertDestination, [destination.pk], token)
        for row in (row for message in messages for row in message.sends):
            row.tries, row.next_try_at = row.tries + 1, now + wait_after(row.tries + 1)
        AlertSend.objects.bulk_update([row for message in messages for row in message.sends], ["tries", "next_try_at"])
    return messages


def wait_after(tries: int) -> timedelta:
    """Return how long to wait after so many tries: a minute, then twice as long each time, up to an hour. Pure."""
    return min(timedelta(minutes=2 ** min(tries - 1, 10)), LONGEST_WAIT)


def _write(message: _Message, error: AlertSendError | None, now: datetime) -> bool:
    """Write what became of a message, unless somebody else took the destination over; return whether it arrived."""
    sends = AlertSend.objects.filter(pk__in=[row.pk for row in message.sends])
    said = {"last_error": str(error)} if error else {"last_error": "", "last_sent_at": now}
    try:
        with transaction.atomic():
            leases.end_lease(AlertDestination, message.destination.pk, message.token, **said)
            if error is None:
                sends.update(state=State.SENT, sent_at=now, next_try_at=None, error="")
            else:
                _put_off(sends, error, now)
    except leases.LeaseLostError as lost:
        log.warning("What became of a message of warnings is not written: %s", lost)
        return False
    if error is not None:
        log.warning("%s not sent to %s: %s", counted(len(message.sends), "warning"), message.destination, error)
    return error is None


def _put_off(sends: QuerySet[AlertSend], error: AlertSendError, now: datetime) -> None:
    """Try again by the schedule, later where the answer asked for that; give up what was tried often enough."""
    asked = now + min(timedelta(seconds=error.wait), LONGEST_WAIT)
    spent = Q(tries__gte=TRIES)
    sends.filter(state=State.WAITING).update(
        error=str(error),
        state=Case(When(spent, then=Value(State.GIVEN_UP)), default=F("state")),
        next_try_at=Case(
            When(spent, then=None), When(next_try_at__lt=asked, then=Value(asked)), default=F("next_try_at")
        ),
    )
