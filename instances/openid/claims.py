"""What an ID token says of a person, once it is proven: name, mail address, groups, and how they signed in. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Claims = Mapping[str, Any]
_LONGEST_UID = 191  # of allauth's column; a `sub` may have 255
_LONGEST_NAME = 100
_MOST_GROUPS = 5000


@dataclass(frozen=True)
class Described:
    """A person as the issuer describes them.

    `uid` is what they are known by, the `sub`, which never changes; a long one by its hash. `name` is how they may be
    called here, maybe empty; it proves nothing. `email` is empty unless the issuer says that it is proven. `methods` is
    how they proved who they are (RFC 8176).
    """

    uid: str
    name: str
    email: str
    methods: tuple[str, ...]


def described(claims: Claims) -> Described:
    """Return the person of a token that is proven."""
    subject, email, methods = claims["sub"], claims.get("email"), claims.get("amr")
    names = (claims.get(each) for each in ("preferred_username", "email", "name"))
    is_proven = claims.get("email_verified") in (True, "true") and isinstance(email, str) and "@" in email
    return Described(
        uid=subject if len(subject) <= _LONGEST_UID else f"sha256:{hashlib.sha256(subject.encode()).hexdigest()}",
        name=next(filter(None, (_plain(each) for each in names if isinstance(each, str))), ""),
        email=str(email) if is_proven and len(str(email)) <= 254 else "",
        methods=tuple(each for each in methods[:20] if isinstance(each, str)) if isinstance(methods, list) else (),
    )


def groups_of(claims: Claims, claim: str) -> frozenset[str] | None:
    """Return the groups that a claim lists, a single one too; None where there is no such claim."""
    given = claims.get(claim)
    if isinstance(given, str):
        return frozenset([given])
    if not isinstance(given, list):
        return None
    return frozenset(each for each in given[:_MOST_GROUPS] if isinstance(each, str))


def has_too_many_groups(claims: Claims, claim: str) -> bool:
    """Return whether groups were left out for their number.

    Source: https://learn.microsoft.com/en-us/entra/identity-platform/id-token-claims-reference ("groups overage claim")
    """
    elsewhere = claims.get("_claim_names")
    return claims.get("hasgroups") in (True, "true") or (isinstance(elsewhere, dict) and claim in elsewhere)


def _plain(text: str) -> str:
    """Return what is left of a text by the rule for user names: letters, digits and @ . + - _"""
    kept = (sign for sign in unicodedata.normalize("NFKC", text) if sign.isalnum() or sign in "@.+-_")
    return "".join(kept)[:_LONGEST_NAME]
