"""Whether a connection to ConnectWise works, in words: what *Test connection* says, and with which field."""

from __future__ import annotations

from dataclasses import dataclass

from cwconnect.connectwise.client import Client
from cwconnect.connectwise.errors import (
    AddressNotAllowed,
    ConnectWiseError,
    Forbidden,
    NotFound,
    RateLimited,
    Unauthorized,
    Unreachable,
)
from instances.connections import client_for, make_credentials

_PROBE = "/company/contacts"


@dataclass(frozen=True)
class Finding:
    """What a test found: `tone` is well, wait (it works, but) or bad; `advice` is what to do next."""

    tone: str
    text: str
    advice: str = ""
    words: str = ""


def check_connection(connection: tuple[str, str, str, str, str]) -> Finding:
    """Try base URL, company, keys and client id by counting contacts; ConnectWise is asked twice at most."""
    credentials = make_credentials(*connection)
    client, company = client_for(credentials), connection[1]
    try:
        count = client.count(_PROBE)
    except Forbidden as error:
        return Finding(
            "wait",
            f"Connected to {company}: the keys are right, but their security role may not read contacts.",
            "Choose resources that it may read, or widen the role in ConnectWise.",
            error.message,
        )
    except ConnectWiseError as error:
        return _failure(error, sent_client_id=bool(credentials.client_id))
    return Finding("well", f"Connected to {company}{_version(client)}: {count:,} contacts.")


def _version(client: Client) -> str:
    try:
        version = client.system_info().get("version")
    except ConnectWiseError:
        return ""  # the login is proven already; a role may lack this right
    return f", version {version}" if isinstance(version, str) else ""


def _failure(error: ConnectWiseError, *, sent_client_id: bool) -> Finding:
    if isinstance(error, Unauthorized):
        missing = "" if sent_client_id else " No client ID was sent: most sites want one."
        return Finding(
            "bad",
            "ConnectWise refused the login.",
            f"Check the company, the public and the private key, and the client ID.{missing}",
            error.message,
        )
    if isinstance(error, NotFound):
        return Finding(
            "bad", "There is no ConnectWise API at this address.", "Check the site and its URL.", error.message
        )
    if isinstance(error, AddressNotAllowed):
        advice = "If it is meant, the administrator opens its network in CWCONNECT_PRIVATE_NETWORKS."
        return Finding("bad", "The site's address is in a private network.", advice, error.message)
    if isinstance(error, Unreachable):
        return Finding("bad", "The site can't be reached.", "Check the site and its URL.", error.message)
    if isinstance(error, RateLimited):
        return Finding("wait", "ConnectWise limits requests just now.", "Try again in a minute.", error.message)
    return Finding("bad", "ConnectWise did not answer as it should.", "Check the site and its URL.", error.message)
