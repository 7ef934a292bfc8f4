"""Second factors for tests: an app that shows codes, and a passkey made in software."""

from __future__ import annotations

import hashlib
import json
import os
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from fido2 import cbor
from fido2.cose import ES256

from instances.models import FactorSecret
from instances.secrets import Secret

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code(steps: int = 0, secret: str = SECRET) -> str:
    """Return what the app shows now, or so many steps of 30 seconds later."""
    shown: str = format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))
    return shown


def give_app(account: User, secret: str = SECRET) -> Authenticator:
    """Give the account an app, without its page."""
    kept = FactorSecret.objects.create(account=account, text=Secret.of(secret))
    data = {"secret": f"kept:{kept.pk}"}
    return Authenticator.objects.create(user=account, type=Authenticator.Type.TOTP, data=data)


def give_recovery_codes(account: User) -> list[str]:
    """Give the account recovery codes; return them."""
    kept = FactorSecret.objects.create(account=account, text=Secret.of("00" * 40))
    data = {"seed": f"kept:{kept.pk}", "used_mask": 0}
    made = Authenticator.objects.create(user=account, type=Authenticator.Type.RECOVERY_CODES, data=data)
    codes: list[str] = made.wrap().get_unused_codes()
    return codes


def confirm(client: Client, password: str) -> None:
    """Say once more who it is, by the password."""
    answer = client.post(reverse("account_reauthenticate"), {"password": password})
    assert answer.status_code == 302, answer.content.decode()


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Passkey:
    """An authenticator of software: what a browser and a device answer together."""

    host: str = "testserver"
    scheme: str = "https"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    user_handle: str = ""
    verified: bool = True

    def create(self, options: Any) -> dict[str, Any]:
        """Answer to what a page asks for: a new passkey."""
        self.user_handle = options["publicKey"]["user"]["id"]
        public = cbor.encode(ES256.from_cryptography_key(self.key.public_key()))  # type: ignore[no-untyped-call]  # as the package has it
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + public
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._data(0x40) + attested}
        response = {"attestationObject": _text(cbor.encode(attestation))}
        return self._answer("webauthn.create", options, response)

    def get(self, options: Any, **changed: Any) -> dict[str, Any]:
        """Answer to what a page asks for: a signature."""
        data = self._data(0)
        answer = self._answer("webauthn.get", options, {"authenticatorData": _text(data)}, **changed)
        client = answer.pop("client")
        signed = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        answer["response"] |= {"signature": _text(signed), "userHandle": self.user_handle}
        return answer

    def _data(self, more: int) -> bytes:
        flags = 0x01 | (0x04 if self.verified else 0) | more
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + bytes(4)

    def _answer(self, kind: str, options: Any, response: dict[str, Any], **changed: Any) -> dict[str, Any]:
        data = {"type": kind, "challenge": options["publicKey"]["challenge"], "origin": f"{self.scheme}://{self.host}"}
        client = json.dumps(data | changed).encode()
        identity = _text(self.credential_id)
        answer = {"id": identity, "rawId": identity, "type": "public-key", "clientExtensionResults": {}}
        response = response | {"clientDataJSON": _text(client)}
        more = {"client": client} if kind == "webauthn.get" else {}
        return {**answer, "response": response, **more}
