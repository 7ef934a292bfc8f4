"""Both signatures of a notification (docs/wire-contract.md#6-headers-signatures-answers-and-retries). Pure.

Sources: the vendor's event documentation (`Elements-Webhook-Signature`) and the Standard Webhooks specification
(`webhook-id`, `webhook-timestamp`, `webhook-signature`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def standard_secret(key: str) -> bytes:
    """Return the bytes that sign by Standard Webhooks: of `whsec_<base64>` what it encodes, else the key's UTF-8."""
    if key.startswith(PREFIX):
        try:
            return base64.b64decode(key[len(PREFIX) :], validate=True)
        except binascii.Error:
            return key.encode()
    return key.encode()


def signature_headers(keys: Sequence[str], webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Make the headers of one attempt; `keys` newest first, several while one is being rotated, none to leave unsigned.

    `timestamp` is of this attempt, in Unix seconds. The Elements header is base64(HMAC-SHA256(key, raw body)), with
    room for one signature: the newest key's.
    """
    headers = {"Elements-Webhook-Id": webhook_id, "webhook-id": webhook_id, "webhook-timestamp": str(timestamp)}
    if keys:
        headers["Elements-Webhook-Signature"] = "sha256=" + _base64_hmac(keys[0].encode(), body)
        signed = f"{webhook_id}.{timestamp}.".encode() + body
        signatures = [_base64_hmac(standard_secret(key), signed) for key in keys]
        headers["webhook-signature"] = " ".join(f"v1,{signature}" for signature in signatures)
    return headers


def _base64_hmac(secret: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()
