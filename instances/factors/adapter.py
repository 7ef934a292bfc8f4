"""What django-allauth's second factors ask of the service (setting MFA_ADAPTER): how their secrets are kept, names.

allauth keeps a factor's data as JSON, and hands us the secret in it alone, without the row. So a secret is a row of its
own here (FactorSecret), sealed for that row as all secrets are: keys are rotated and checked with the others. The JSON
holds its number, and whose it is stands in the row: carried to another account's factor, a number opens nothing.
"""

from __future__ import annotations

from typing import Any

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.db.models.signals import post_delete
from django.dispatch import receiver

from instances.models import FactorSecret
from instances.secrets import Secret, SecretMisplacedError

_KEPT = "kept:"
_NAMES = ("secret", "seed")  # where the JSON holds a number: of an app, of recovery codes


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """The service's answers."""

    def encrypt(self, text: str) -> str:
        """Keep a new secret of whoever is signed in; return what stands for it in the factor's data."""
        kept = FactorSecret.objects.create(account_id=context.request.user.pk, text=Secret.of(text))
        return f"{_KEPT}{kept.pk}"

    def decrypt(self, encrypted_text: str) -> str:
        """Return a secret; SecretUnreadableError where it can't be opened or is not there."""
        number = encrypted_text.removeprefix(_KEPT)
        kept = FactorSecret.objects.filter(pk=number).first() if number.isdecimal() and len(number) < 19 else None
        if kept is None or kept.text is None:
            raise SecretMisplacedError("The secret of a second factor is not there. Add the factor anew.")
        text: str = kept.text.reveal()
        return text

    def get_totp_issuer(self) -> str:
        """Return what an app calls the service."""
        return "cwconnect"

    def get_totp_label(self, user: User) -> str:
        """Return what an app calls the account: by which one signs in, and which of several services it is."""
        host = context.request.get_host()
        return f"{user.get_username()} at {host}"

    def generate_authenticator_name(self, user: User, type: Any) -> str:  # noqa: A002  (allauth's name)
        """Return a name for a passkey that was given none."""
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return f"Passkey {count + 1}"


def is_own(factor: Authenticator) -> bool:
    """Return whether the secret that a factor names was kept for the very account that has the factor."""
    number = _number_of(factor)
    return number is not None and FactorSecret.objects.filter(pk=number, account_id=factor.user_id).exists()


@receiver(post_delete, sender=Authenticator)
def _forget(sender: object, instance: Authenticator, **_: Any) -> None:
    """Delete the secret with its factor, however that goes."""
    number = _number_of(instance)
    if number is not None:
        FactorSecret.objects.filter(pk=number, account_id=instance.user_id).delete()


def _number_of(factor: Authenticator) -> int | None:
    kept = next((str(factor.data[name]) for name in _NAMES if name in factor.data), "")
    number = kept.removeprefix(_KEPT)
    return int(number) if kept.startswith(_KEPT) and number.isdecimal() and len(number) < 19 else None
