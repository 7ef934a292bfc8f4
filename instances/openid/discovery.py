"""What an issuer says of itself: where to go, and by which keys it signs. Kept for an hour, in this process alone.

Not in Redis: whoever writes there could put keys of their own, and sign in as anybody.
Source: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from cwconnect.core.env import is_https_or_local
from cwconnect.core.plain_cache import PlainMemoryCache
from instances.openid.errors import IssuerError, away
from instances.openid.exchange import get_json
from instances.openid.issuer import Issuer

KEPT = 3600  # seconds
_ANEW = 60  # seconds before a key that is not there has them asked for again: strangers must not make us ask
_kept = PlainMemoryCache("issuers", {"OPTIONS": {"MAX_ENTRIES": 50}})
_URL = re.compile(r"https?://[!-~]+")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


def metadata_of(issuer: Issuer) -> dict[str, Any]:
    """Return the issuer's own description, which must name it as the settings do. IssuerError."""
    found = _once("metadata", f"{issuer.url.rstrip('/')}/.well-known/openid-configuration")
    if found.get("issuer") != issuer.url:
        forget()
        raise IssuerError(
            "another issuer's description",
            "The issuer calls itself by another name than this service was given. Tell whoever runs it.",
        )
    endpoints = [*_ENDPOINTS, *(["userinfo_endpoint"] if "userinfo_endpoint" in found else [])]
    if not all(isinstance(found.get(name), str) and _is_safe(found[name]) for name in endpoints):
        raise away("endpoints")
    return found


def keys_of(metadata: dict[str, Any], *, anew: bool = False) -> list[dict[str, Any]]:
    """Return the issuer's public keys as JWKs; `anew` asks for them again, once a minute at most. IssuerError."""
    url = metadata["jwks_uri"]
    if anew and _kept.add(_key("anew", url), 1, _ANEW):
        _kept.delete(_key("keys", url))
    keys = _once("keys", url).get("keys")
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []


def forget() -> None:
    """Ask all anew at the next sign-in."""
    _kept.clear()


def _once(kind: str, url: str) -> dict[str, Any]:
    name = _key(kind, url)
    kept = _kept.get(name)
    if isinstance(kept, str):
        found: dict[str, Any] = json.loads(kept)
        return found
    asked = get_json(url)
    _kept.set(name, json.dumps(asked), KEPT)
    return asked


def _key(kind: str, url: str) -> str:
    return f"{kind}:{hashlib.sha256(url.encode()).hexdigest()}"


def _is_safe(url: str) -> bool:
    try:
        return bool(_URL.fullmatch(url)) and is_https_or_local(url)
    except ValueError:  # no URL at all
        return False
