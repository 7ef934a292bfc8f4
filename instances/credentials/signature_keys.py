"""Signature keys of notifications: made for users, and rotated so that no receiver misses a beat.

A changed key leaves the one before it signing beside the new one until a given time (a day by default), so that a
receiver may take up the new key whenever it likes meanwhile. One former key is kept: a second change within that time
ends the first one's.
"""

from __future__ import annotations

import base64
import secrets
from datetime import datetime

from django.db import transaction

from instances import audit
from instances.audit import Action
from instances.credentials.overlap import OVERLAP
from instances.models import Instance, NotificationSettings
from instances.secrets import Secret, SecretUnreadableError

PREFIX = "whsec_"  # Standard Webhooks: what follows is the secret in base64
_BYTES = 32  # Standard Webhooks asks for 24 to 64


def new_signature_key() -> str:
    """Make a key for a user: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def replace_key(settings: NotificationSettings, text: str, until: datetime) -> None:
    """Put a new key into the row, unsaved; the one before it signs beside it until `until`.

    Without a new key nothing is signed any more, by the old one neither.
    """
    keeps = bool(text) and settings.signature_key is not None and _opens(settings.signature_key)
    settings.previous_signature_key = settings.signature_key if keeps else None
    settings.previous_key_until = until if keeps else None
    settings.signature_key = Secret.of(text) if text else None


def _opens(secret: Secret) -> bool:
    """Return whether a secret can be opened: one that can't would stop every signature, and signs nothing anyway."""
    try:
        secret.reveal()
    except SecretUnreadableError:
        return False
    return True


def rotate_signature_key(
    instance: Instance, now: datetime, *, key: str | None = None, until: datetime | None = None
) -> str:
    """Have notifications signed with `key`, one made here if none is given, and with the present one until `until`.

    `until` is a day from `now` unless given. Gives the new key, to be shown once.
    """
    chosen = key or new_signature_key()
    with transaction.atomic():
        current = Instance.objects.select_for_update(no_key=True).get(pk=instance.pk)
        replace_key(current, chosen, until or now + OVERLAP)
        current.save(update_fields=["signature_key", "previous_signature_key", "previous_key_until", "updated_at"])
        audit.record(
            Action.ROTATE_SIGNATURE_KEY,
            current,
            organization=current.organization,
            details={"former_until": (until or now + OVERLAP).isoformat(timespec="seconds")},
        )
    return chosen


def signing_keys(settings: NotificationSettings, now: datetime) -> tuple[str, ...]:
    """Return the keys that sign at `now`, newest first; none where nothing is signed. SecretUnreadableError."""
    if not settings.signature_key:
        return ()
    keys = [settings.signature_key.reveal()]
    if settings.previous_signature_key and settings.previous_key_until and now < settings.previous_key_until:
        keys.append(settings.previous_signature_key.reveal())
    return tuple(keys)
