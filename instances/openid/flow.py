"""Take a person to the issuer and back: what is sent along, and what is proven by what comes.

What must come back unchanged stays here, in the browser's session, known by `state`: it is good once, for ten minutes
(allauth's statekit). Sources: RFC 6749, RFC 7636 (PKCE), RFC 9207 (`iss`), OpenID Connect Core 1.0 (`nonce`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from allauth.socialaccount.internal import statekit
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.oauth2.utils import generate_code_challenge
from django.contrib.auth.models import User
from django.http import HttpRequest

from instances.openid import claims as about
from instances.openid import discovery
from instances.openid.errors import IssuerError, not_begun, unproven
from instances.openid.exchange import get_json, redeem
from instances.openid.id_tokens import verified
from instances.openid.issuer import Issuer

SIGN_IN, LINK = "login", "connect"  # allauth's words for what the person is about
_SCOPES = "openid profile email"
_ERROR = re.compile(r"[a-z_]{1,60}")


def way_out(request: HttpRequest, issuer: Issuer, *, process: str, next_url: str, redirect_uri: str) -> str:
    """Return the URL at the issuer where a sign-in begins. IssuerError."""
    metadata = discovery.metadata_of(issuer)
    challenge, nonce = generate_code_challenge(), secrets.token_urlsafe(32)
    state = {
        "process": process,
        "next": next_url,
        "nonce": nonce,
        "verifier": challenge.pop("code_verifier"),
        "redirect_uri": redirect_uri,
        "account": request.user.pk,
    }
    kept = statekit.stash_state(
        request, provider_id=issuer.provider_id, state=state, state_id=secrets.token_urlsafe(32)
    )
    query = {
        "response_type": "code",
        "client_id": issuer.client_id,
        "redirect_uri": redirect_uri,
        "scope": _SCOPES,
        "state": kept,
        "nonce": nonce,
        **challenge,
    }
    address: str = metadata["authorization_endpoint"]
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def way_back(request: HttpRequest, issuer: Issuer) -> SocialLogin:
    """Return who has come back from the issuer, and what for. IssuerError says why that is not known."""
    given = request.GET
    state = statekit.unstash_state(request, provider_id=issuer.provider_id, state_id=given.get("state", ""))
    if state is None or (state["account"] != request.user.pk and state["process"] == LINK):
        raise not_begun()
    metadata = discovery.metadata_of(issuer)
    _check_who_answers(given, metadata, issuer)
    if "error" in given or "code" not in given:
        raise _refusal(given.get("error", ""), issuer)
    code = {"code": given["code"], "redirect_uri": state["redirect_uri"], "code_verifier": state["verifier"]}
    tokens = redeem(issuer, metadata, code)
    claims = verified(
        tokens.get("id_token"), lambda anew: discovery.keys_of(metadata, anew=anew), issuer, state["nonce"]
    )
    login = _login_of(_with_user_info(claims, tokens, metadata, issuer), issuer)
    login.state = {"process": state["process"], "next": state["next"]}
    return login


def _check_who_answers(given: Mapping[str, str], metadata: Mapping[str, Any], issuer: Issuer) -> None:
    """Raise unless the answer is the issuer's own, where it says whose it is (RFC 9207)."""
    says = given.get("iss")
    must_say = metadata.get("authorization_response_iss_parameter_supported") is True
    if (says is None and must_say) or says not in (None, issuer.url):
        raise unproven("iss of the answer")


def _refusal(error: str, issuer: Issuer) -> IssuerError:
    """Return what is said where the issuer sends somebody back without a code."""
    if error == "access_denied":
        return IssuerError(
            "access_denied", f"{issuer.name} did not let you in, or you changed your mind. Nothing was done."
        )
    known = error if _ERROR.fullmatch(error) else "no code"
    return IssuerError(known, f"{issuer.name} sent you back without signing you in ({known}). Begin anew.")


def _with_user_info(
    claims: Mapping[str, Any], tokens: Mapping[str, Any], metadata: Mapping[str, Any], issuer: Issuer
) -> Mapping[str, Any]:
    """Return the claims, with those of the user info beneath where name or groups are missing. IssuerError.

    Many issuers have those there alone. How somebody proved who they are (`amr`) is the signed token's to say.
    """
    has_groups = not issuer.groups or about.groups_of(claims, issuer.groups_claim) is not None
    token = tokens.get("access_token")
    if (has_groups and "preferred_username" in claims) or "userinfo_endpoint" not in metadata or not token:
        return claims
    more = get_json(metadata["userinfo_endpoint"], str(token))
    if more.get("sub") != claims["sub"]:
        raise unproven("user info of somebody else")
    return {**more, "amr": None, **claims}


def _groups(claims: Mapping[str, Any], issuer: Issuer) -> frozenset[str]:
    """Return the person's groups; none where nothing is said of any. IssuerError where they were left out."""
    found = about.groups_of(claims, issuer.groups_claim) if issuer.groups else frozenset()
    if found is None and about.has_too_many_groups(claims, issuer.groups_claim):
        raise IssuerError(
            "too many groups",
            "You are in so many groups that the issuer does not list them. Whoever runs it can have it list only those "
            "that this service is given.",
        )
    return found or frozenset()


def _login_of(claims: Mapping[str, Any], issuer: Issuer) -> SocialLogin:
    person = about.described(claims)
    known = {"issuer": issuer.url, "name": person.name}
    account = SocialAccount(provider=issuer.provider_id, uid=person.uid, extra_data=known)
    # Without addresses: allauth would look for accounts by them, and keep them apart from the account's own.
    login = SocialLogin(user=User(username=person.name, email=person.email), account=account)
    login.groups, login.methods = _groups(claims, issuer), list(person.methods)
    return login
