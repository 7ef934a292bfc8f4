"""Ciphertexts of stored secrets: made for one place (table, column, row) and opened nowhere else. Touches no database.

`v2:KEY:BODY`: AES-256-GCM with the place as authenticated data, under a key derived (HKDF) from one of
CWCONNECT_ENCRYPTION_KEYS. KEY says which one, so that a key that is gone is not taken for a ciphertext altered or
carried elsewhere; BODY is nonce and ciphertext in URL-safe base64. `v1:`, Fernet tokens that were bound to nothing, are
read for an upgrade alone (see binding.py).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_BOUND, _UNBOUND = "v2", "v1"
_KEY_BYTES, _NAME_BYTES = 32, 8
_NONCE_BYTES = 12  # as NIST SP 800-38D has it for random ones: safe for 2**32 ciphertexts of a key
_PURPOSE = b"cwconnect: secrets at rest"


class SecretUnreadableError(Exception):
    """A stored secret that can't be opened."""


class SecretMisplacedError(SecretUnreadableError):
    """A stored secret whose key is at hand, but that was not written where it stands, or was altered."""


class Place(NamedTuple):
    """Where a secret stands: the table and the column as the database calls them, and the row's primary key."""

    table: str
    column: str
    row: str

    def authenticated(self) -> bytes:
        """Return the place as the bytes that a ciphertext is bound to; no two places have the same."""
        return json.dumps(self).encode()


def seal(text: str, place: Place, keys: Sequence[str]) -> str:
    """Return `text` as a ciphertext for this place alone, under the first key."""
    name, cipher = next(iter(_ciphers(tuple(keys)).items()))
    nonce = os.urandom(_NONCE_BYTES)
    body = nonce + cipher.encrypt(nonce, text.encode(), place.authenticated())
    return f"{_BOUND}:{name}:{base64.urlsafe_b64encode(body).decode()}"


def unseal(ciphertext: str, place: Place, keys: Sequence[str]) -> str:
    """Return the text that was sealed for this place under one of the keys.

    SecretUnreadableError where its key is not among them; SecretMisplacedError where it was not sealed for this place.
    """
    version, name, body = _parts(ciphertext)
    if version != _BOUND:
        raise SecretMisplacedError(f"The secret in {place.column} is not in the form that this version writes.")
    cipher = _ciphers(tuple(keys)).get(name)
    if cipher is None:
        raise SecretUnreadableError(
            f"The secret in {place.column} can't be opened with any key in CWCONNECT_ENCRYPTION_KEYS; "
            "was a key removed or replaced?"
        )
    try:
        sealed = base64.urlsafe_b64decode(body)
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.authenticated()).decode()
    except (InvalidTag, ValueError):  # the latter: no base64, or too short for a nonce
        raise SecretMisplacedError(
            f"The secret in {place.column} was not written there: it was altered, or moved from another row or column "
            "of the database. It is not used; give it anew."
        ) from None


def is_sealed_under(ciphertext: str, key: str) -> bool:
    """Return whether it is a bound ciphertext made with this key; its place is not looked at."""
    version, name, _ = _parts(ciphertext)
    return version == _BOUND and name in _ciphers((key,))


def is_unbound(ciphertext: str) -> bool:
    """Return whether it was written by a version that bound ciphertexts to nothing."""
    return _parts(ciphertext)[0] == _UNBOUND


def open_unbound(ciphertext: str, keys: Sequence[str]) -> str:
    """Return the text of a ciphertext that is bound to no place. SecretUnreadableError where no key opens it."""
    try:
        return _fernet(tuple(keys)).decrypt(ciphertext.partition(":")[2].encode()).decode()
    except InvalidToken:
        raise SecretUnreadableError(
            "A stored secret can't be opened with any key in CWCONNECT_ENCRYPTION_KEYS; was a key removed or replaced?"
        ) from None


def _parts(ciphertext: str) -> tuple[str, str, str]:
    version, _, rest = ciphertext.partition(":")
    name, _, body = rest.partition(":")
    return version, name, body


@lru_cache(maxsize=8)
def _ciphers(keys: tuple[str, ...]) -> Mapping[str, AESGCM]:
    """Return the ciphers by their names, in the keys' order."""
    # Derived, each with its name: a Fernet key must not serve a second algorithm as it is.
    derived = (
        HKDF(SHA256(), _KEY_BYTES + _NAME_BYTES, salt=None, info=_PURPOSE).derive(base64.urlsafe_b64decode(key))
        for key in keys
    )
    return {made[_KEY_BYTES:].hex(): AESGCM(made[:_KEY_BYTES]) for made in derived}


@lru_cache(maxsize=8)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
