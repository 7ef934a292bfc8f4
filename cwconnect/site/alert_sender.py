"""Alerts sent to the operator: by e-mail (CWCONNECT_EMAIL_URL) and as a POST (CWCONNECT_OPERATOR_WEBHOOK_URL).

Those are of all organizations. Where each wants its own sent is another job's (polling/alerts/destination_job.py).

A periodic job of each minute, apart from deliveries, so that a mail server that hangs or refuses holds up none. What
has come up since is sent in one message. An alert is marked as sent before it is, so a crash can lose a message but
never repeats it (the log and the pages have it anyway); a refused one is tried again, ten times at most.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from polling.alerts.messages import Warned, body_of, plain_of, subject_of, warned_of
from polling.alerts.sending import AlertSendError, mail_server, post, send_mail
from polling.models import Alert

log = logging.getLogger(__name__)

MOST = 50
TRIES = 10
STALE = timedelta(days=1)

Send = Callable[[Sequence[Warned]], str]


def send_alerts(now: datetime) -> int:
    """Send the alerts not sent yet, wherever the settings say; return how many messages were sent."""
    sent = 0
    server = mail_server()
    if server is not None:
        sent += _send_new("mailed_at", lambda new: send_mail(server, server.to, subject_of(new), body_of(new)), now)
    if url := settings.OPERATOR_WEBHOOK_URL:
        sent += _send_new("posted_at", lambda new: post(url, plain_of(new), who="CWCONNECT_OPERATOR_WEBHOOK_URL"), now)
    return sent


def _send_new(mark: str, send: Send, now: datetime) -> bool:
    alerts = _take(mark, now)
    if not alerts:
        return False
    try:
        send([warned_of(alert) for alert in alerts])
    except AlertSendError as error:
        notes = " ".join(getattr(error.__cause__, "__notes__", ()))
        log.error("%s alerts could not be sent to the operator: %s %s", len(alerts), error, notes)
        chosen = Alert.objects.filter(pk__in=[alert.pk for alert in alerts])
        chosen.update(**{mark: None}, tries=F("tries") + 1)
        return False
    return True


def _take(mark: str, now: datetime) -> list[Alert]:
    """Mark what is to be sent; nobody else sends it from here on."""
    unsent = Alert.objects.filter(**{mark: None}, tries__lt=TRIES, created_at__gt=now - STALE)
    with transaction.atomic():
        read = unsent.select_related("organization", "instance", "subscription__instance").order_by("pk")
        rows = read.select_for_update(of=("self",))
        alerts = list(rows[:MOST])
        Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(**{mark: now})
    return alerts
