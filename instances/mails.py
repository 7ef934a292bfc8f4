"""Mail to people: invitations, and links to a new password. Alerts go another way, by a periodic job.

A mail holds a link, and a link made of what a request says of its host could lead anywhere. So mail is sent only where
CWCONNECT_PUBLIC_URL says what the service is called, besides CWCONNECT_EMAIL_URL.
"""

from __future__ import annotations

import logging
import smtplib
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.http import HttpRequest

from cwconnect.core.email_url import MailServer, read_email_url
from cwconnect.outbound import Limits

log = logging.getLogger(__name__)

LIMITS = Limits(connect=10, read=10, total=60, body=0)
_MOST_WAITING = 100
_waiting = threading.BoundedSemaphore(_MOST_WAITING)
_senders = ThreadPoolExecutor(2, thread_name_prefix="mail")  # it begins none before the first mail, so after any fork


class MailError(Exception):
    """A mail could not be sent; the message says why, for the log and for whoever operates the service."""


def sends_mail() -> bool:
    """Return whether people can be written to."""
    return bool(settings.EMAIL_URL and settings.PUBLIC_URL)


def link_to(path: str, request: HttpRequest | None = None) -> str:
    """Return the address of a path of ours: by CWCONNECT_PUBLIC_URL, or as the person who asks has called us.

    The latter only for that person's own eyes: what is sent to others passes no `request`.
    """
    if settings.PUBLIC_URL or request is None:
        return f"{settings.PUBLIC_URL.rstrip('/')}{path}"
    return f"{request.scheme}://{request.get_host()}{path}"


def send(to: str, subject: str, text: str, *, patience: float = LIMITS.connect) -> None:
    """Send one mail, and wait until the mail server took it: `patience` seconds for each answer. MailError."""
    server = read_email_url(settings.EMAIL_URL)
    if server is None:
        raise MailError("No mail server is configured: CWCONNECT_EMAIL_URL.")
    mail = EmailMessage(subject, text, server.sender, [to], connection=connection_to(server, patience))
    try:
        mail.send()
    except (OSError, ValueError, smtplib.SMTPException) as error:  # ValueError: Django's, for addresses and headers
        log.error(
            "A mail could not be sent: the mail server %s:%s did not take it: %s", server.host, server.port, error
        )
        raise MailError("The mail server did not take it.") from error  # which one that is, is no tenant's to know


def send_later(to: str, subject: str, text: str) -> None:
    """Send a mail from a thread: how long an answer takes then says nothing of whether one was sent.

    What fails is in the log. With a hundred waiting for a mail server that hangs, further ones are dropped.
    """
    if not _waiting.acquire(blocking=False):
        log.error("A mail was not sent: %s others wait for the mail server already.", _MOST_WAITING)
        return
    try:
        _senders.submit(_send_quietly, to, subject, text)
    except RuntimeError:  # the process is ending
        _waiting.release()
        log.error("A mail was not sent: the process is ending.")


def _send_quietly(to: str, subject: str, text: str) -> None:
    try:
        with suppress(MailError):  # it is in the log
            send(to, subject, text)
    finally:
        _waiting.release()


def connection_to(server: MailServer, patience: float) -> EmailBackend:
    """Return how mail is sent by this server, waiting `patience` seconds for each answer; it is connected later."""
    return EmailBackend(
        host=server.host,
        port=server.port,
        username=server.username,
        password=server.password,
        use_tls=server.use_tls,
        use_ssl=server.use_ssl,
        timeout=max(1, int(patience)),
    )
