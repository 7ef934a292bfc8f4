"""The keys that companies sign their callbacks with: each company of the host has its own, under an id."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SigningKey:
    """A key and the id under which the key route gives it."""

    id: str
    key: str = field(repr=False)


class Keyring:
    """The keys of all companies by name, in any case; a company that was never heard of gets one when it signs."""

    def __init__(self) -> None:
        self._current: dict[str, SigningKey] = {}
        self._known: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def current(self, company: str) -> SigningKey:
        """Return the key that a company signs with now."""
        with self._lock:
            return self._current.get(company.lower()) or self._make(company.lower(), secrets.token_hex(16))

    def rotate(self, company: str, *, same_id: bool = False) -> SigningKey:
        """Give a company a new key: under a new id, the former one still being given; or in place under the same."""
        former = self.current(company).id
        with self._lock:
            return self._make(company.lower(), former if same_id else secrets.token_hex(16))

    def find(self, company: str, key_id: str) -> str | None:
        """Return a company's key by its id, None where it has none of that id."""
        with self._lock:
            return self._known.get((company.lower(), key_id))

    def _make(self, company: str, key_id: str) -> SigningKey:
        made = SigningKey(key_id, secrets.token_urlsafe(32))
        self._current[company], self._known[company, key_id] = made, made.key
        return made
