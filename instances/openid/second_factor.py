"""Whether the issuer saw a second factor, as the ID token of this session's own sign-in says (RFC 8176, `amr`)."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import authentication_step_completed
from django.contrib.auth.models import User
from django.dispatch import receiver
from django.http import HttpRequest

# Several factors; or one that is more than a password: something that one has or is.
_STRONG = {"mfa", "ngcmfa", "otp", "hwk", "swk", "fido", "sc", "pop"}
_KEY = "issuer_methods"  # in the session, for one account alone


@receiver(authentication_step_completed)
def _remember(sender: object, request: HttpRequest, user: User, method: str, **_: Any) -> None:
    if method == "socialaccount":
        request.session[_KEY] = [user.pk, getattr(request, "issuer_methods", [])]


def issuer_saw_second_factor(request: HttpRequest, account: User) -> bool:
    """Return whether the account signed in by an issuer in this session, with a second factor there."""
    whose, methods = request.session.get(_KEY) or (None, [])
    return whose == account.pk and bool(_STRONG.intersection(methods))
