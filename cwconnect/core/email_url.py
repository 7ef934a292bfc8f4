"""CWCONNECT_EMAIL_URL: the mail server, who is written to and from whom, in one URL.

`smtp+tls://user:password@mail.example.com:587/?to=ops@example.com&from=cwconnect@example.com`. Schemes: `smtp` (plain,
port 25), `smtp+tls` (STARTTLS, 587), `smtps` (TLS from the start, 465). `to` may list several addresses with commas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


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
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise ImproperlyConfigured(f"{name} can't be read: its host or port is malformed.") from None
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    to = tuple(address.strip() for address in query.get("to", "").split(",") if address.strip())
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ImproperlyConfigured(f"{name} must begin with smtp://, smtp+tls:// or smtps:// and name a host.")
    if not to or not all(_is_address(address) for address in to):
        raise ImproperlyConfigured(f"{name} must say who is written to: …/?to=ops@example.com.")
    return MailServer(
        host=parts.hostname,
        port=port,
        to=to,
        sender=query.get("from", to[0]),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_tls=parts.scheme == "smtp+tls",
        use_ssl=parts.scheme == "smtps",
    )


def _is_address(text: str) -> bool:
    name, _, domain = text.rpartition("@")
    return bool(name and domain) and not any(character.isspace() for character in text)
