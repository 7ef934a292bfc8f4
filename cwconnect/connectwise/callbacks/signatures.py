"""Who signed a callback: where its key may be fetched, what the key route answers, and the check itself. Pure.

The signature is base64(HMAC-SHA256(key = SHA256(signing_key) as 32 raw bytes, message = the raw body)).
Source: ConnectWise's developer guide, "Verifying Callbacks".

Every customer of a cloud host can sign validly, with a key of his own. So a key counts only where it is fetched from
the instance's own site, for the instance's own company.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from urllib.parse import SplitResult, parse_qsl, urlsplit

from cwconnect.connectwise.answers import JsonError, parse_json

LARGEST_KEY_ANSWER = 65_536  # bytes
KEY_SECONDS = 10.0
_KEY_PATH = "/system/callbackkey/index.rails"
_LONGEST_KEY = 1000
_API = "api-"


class KeyRefusedError(ValueError):
    """A key that must not be asked for, or an answer that holds none; `reason` is a word or two for counts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_key_url(key_url: str, *, base_url: str, company: str) -> None:
    """Raise KeyRefusedError unless a key from there is that of this company on the site of this base URL.

    The host is the instance's own, with or without `api-`, by https on its default port; or just where the base URL
    leads (a site of one's own on another port).
    """
    try:
        parts, site = urlsplit(key_url), urlsplit(base_url)
        origin, own = _origin(parts), _origin(site)
    except ValueError:
        raise KeyRefusedError("key of another host") from None
    if "@" in parts.netloc or "\\" in key_url or not key_url.isascii() or any(c <= " " for c in key_url):
        raise KeyRefusedError("key URL malformed")
    name = own[1].removeprefix(_API)
    if origin != own and origin not in (("https", name, 443), ("https", _API + name, 443)):
        raise KeyRefusedError("key of another host")
    if not parts.path.lower().endswith(_KEY_PATH) or "%" in parts.path or ".." in parts.path or parts.fragment:
        raise KeyRefusedError("key of another path")
    companies = [value for key, value in parse_qsl(parts.query) if key.lower() == "companyname"]
    if [value.lower() for value in companies] != [company.lower()]:
        raise KeyRefusedError("key of another company")


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    """Return scheme, host and port in one spelling. ValueError for a port that is none."""
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)


def read_signing_key(body: bytes) -> str:
    """Return the key of what the key route answers, whatever type it says to be; KeyRefusedError."""
    try:
        found = parse_json(body)
    except JsonError:
        raise KeyRefusedError("key unreadable") from None
    key = found.get("signing_key") if isinstance(found, dict) else None
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY:
        raise KeyRefusedError("key unreadable")
    return key


def is_signed(body: bytes, signature: str, signing_key: str) -> bool:
    """Whether `signature`, as it came in `x-content-signature`, is that of these bytes under this key."""
    try:
        given = base64.b64decode(signature.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, sign(body, signing_key))


def sign(body: bytes, signing_key: str) -> bytes:
    """Return the HMAC of a body under a key as ConnectWise gives it."""
    return hmac.digest(hashlib.sha256(signing_key.encode()).digest(), body, "sha256")
