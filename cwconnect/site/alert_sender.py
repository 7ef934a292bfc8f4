"""Alerts sent to the operator: by e-mail (CWCONNECT_EMAIL_URL) and as a POST (CWCONNECT_OPERATOR_WEBHOOK_URL).

A periodic job of each minute, apart from deliveries, so that a mail server that hangs or refuses holds up none. What
has come up since is sent in one message. An alert is marked as sent before it is, so a crash can lose a message but
never repeats it (the log and the pages have it anyway); a refused one is tried again, ten times at most.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.db import transaction
from django.db.models import F

from cwconnect.core.email_url import MailServer, read_email_url
from cwconnect.outbound import NOTIFICATION_LIMITS, OutboundError
from instances.connections import outbound_client
from polling.delivery.notifications import utc_text
from polling.models import Alert

log = logging.getLogger(__name__)

MOST = 50
TRIES = 10
PATIENCE_SECONDS = 10
STALE = timedelta(days=1)
_OF_POLLS = {Alert.Kind.REFUSED, Alert.Kind.ACCEPTED}
_OF_DELIVERY = (
    "Nothing is lost: later events are kept. See the deliveries' pages, or run: manage.py release INSTANCE_ID"
)


class AlertSendError(Exception):
    """The alerts could not be sent; the message says why."""


def send_alerts(now: datetime) -> int:
    """Send the alerts not sent yet, wherever the settings say; return how many messages were sent."""
    sent = 0
    server = read_email_url(settings.EMAIL_URL)
    if server is not None:
        sent += _send_new("mailed_at", lambda alerts: _mail(server, alerts), now)
    if settings.OPERATOR_WEBHOOK_URL:
        sent += _send_new("posted_at", _post, now)
    return sent


def _send_new(mark: str, send: Callable[[Sequence[Alert]], None], now: datetime) -> bool:
    alerts = _take(mark, now)
    if not alerts:
        return False
    try:
        send(alerts)
    except AlertSendError as error:
        log.error("%s alerts could not be sent to the operator: %s", len(alerts), error)
        chosen = Alert.objects.filter(pk__in=[alert.pk for alert in alerts])
        chosen.update(**{mark: None}, tries=F("tries") + 1)
        return False
    return True


def _take(mark: str, now: datetime) -> list[Alert]:
    """Mark what is to be sent; nobody else sends it from here on."""
    unsent = Alert.objects.filter(**{mark: None}, tries__lt=TRIES, created_at__gt=now - STALE)
    with transaction.atomic():
        rows = unsent.select_related("organization", "instance").order_by("pk").select_for_update(of=("self",))
        alerts = list(rows[:MOST])
        Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(**{mark: now})
    return alerts


def _mail(server: MailServer, alerts: Sequence[Alert]) -> None:
    backend = EmailBackend(
        host=server.host,
        port=server.port,
        username=server.username,
        password=server.password,
        use_tls=server.use_tls,
        use_ssl=server.use_ssl,
        timeout=PATIENCE_SECONDS,
    )
    try:
        EmailMessage(subject_of(alerts), body_of(alerts), server.sender, list(server.to), connection=backend).send()
    except (OSError, smtplib.SMTPException) as error:
        raise AlertSendError(f"the mail server {server.host}:{server.port} did not take it: {error}") from error


def _post(alerts: Sequence[Alert]) -> None:
    try:
        reply = outbound_client().request(
            "POST",
            settings.OPERATOR_WEBHOOK_URL,
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(post_of(alerts)),
            limits=NOTIFICATION_LIMITS,
            truncate=True,
        )
    except OutboundError as error:
        raise AlertSendError(str(error)) from error
    if not 200 <= reply.status < 300:
        raise AlertSendError(f"CWCONNECT_OPERATOR_WEBHOOK_URL answered {reply.status}.")


def subject_of(alerts: Sequence[Alert]) -> str:
    """Return the subject of a mail: the alert's kind, or how many there are."""
    if len(alerts) > 1:
        return f"cwconnect: {len(alerts)} warnings"
    about = f": {alerts[0].instance}" if alerts[0].instance else ""
    return " ".join(f"cwconnect: {alerts[0].get_kind_display()}{about}".split())


def body_of(alerts: Sequence[Alert]) -> str:
    """Return the text of a mail: one paragraph an alert, and what to do."""
    paragraphs = [f"{utc_text(alert.created_at)}  {alert.organization}\n{alert.text}" for alert in alerts]
    advice = "" if {alert.kind for alert in alerts} <= _OF_POLLS else _OF_DELIVERY
    return "\n\n".join([*paragraphs, f"{advice}\n{settings.PUBLIC_URL}".strip()]).rstrip() + "\n"


def post_of(alerts: Sequence[Alert]) -> dict[str, Any]:
    """Return the body of the POST; `text` is what chat systems show."""
    return {
        "text": "\n".join(alert.text for alert in alerts),
        "alerts": [
            {
                "id": alert.pk,
                "kind": alert.kind,
                "organization": str(alert.organization),
                "instanceId": alert.instance_id,
                "text": alert.text,
                "createdDate": utc_text(alert.created_at),
            }
            for alert in alerts
        ],
    }
