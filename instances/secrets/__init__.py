"""Secrets: encryption at rest for what must be read again, hashing for what must only be recognised.

ConnectWise keys, signature keys and receivers' passwords are encrypted with cryptography's MultiFernet under
CWCONNECT_ENCRYPTION_KEYS (the first key writes, all of them read). A value that no key opens is an error, never its
ciphertext and never an empty string. API secrets and instance tokens are random, so a plain SHA-256 recognises them:
there is nothing to guess that a slow hash would protect.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

MASK = "********"
_PREFIX = "v1:"


class SecretUnreadableError(Exception):
    """A stored secret that none of CWCONNECT_ENCRYPTION_KEYS opens."""


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(text: str) -> str:
    """Return `text` as ciphertext with a version prefix, under the first encryption key."""
    return _PREFIX + _fernet(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode()


def decrypt(ciphertext: str) -> str:
    """Return the text of what `encrypt` made; SecretUnreadableError if no key opens it or it never was encrypted."""
    if not ciphertext.startswith(_PREFIX):
        raise SecretUnreadableError("A stored secret is not in the form that this version writes.")
    try:
        return _fernet(tuple(settings.ENCRYPTION_KEYS)).decrypt(ciphertext[len(_PREFIX) :].encode()).decode()
    except InvalidToken:
        raise SecretUnreadableError(
            "A stored secret can't be opened with any key in CWCONNECT_ENCRYPTION_KEYS; was a key removed or replaced?"
        ) from None


class Secret:
    """An encrypted value in memory: prints as a mask everywhere; `reveal()` is the one way to its text."""

    __slots__ = ("ciphertext",)

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    @classmethod
    def of(cls, text: str) -> Secret:
        """Make the secret that holds `text`."""
        return cls(encrypt(text))

    def reveal(self) -> str:
        """Return the text; SecretUnreadableError when no key opens it."""
        return decrypt(self.ciphertext)

    def rotated(self) -> Secret | None:
        """Return the same text under the first key; None if it stands under it. SecretUnreadableError."""
        keys = tuple(settings.ENCRYPTION_KEYS)
        try:
            _fernet(keys[:1]).decrypt(self.ciphertext[len(_PREFIX) :].encode())
        except InvalidToken:
            return Secret.of(self.reveal())
        return None

    def __str__(self) -> str:
        return MASK

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.ciphertext == other.ciphertext

    def __hash__(self) -> int:
        return hash(self.ciphertext)


class SecretField(models.TextField[Any, Any]):
    """A text column whose value is a `Secret`; only secrets (or None) are written, plain text is refused."""

    # Read by django-stubs: what may be assigned to the attribute, and what it gives.
    _pyi_private_set_type: Secret | None  # type: ignore[assignment]  # a text column to the database alone
    _pyi_private_get_type: Secret | None  # type: ignore[assignment]  # likewise

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Secret | None:
        """Wrap what the database holds, unopened: one unreadable secret must not stop the reading of others."""
        return None if value is None else Secret(value)

    def to_python(self, value: Any) -> Secret | None:
        """Refuse anything that is not encrypted already."""
        if value is None or isinstance(value, Secret):
            return value
        raise TypeError(f"{self.name} takes a Secret, so that no plain text reaches the database.")

    def get_prep_value(self, value: Any) -> str | None:
        """Return the ciphertext to write."""
        secret = self.to_python(value)
        return None if secret is None else secret.ciphertext


def new_token() -> str:
    """Make a secret of 32 random bytes in the contract's alphabet (A-Z a-z 0-9 + / =)."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def hash_token(token: str) -> str:
    """Return the hex SHA-256 by which a token or API secret is looked up; looking up a hash leaks no timing of use."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
