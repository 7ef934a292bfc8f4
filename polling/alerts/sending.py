"""How a message of warnings leaves the service: by the operator's mail server, or as a POST. Touches no database.

A POST passes the outbound client as everything does, so that no organization reaches what is private by it.
"""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from django.conf import settings
from django.core.mail import EmailMessage

from cwconnect.core.email_url import MailServer, read_email_url
from cwconnect.core.env.urls import secrets_in
from cwconnect.core.redact import redactor
from cwconnect.outbound import NOTIFICATION_LIMITS, OutboundError
from cwconnect.outbound.retry_after import parse_retry_after
from instances import mails
from instances.connections import outbound_client
from instances.interactive import bounded

_LONGEST_ANSWER = 200  # characters of what is shown of an answer


class AlertSendError(Exception):
    """The message did not arrive; the text says why, for people, and holds no secret. `wait`: seconds asked for."""

    def __init__(self, text: str, wait: float = 0) -> None:
        super().__init__(text)
        self.wait = wait


def mail_server() -> MailServer | None:
    """Return the mail server of CWCONNECT_EMAIL_URL; None where there is none."""
    return read_email_url(settings.EMAIL_URL)


def send_mail(server: MailServer, to: Sequence[str], subject: str, body: str) -> str:
    """Send one mail; say what became of it. AlertSendError; in a web request, what `interactive` raises.

    A mail does not pass the outbound client, so its place among what a web request asks outside is taken here.
    """
    try:
        patience = bounded(mails.LIMITS).connect
    except OutboundError as error:
        raise AlertSendError(str(error)) from error
    backend = mails.connection_to(server, patience)
    try:
        EmailMessage(subject, body, server.sender, list(to), connection=backend).send()
    except (OSError, ValueError, smtplib.SMTPException) as error:  # ValueError: Django's, for addresses and headers
        error.add_note(f"The mail server is {server.host}:{server.port}.")  # the operator's, and not a tenant's to know
        raise AlertSendError(f"The mail server did not take it: {error}") from error
    return "The mail server took the mail."


def post(url: str, message: dict[str, Any], *, who: str) -> str:
    """POST a message as JSON; say what `who` answered. AlertSendError where it is no 2xx, or nobody answered."""
    try:
        reply = outbound_client().request(
            "POST",
            url,
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(message),
            limits=NOTIFICATION_LIMITS,
            truncate=True,
        )
    except OutboundError as error:
        raise AlertSendError(str(error)) from error
    if 200 <= reply.status < 300:
        return f"{who} answered {reply.status}."
    text = reply.text()
    cut = text[: 4 * _LONGEST_ANSWER]  # it may be an echo, so secrets are masked before it is cut for good
    masked = redactor(_secrets_of(url))(cut, cut=reply.truncated or len(cut) < len(text))
    words = " ".join(masked[:_LONGEST_ANSWER].split())
    said = f"{who} answered {reply.status}" + (f": {words}" if words else "")
    wait = parse_retry_after(reply.headers.get("Retry-After"), now=datetime.now(UTC))
    raise AlertSendError(said if said.endswith(".") else f"{said}.", wait or 0)


def _secrets_of(url: str) -> tuple[str, ...]:
    """Return what of a URL lets its reader in: its path as a whole and in parts, and the values of its query."""
    parts = urlsplit(url)
    pieces = [piece for piece in parts.path.split("/") if len(piece) > 5]
    return tuple({*secrets_in(url, path=True), *pieces, *(value for _, value in parse_qsl(parts.query))} - {""})
