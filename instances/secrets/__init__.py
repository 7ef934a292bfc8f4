"""Secrets: encryption at rest for what must be read again, hashing for what must only be recognised.

ConnectWise keys, signature keys and receivers' passwords are encrypted under CWCONNECT_ENCRYPTION_KEYS (the first key
writes, all of them read), each for its table, column and row: carried anywhere else in the database, it opens nothing.
A value that can't be opened is an error, never its ciphertext and never an empty string. API secrets and instance
tokens are random, so a plain SHA-256 recognises them: there is nothing to guess that a slow hash would protect.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models.query_utils import DeferredAttribute

from instances.secrets.binding import all_bound
from instances.secrets.ciphertexts import (
    Place,
    SecretMisplacedError,
    SecretUnreadableError,
    is_sealed_under,
    is_unbound,
    open_unbound,
    seal,
    unseal,
)

__all__ = [
    "MASK",
    "HoldsSecrets",
    "Place",
    "Secret",
    "SecretField",
    "SecretMisplacedError",
    "SecretUnreadableError",
    "hash_token",
    "new_token",
]

MASK = "********"


class Secret:
    """A secret value in memory: prints as a mask everywhere; `reveal()` is the one way to its text.

    Made of a text, it has a ciphertext only once it is written to a row. Read from a row, it is opened as what stands
    in that row's column.
    """

    __slots__ = ("_text", "ciphertext", "place")

    def __init__(self, ciphertext: str, place: Place | None = None) -> None:
        self.ciphertext: str | None = ciphertext
        self.place = place
        self._text: str | None = None

    @classmethod
    def of(cls, text: str) -> Secret:
        """Make the secret that holds `text`."""
        secret = cls("")
        secret.ciphertext, secret._text = None, text
        return secret

    def reveal(self) -> str:
        """Return the text; SecretUnreadableError when it can't be opened where it stands."""
        if self.ciphertext is None:
            return self._text or ""
        if is_unbound(self.ciphertext):
            return self._open_unbound(self.ciphertext)
        if self.place is None:
            raise SecretUnreadableError("A secret was read without its row: nobody can know whether it belongs there.")
        return unseal(self.ciphertext, self.place, settings.ENCRYPTION_KEYS)

    def _open_unbound(self, ciphertext: str) -> str:
        if all_bound():
            raise SecretMisplacedError(
                "A stored secret has the form of an earlier version, which says nothing of where it belongs. "
                "It is not used; give it anew."
            )
        return open_unbound(ciphertext, settings.ENCRYPTION_KEYS)

    def standing_at(self, place: Place) -> Secret:
        """Return the secret as one that was read at this place, unless it has one already or is not written yet."""
        return self if self.ciphertext is None or self.place else Secret(self.ciphertext, place)

    def written_to(self, place: Place) -> Secret:
        """Return what to write to this place: what stands there already as it is, else sealed anew.

        SecretUnreadableError where it comes from another place and can't be opened there.
        """
        if self.ciphertext is not None and self.place == place:
            return self
        return Secret(seal(self.reveal(), place, settings.ENCRYPTION_KEYS), place)

    def rotated(self) -> Secret | None:
        """Return the same text sealed under the first key; None if it is. SecretUnreadableError."""
        text = self.reveal()
        if self.place is None:
            raise SecretUnreadableError("A secret that stands in no row can't be written anew.")
        if self.ciphertext is not None and is_sealed_under(self.ciphertext, settings.ENCRYPTION_KEYS[0]):
            return None
        return Secret(seal(text, self.place, settings.ENCRYPTION_KEYS), self.place)

    def __str__(self) -> str:
        return MASK

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.ciphertext, self._text) == (other.ciphertext, other._text)

    def __hash__(self) -> int:
        return hash((self.ciphertext, self._text))


class _SecretAttribute(DeferredAttribute):
    """Gives each secret that comes into a row its place.

    That is known from the row's key on. A model whose other columns are those of an abstract one has its key among the
    last, so what was read before it is given its place when it is first asked for.
    """

    field: SecretField

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if instance is None or not isinstance(value, Secret) or value.place is not None:
            return value
        self.__set__(instance, value)
        return instance.__dict__[self.field.attname]

    def __set__(self, instance: models.Model, value: object) -> None:
        if isinstance(value, Secret) and instance.__dict__.get(_key_of(instance)) is not None:
            value = value.standing_at(self.field.place_in(instance))
        instance.__dict__[self.field.attname] = value


def _key_of(instance: models.Model) -> str:
    """Return under which name a row has its key."""
    key = instance._meta.pk  # noqa: SLF001  (documented API of models)
    return "" if key is None else key.attname


class SecretField(models.TextField[Any, Any]):
    """A text column whose value is a `Secret`; only secrets (or None) are written, plain text is refused.

    The table's and the column's names are part of what each ciphertext is bound to: renaming one of them takes a
    migration that seals anew. The model must be one that `HoldsSecrets`.
    """

    # Read by django-stubs: what may be assigned to the attribute, and what it gives.
    _pyi_private_set_type: Secret | None  # type: ignore[assignment]  # a text column to the database alone
    _pyi_private_get_type: Secret | None  # type: ignore[assignment]  # likewise
    descriptor_class = _SecretAttribute

    def place_in(self, row: models.Model) -> Place:
        """Return where this column's secret of a row stands; the row must have its primary key."""
        return Place(self.model._meta.db_table, str(self.column), str(row.pk))  # noqa: SLF001  (documented API of models)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Secret | None:
        """Wrap what the database holds, unopened: one unreadable secret must not stop the reading of others."""
        return None if value is None else Secret(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Secret | None:
        """Seal the row's secret for its place; one that waits for the row's key is written when that is known."""
        secret = self.to_python(getattr(model_instance, self.attname))
        if secret is None:
            return None
        if model_instance.pk is None:
            return _awaiting_key(model_instance)
        secret = secret.written_to(self.place_in(model_instance))
        setattr(model_instance, self.attname, secret)
        return secret

    def to_python(self, value: Any) -> Secret | None:
        """Refuse anything that is no secret."""
        if value is None or isinstance(value, Secret):
            return value
        raise TypeError(f"{self.name} takes a Secret, so that no plain text reaches the database.")

    def get_prep_value(self, value: Any) -> str | None:
        """Return the ciphertext to write; TypeError where there is none, since it is written with no row."""
        secret = self.to_python(value)
        if secret is not None and secret.ciphertext is None:
            raise TypeError(f"{self.name} is sealed for its row, so it is written by that row's save() alone.")
        return None if secret is None else secret.ciphertext


class HoldsSecrets(models.Model):
    """A model with secrets: they are sealed for their row, whose primary key only its INSERT makes known."""

    class Meta:
        abstract = True

    _key_follows = False

    def save(
        self,
        *,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> None:
        """Write the row; where its key is not known before, its secrets follow in the same transaction."""
        columns = [field.name for field in self._meta.fields if isinstance(field, SecretField)]
        waiting = [name for name in columns if getattr(self, name) is not None] if self.pk is None else []
        options = {"force_insert": force_insert, "force_update": force_update, "update_fields": update_fields}
        if not waiting:
            return super().save(using=using, **options)
        with transaction.atomic(using=using, savepoint=False):
            self._key_follows = True
            try:
                super().save(using=using, **options)
            finally:
                self._key_follows = False
            return super().save(using=using, update_fields=waiting)


def _awaiting_key(row: models.Model) -> Secret:
    """Return what stands in the place of a secret between its row's INSERT and UPDATE."""
    if not getattr(row, "_key_follows", False):
        raise TypeError("Rows with secrets are saved one by one: each secret is sealed for its row's primary key.")
    return Secret("")


def new_token() -> str:
    """Make a secret of 32 random bytes in the contract's alphabet (A-Z a-z 0-9 + / =)."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def hash_token(token: str) -> str:
    """Return the hex SHA-256 by which a token or API secret is looked up; looking up a hash leaks no timing of use."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
