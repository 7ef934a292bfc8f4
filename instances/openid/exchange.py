"""What is asked of an issuer: JSON by the outbound client, in bounded time and size, with no redirect followed.

A person waits, so it counts among the interactive calls (instances/interactive.py). Many may sign in at nine in the
morning: who finds no place waits a moment for one, since the code that was brought is good once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from cwconnect.core.errors import DomainError
from cwconnect.outbound import Limits, OutboundError, Reply
from instances.connections import outbound_client
from instances.interactive import TooManyCallsError, interactive
from instances.openid.errors import IssuerError, away
from instances.openid.issuer import Issuer

LIMITS = Limits(connect=5, read=10, total=10, body=512 * 1024)
_PATIENCE, _PAUSE = 5.0, 0.1  # seconds: for a place among the interactive calls, and between two looks
_JSON = {"Accept": "application/json"}


def get_json(url: str, token: str = "") -> dict[str, Any]:
    """Return the JSON object at a URL, asked for with an access token if there is one. IssuerError."""
    headers = _JSON | ({"Authorization": f"Bearer {token}"} if token else {})
    reply = _ask("GET", url, headers, None)
    if reply.status != 200:
        raise away(f"status {reply.status}")
    return _object(reply)


def redeem(issuer: Issuer, metadata: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the tokens for a code: `given` is code, redirect_uri and code_verifier. IssuerError.

    Source: https://openid.net/specs/openid-connect-core-1_0.html#TokenEndpoint
    """
    fields = {"grant_type": "authorization_code", **given}
    headers = _JSON | {"Content-Type": "application/x-www-form-urlencoded"}
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    basic = None
    if issuer.secret and "client_secret_basic" in methods:
        basic = (quote_plus(issuer.client_id), quote_plus(issuer.secret))  # RFC 6749, 2.3.1: encoded as a form is
    else:
        fields |= {"client_id": issuer.client_id} | ({"client_secret": issuer.secret} if issuer.secret else {})
    reply = _ask("POST", metadata["token_endpoint"], headers, urlencode(fields).encode(), basic)
    if reply.status != 200:
        raise _refused(reply)
    return _object(reply)


def _refused(reply: Reply) -> IssuerError:
    """Return what a refusal of the code means: the person's code is no good, or this service's registration isn't."""
    try:
        code = str(_object(reply).get("error"))
    except IssuerError:
        code = ""
    if code == "invalid_grant":
        return IssuerError("code refused", "The issuer does not take this sign-in any more. Begin it anew.")
    if code in ("invalid_client", "unauthorized_client"):
        return IssuerError(
            f"client refused: {code}",
            "The issuer does not know this service by the client id and secret that it has. Tell whoever runs it.",
        )
    return away(f"status {reply.status}")


def _ask(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, auth: tuple[str, str] | None = None
) -> Reply:
    def send() -> Reply:
        with interactive(None):
            return outbound_client().request(method, url, headers=headers, body=body, limits=LIMITS, auth=auth)

    try:
        return _with_patience(send)
    except TooManyCallsError:
        raise IssuerError("busy", "Too many people sign in at this very moment. Begin anew.", 503) from None
    except (OutboundError, DomainError) as error:
        raise away(f"{type(error).__name__}: {error}") from error


def _with_patience(send: Callable[[], Reply]) -> Reply:
    """Send, or wait for a place to do so; TooManyCallsError where none gets free."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return send()
        except TooManyCallsError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)


def _object(reply: Reply) -> dict[str, Any]:
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise away("no JSON") from None
    if not isinstance(found, dict):
        raise away("no object")
    return found
