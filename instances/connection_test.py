"""Whether a connection to ConnectWise works, in words and with which field; and how much there is to watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cwconnect.connectwise.client import Client
from cwconnect.connectwise.errors import (
    ConnectWiseError,
    Forbidden,
    NoPublicAddress,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unreachable,
)
from cwconnect.connectwise.resource import Resource
from cwconnect.core.text import counted
from instances.connections import client_for, make_credentials
from instances.interactive import TooManyCallsError, interactive, side_by_side
from instances.watch_starts import ConnectWiseRefusedError

_PROBE = "/company/contacts"
_SITE, _COMPANY, _CLIENT_ID = "base_url", "company", "client_id"  # fields of the configuration
_KEYS = ("public_key", "private_key")
_AT_A_TIME = 6  # requests to one ConnectWise; it limits them by the minute

Connection = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Finding:
    """What a test found: `tone` is well, wait (it works, but) or bad; `advice` is what to do next.

    `words` are ConnectWise's own, `fields` those of the configuration that it may be the fault of, `resource` the one
    whose list it was about, where others may be read.
    """

    tone: str
    text: str
    advice: str = ""
    words: str = ""
    fields: tuple[str, ...] = ()
    resource: str = ""


@dataclass(frozen=True)
class Counted:
    """How many records a resource has; None where ConnectWise does not say, with the reason in a word or two."""

    resource: Resource
    count: int | None
    reason: str = ""


def count_resources(connection: Connection, resources: Sequence[Resource], *, organization: int) -> list[Counted]:
    """Count the records of each resource, a request each, some at a time; `organization` (its id) is who asks.

    Raises no ConnectWiseError.
    """
    client = client_for(make_credentials(*connection))
    try:
        with interactive(organization):
            return side_by_side(lambda resource: _count(client, resource), resources, _AT_A_TIME)
    except TooManyCallsError:
        return [Counted(resource, None, "not counted: too much at once") for resource in resources]


def _count(client: Client, resource: Resource) -> Counted:
    try:
        return Counted(resource, client.count(resource.path))
    except Forbidden:
        return Counted(resource, None, "not readable with these keys")
    except ConnectWiseError:
        return Counted(resource, None, "not counted")


def check_connection(connection: Connection, *, organization: int) -> Finding:
    """Try base URL, company, keys and client id by counting contacts; ConnectWise is asked twice at most.

    `organization` (its id) is who asks.
    """
    try:
        with interactive(organization):
            return _check(connection)
    except TooManyCallsError as error:
        return Finding("wait", "Not tested.", error.message)


def _check(connection: Connection) -> Finding:
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
        return _failure(error, company, sent_client_id=bool(credentials.client_id))
    return Finding("well", f"Connected to {company}{_version(client)}: {counted(count, 'contact')}.")


def explain_refusal(refusal: ConnectWiseRefusedError) -> Finding:
    """Return what a test would have found where ConnectWise refused what was to be stored."""
    error, name = refusal.error, refusal.resource
    if isinstance(error, Forbidden):
        text = f"The keys are right, but their security role may not read {name}."
        advice = "Leave the resource out, or widen the role in ConnectWise."
        return Finding("bad", text, advice, error.message, resource=name)
    if isinstance(error, NotFound | Rejected):
        text, advice = f"ConnectWise has no list as {name} asks for it.", "Check its URL (path), and the site."
        site = (_SITE,) if isinstance(error, NotFound) else ()
        return Finding("bad", text, advice, error.message, site, resource=name)
    return _failure(error, refusal.company, sent_client_id=refusal.sent_client_id)


def explain_refused_keys(words: str, company: str, *, sent_client_id: bool) -> Finding:
    """Return what a test would have found where polls are refused in ConnectWise's `words`."""
    if "answered 403" in words and "clientid" not in words.lower():
        text = "The keys are right, but their security role may not read all that is watched."
        return Finding("wait", text, "Widen the role in ConnectWise, or remove the resource.", words)
    return _refused(Unauthorized(words), company, sent_client_id=sent_client_id)


def _version(client: Client) -> str:
    try:
        version = client.system_info().get("version")
    except ConnectWiseError:
        return ""  # the login is proven already; a role may lack this right
    return f", version {version}" if isinstance(version, str) else ""


def _failure(error: ConnectWiseError, company: str, *, sent_client_id: bool) -> Finding:
    if isinstance(error, Unauthorized):
        return _refused(error, company, sent_client_id=sent_client_id)
    if isinstance(error, NotFound):
        text, advice = "There is no ConnectWise API at this address.", "Check the site and its URL."
        return Finding("bad", text, advice, error.message, (_SITE,))
    if isinstance(error, NoPublicAddress):
        advice = "Check the site's URL. If it is inside, the administrator opens its network."
        return Finding("bad", "The site has no public address.", advice, error.message, (_SITE,))
    if isinstance(error, Unreachable):
        return Finding("bad", "The site can't be reached.", "Check the site and its URL.", error.message, (_SITE,))
    if isinstance(error, RateLimited):
        return Finding("wait", "ConnectWise limits requests just now.", "Try again in a minute.", error.message)
    text, advice = "ConnectWise did not answer as it should.", "Check the site and its URL."
    return Finding("bad", text, advice, error.message, (_SITE,))


def _refused(error: Unauthorized, company: str, *, sent_client_id: bool) -> Finding:
    """Say which part of the login it is, as far as ConnectWise's words show."""
    words = error.message.lower()
    if "cannot route" in words:
        text, advice = f"This site knows no company “{company}”.", "Check the company's name, and the site."
        return Finding("bad", text, advice, error.message, (_COMPANY, _SITE))
    if "clientid" in words:
        advice = "Check the client ID." if sent_client_id else "Give a client ID: none was sent."
        return Finding("bad", "ConnectWise refused the client ID.", advice, error.message, (_CLIENT_ID,))
    missing = "" if sent_client_id else " No client ID was sent: most sites want one."
    advice = f"Check the public and the private key of {company}.{missing}"
    return Finding("bad", "ConnectWise refused the keys.", advice, error.message, _KEYS)
