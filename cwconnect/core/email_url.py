"""CWCONNECT_EMAIL_URL: the mail server, who is written to and from whom, in one URL.

`smtp+tls://user:password@mail.example.com:587/?to=ops@example.com&from=cwconnect@example.com`. Schemes: `smtp` (plain,
port 25), `smtp+tls` (STARTTLS, 587), `smtps` (TLS from the start, 465). `to` may list several addresses with commas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import parseaddr
from urllib.parse import parse_qs, unquote

from django.core.exceptions import ImproperlyConfigured
from django.core.mail.message import sanitize_address

from cwconnect.core.env.urls import is_host, split_url

_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
MOST_RECIPIENTS = 100


@dataclass(frozen=True)
class MailServer:
    """How to send mail, and to whom."""

    host: str
    port: int
    to: tuple[str, ...]
    sender: str
    username: str = ""
    password: str = field(default="", repr=False)
    use_tls: bool = False
    use_ssl: bool = False


def read_email_url(url: str, name: str = "CWCONNECT_EMAIL_URL") -> MailServer | None:
    """Return what the URL says, None for an empty one; ImproperlyConfigured says what is wrong, not its password."""
    if not url:
        return None
    parts = split_url(name, url, tuple(_PORTS))
    host = parts.hostname or ""
    if not is_host(host):
        raise ImproperlyConfigured(f"{name} must name a mail server, such as smtp+tls://mail.example.com:587/….")
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    to = tuple(address.strip() for address in query.get("to", "").split(",") if address.strip())
    if len(to) > MOST_RECIPIENTS:
        raise ImproperlyConfigured(f"{name} names more than {MOST_RECIPIENTS} to be written to.")
    if not to or not all(map(_is_address, (*to, query.get("from", to[0])))):
        raise ImproperlyConfigured(f"{name} must say who is written to, and may say from whom: …/?to=ops@example.com.")
    if not unquote(parts.netloc).isascii():
        raise ImproperlyConfigured(f"{name} must have its user and password in ASCII: SMTP knows no other.")
    return MailServer(
        host=host,
        port=parts.port or _PORTS[parts.scheme],
        to=to,
        sender=query.get("from", to[0]),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_tls=parts.scheme == "smtp+tls",
        use_ssl=parts.scheme == "smtps",
    )


def _is_address(text: str) -> bool:
    """Return whether mail can be sent to it, or from it: `a@example.com`, `Name <a@example.com>`."""
    name, _, domain = parseaddr(text)[1].rpartition("@")
    try:
        sanitize_address(text, "utf-8")  # what Django does when it sends
    except (ValueError, IndexError):
        return False
    return bool(name) and is_host(domain)
