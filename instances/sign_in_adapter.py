"""What django-allauth asks of the service (setting ACCOUNT_ADAPTER): whose links and redirects, who may sign up, mails.

The steps of a sign-in are allauth's; what counts guesses is ours (sign_in_lock.py), and its mails are sent as others.
"""

from __future__ import annotations

import time
from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.core import context
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from cwconnect.core.client_ip import client_address
from instances import mails

# Accounts are read by it, whatever let them in; axes' stands before it and reads none.
BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignInAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """The service's answers."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether anybody may make an account: nobody; people are invited, or let in by a group."""
        return False

    def login(self, request: HttpRequest, user: User) -> None:
        """Begin the session: all steps are taken."""
        user.backend = BACKEND
        super().login(request, user)

    def is_safe_url(self, url: str) -> bool:
        """Return whether a redirect may lead there: to this very site, and to none that it trusts for other things."""
        request = context.request
        return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())

    def is_ajax(self, request: HttpRequest) -> bool:
        """Return whether to answer in JSON: never, pages are for people."""
        return False

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Return whether what is delicate takes the password or a factor once more.

        Whoever has neither, having come by the issuer, has confirmed by the sign-in itself, as long as any
        confirmation holds.
        """
        request, required = context.request, bool(super().is_reauthentication_required(app=app, **kwargs))
        if not required or get_reauthentication_flows(request.user):
            return required
        signed_in = max((record["at"] for record in get_authentication_records(request, request.user)), default=0)
        return not 0 <= time.time() - signed_in < app_settings.REAUTHENTICATION_TIMEOUT

    def get_reauthentication_methods(self, user: User) -> list[dict[str, str]]:
        """Return how one confirms; whoever has no way to is led to the page that says to sign in anew."""
        found: list[dict[str, str]] = super().get_reauthentication_methods(user)
        return found or [{"id": "sign_in", "description": "Sign in anew", "url": reverse("mfa_index")}]

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the client's address, as the trusted proxies tell it."""
        return client_address(request)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        """Answer somebody whose account is deactivated."""
        return render(request, "account/account_inactive.html", status=403)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Return where a changed password leads."""
        return reverse("overview")

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link of a mail; the key stands behind its `#`, which browsers send to nobody."""
        return f"{mails.link_to(reverse('new-password'))}#{key}"

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """Send the link to the address that the account has, which need not be spelt as what was asked for."""
        mails.send_later(user.email, "A new password for cwconnect", _words(user, context["password_reset_url"]))


def _words(account: User, link: str) -> str:
    hours = settings.PASSWORD_RESET_TIMEOUT // 3600
    return (
        f"Somebody, you perhaps, asked for a new password for {account.get_username()} at {settings.PUBLIC_URL}. Open "
        f"this link within {hours} hours to choose it:\n\n{link}\n\n"
        "If it was not you, do nothing: your password stays as it is.\n"
    )
