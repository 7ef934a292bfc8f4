"""The forms of second factors: a code, a passkey's answer, an app that is added, a passkey's name.

They stand in for django-allauth's (setting MFA_FORMS has classes, not names, so that the views name them): guesses are
counted by counting.py, codes are taken once, and the secret of an app that is not added yet is sealed in the session.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from typing import Any
from urllib.parse import urlsplit

from allauth.core import context
from allauth.mfa.base.internal.flows import post_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm
from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from cwconnect.core.form_fields import NameField
from instances.audit import Action
from instances.factors.codes import step_of, take_code
from instances.factors.counting import counted
from instances.factors.notices import note
from instances.secrets.ciphertexts import Place, SecretUnreadableError, seal, unseal

_LONGEST_NAME = 60
_LONGEST_CREDENTIAL = 20_000  # characters of JSON; attestations of some makers take a few thousand
_MOST_PASSKEYS = 20
_NOT_TAKEN = "This code is not taken: mistyped, too old, or used already. Wait for the next one."
_NO_PASSKEY = "This passkey is not taken. Try again, or take another way."


def _code_field(label: str, help_text: str) -> forms.CharField:
    entered = {"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"}
    return forms.CharField(label=label, max_length=20, help_text=help_text, widget=forms.TextInput(attrs=entered))


class CodeForm(forms.Form):
    """A code of one's app, or one of the recovery codes: the second step of a sign-in."""

    reauthenticates = False
    code = _code_field("Code", "Six digits from your app, or a recovery code.")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_code(self) -> str:
        """Take the code, or count the guess."""
        code: str = self.cleaned_data["code"]
        with counted(self.user):
            self.factor = take_code(self.user, code)
            if self.factor is None:
                raise ValidationError(_NOT_TAKEN)
        return code

    def save(self) -> None:
        """Note that the step is taken."""
        assert self.factor is not None  # noqa: S101  (a valid form has one)
        self.factor.user = self.user
        post_authentication(context.request, self.factor, reauthenticated=self.reauthenticates)


class ConfirmCodeForm(CodeForm):
    """The same once more, before a change."""

    reauthenticates = True


class ActivateForm(forms.Form):
    """A first code of an app, which shows that it has the secret."""

    code = _code_field("Code", "The six digits that the app shows now.")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.secret = _pending_secret(user, anew=not self.is_bound)

    def clean_code(self) -> str:
        """Judge the code; guesses at it are counted as all are."""
        code: str = self.cleaned_data["code"]
        with counted(self.user):
            self.step = step_of(self.secret, code)
            if self.step is None:
                raise ValidationError("This is not what the app shows for this secret. Are both clocks right?")
        return code


def _pending_secret(user: User, *, anew: bool) -> str:
    """Return the secret of the app that is being added; the session holds it sealed, for this account alone."""
    session, place = context.request.session, Place("django_session", totp.SECRET_SESSION_KEY, str(user.pk))
    kept = session.get(totp.SECRET_SESSION_KEY)
    if kept and not anew:
        try:
            return unseal(kept, place, settings.ENCRYPTION_KEYS)
        except SecretUnreadableError:  # another account's, or of a key that is gone: a new one takes its place
            session.pop(totp.SECRET_SESSION_KEY)
    secret: str = totp.generate_totp_secret()
    session[totp.SECRET_SESSION_KEY] = seal(secret, place, settings.ENCRYPTION_KEYS)
    return secret


class _CredentialField(forms.JSONField):
    """What the browser's passkey answered: JSON, filled in by the page's script; of this very site."""

    widget = forms.HiddenInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(error_messages={"required": _NO_PASSKEY, "invalid": _NO_PASSKEY}, **kwargs)

    def to_python(self, value: Any) -> Any:
        """Refuse what is far too long, and what the browser answered to another site."""
        if isinstance(value, str) and len(value) > _LONGEST_CREDENTIAL:
            raise ValidationError(_NO_PASSKEY)
        given = super().to_python(value)
        if given not in self.empty_values and _origin_of(given) != context.request.get_host():
            raise ValidationError(_NO_PASSKEY)
        return given


def _origin_of(credential: Any) -> str:
    """Return the host, with its port, that the browser says it answered to; empty where that can't be read."""
    try:
        given = credential["response"]["clientDataJSON"]
        data = json.loads(urlsafe_b64decode(given + "=" * (-len(given) % 4)))
        return urlsplit(str(data["origin"])).netloc
    except (LookupError, TypeError, ValueError, binascii.Error):
        return ""


# What allauth and its reader of passkeys raise at answers that are none, besides ValidationError.
_NONSENSE = (LookupError, TypeError, ValueError, AttributeError, OverflowError)


class PasskeyForm(AuthenticateWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    """A passkey's answer: the second step of a sign-in."""

    credential = _CredentialField()

    def clean_credential(self) -> Authenticator:
        """Judge the answer, or count the guess."""
        with counted(self.user):
            try:
                return super().clean_credential()
            except ValidationError:
                raise ValidationError(_NO_PASSKEY) from None
            except _NONSENSE as error:
                raise ValidationError(_NO_PASSKEY) from error


class ConfirmPasskeyForm(PasskeyForm):
    """The same once more, before a change."""

    reauthenticated = True


class SignInPasskeyForm(PasskeyForm):
    """A passkey alone, which must have asked for a finger, a face or a PIN."""

    passwordless = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, user=None, **kwargs)


class AddPasskeyForm(AddWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    """A new passkey, and what to call it."""

    passwordless = None
    name = NameField(
        label="Name",
        max_length=_LONGEST_NAME,
        required=False,
        help_text="To tell it from others: “laptop”, “key”.",
    )
    credential = _CredentialField()

    def clean(self) -> dict[str, Any]:
        """Judge what the browser made."""
        if Authenticator.objects.filter(user=self.user, type=Authenticator.Type.WEBAUTHN).count() >= _MOST_PASSKEYS:
            raise ValidationError(f"There are {_MOST_PASSKEYS} passkeys already. Remove one that you don’t use.")
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            raise ValidationError(_NO_PASSKEY) from None
        except _NONSENSE as error:
            raise ValidationError(_NO_PASSKEY) from error
        return cleaned


class RenamePasskeyForm(forms.Form):
    """Another name for a passkey."""

    name = NameField(label="Name", max_length=_LONGEST_NAME)

    def __init__(self, *args: Any, instance: Authenticator, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance = instance
        self.fields["name"].initial = instance.data.get("name", "")

    def save(self) -> Authenticator:
        """Rename it, and record it."""
        former, self.instance.data["name"] = self.instance.data.get("name", ""), self.cleaned_data["name"]
        self.instance.save(update_fields=["data"])
        note(Action.RENAME_FACTOR, self.instance.user, self.instance, name=[former, self.cleaned_data["name"]])
        return self.instance
