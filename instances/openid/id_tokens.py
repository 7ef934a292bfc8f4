"""Judge an ID token: signed by the issuer, for this service, for this very sign-in, and good now.

Source: https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation. By that, a token that came straight
from the issuer over TLS need not have its signature looked at; it is here, always.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Any

import jwt

from instances.openid.errors import IssuerError, unproven
from instances.openid.issuer import Issuer

LEEWAY = 60  # seconds that two clocks may differ
# By the key's own type: a public key is never a secret to sign with (HS256), and `none` is nobody's.
_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
_REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nonce"]
_SMALLEST_RSA = 2048  # bits
Keys = Sequence[dict[str, Any]]


def verified(token: object, keys_of: Callable[[bool], Keys], issuer: Issuer, nonce: str) -> dict[str, Any]:
    """Return the claims of an ID token. `keys_of` gives the issuer's keys, and asks anew for them where that is `True`.

    Raises IssuerError with the kind of what is wrong.
    """
    if not isinstance(token, str):
        raise unproven("no ID token")
    try:
        claims: dict[str, Any] = _decode(token, keys_of, issuer)
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
        raise IssuerError(
            f"time: {type(error).__name__}",
            "The issuer’s answer is of another time: its clock or this service’s is wrong. Tell whoever runs it.",
        ) from error
    except jwt.PyJWTError as error:  # in words of the library, which show no token
        raise unproven(f"{type(error).__name__}: {error}") from error
    if not (isinstance(claims["nonce"], str) and compare_digest(claims["nonce"].encode(), nonce.encode())):
        raise unproven("nonce")
    _check_party(claims, issuer)
    return claims


def _decode(token: str, keys_of: Callable[[bool], Keys], issuer: Issuer) -> dict[str, Any]:
    header = jwt.get_unverified_header(token)
    key = _key(header, keys_of(False)) or _key(header, keys_of(True))  # it may have made new ones since we asked
    if key is None:
        raise unproven("unknown key or algorithm")
    return jwt.decode(
        token,
        key=jwt.PyJWK(key, algorithm=header["alg"]),
        algorithms=[header["alg"]],
        audience=issuer.client_id,
        issuer=issuer.url,
        leeway=LEEWAY,
        options={"require": _REQUIRED},
    )


def _key(header: dict[str, Any], keys: Keys) -> dict[str, Any] | None:
    """Return the key that a header names; where it names none, the only one that could be meant."""
    algorithm = header.get("alg")
    fitting = [key for key in keys if _fits(key, algorithm) and header.get("kid") in (None, key.get("kid"))]
    return fitting[0] if len(fitting) == 1 else None


def _fits(key: dict[str, Any], algorithm: object) -> bool:
    of_its_type = algorithm in _ALGORITHMS.get(str(key.get("kty")), ())
    is_long = key.get("kty") != "RSA" or len(str(key.get("n", ""))) * 6 >= _SMALLEST_RSA
    return of_its_type and is_long and key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm


def _check_party(claims: dict[str, Any], issuer: Issuer) -> None:
    """Raise where the token is for several parties and this service is not the one that it was given to."""
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    party = claims.get("azp", None if several else issuer.client_id)
    if party != issuer.client_id:
        raise unproven("azp")
    if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
        raise unproven("sub")
