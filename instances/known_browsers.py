"""Whom a stranger's guesses must not lock out: browsers and addresses from which an account signed in before.

A browser is known by a cookie that each sign-in leaves, one for each account ("device cookies", as OWASP describes
them: https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies). It opens nothing: whoever
has it may guess at this one account by a count of its own.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from cwconnect.core.client_ip import UNKNOWN, client_network
from instances.models import SignIn

COOKIE_AGE = timedelta(days=180)
ADDRESS_AGE = timedelta(days=90)
_SALT = "cwconnect known browser"


def known_browser(request: HttpRequest, username: str) -> str | None:
    """Return what distinguishes the browser from others, if the account of that name signed in from it; else None."""
    account = User.objects.filter(username=username).values_list("pk", flat=True).first()
    cookie = "" if account is None else request.COOKIES.get(_cookie_name(account), "")
    try:
        known, nonce = signing.loads(cookie, salt=_SALT, max_age=COOKIE_AGE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return str(nonce) if known == account else None


def is_known_address(request: HttpRequest, username: str, now: datetime) -> bool:
    """Return whether the account of that name signed in from this address (IPv6: this /64) of late."""
    network = client_network(request)
    before = SignIn.objects.filter(account__username=username, network=network, at__gte=now - ADDRESS_AGE)
    return network != UNKNOWN and before.exists()


def remember_browser(response: HttpResponseBase, account: int) -> None:
    """Leave the cookie by which the browser is known to this account from now on."""
    response.set_cookie(
        _cookie_name(account),
        signing.dumps([account, secrets.token_urlsafe(16)], salt=_SALT),
        max_age=COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _cookie_name(account: int) -> str:
    prefix = "__Host-" if settings.SESSION_COOKIE_SECURE else ""
    return f"{prefix}known-{account}"
