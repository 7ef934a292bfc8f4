"""Whoever must have a second factor and has none is led to set one up, before anything else is shown or done.

It stands before every view there is, the admin's too: one that is not named here is closed to such a person. What asks
for no session (the API, probes) goes by secrets of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django_htmx.middleware import HtmxDetails
from rest_framework.views import APIView

from instances.factors.rule import has_factor, is_required
from instances.openid.second_factor import issuer_saw_second_factor
from instances.pages.access import memberships_of, reload_page

SET_UP = "mfa_index"
# What one needs to set a factor up, to say that it is oneself, and to leave; and what is for anybody, signed in or not.
OPEN = frozenset(
    (
        *(SET_UP, "mfa_activate_totp", "mfa_add_webauthn", "mfa_view_recovery_codes"),
        *("mfa_reauthenticate", "mfa_reauthenticate_webauthn", "account_reauthenticate"),
        *("signin", "account_login", "signout", "forgot-password", "new-password", "first-start"),
        *("sign-in-by-issuer", "back-from-issuer"),
        *("healthz", "readyz", "metrics", "api-docs", "api-docs-tag", "admin:jsi18n", "connectwise-callback"),
        *("help-home", "help-document", "help-file"),
    )
)


class SecondFactorGate:
    """Leads to the page that sets a second factor up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Return where to set a factor up, to whoever must and has none; None lets anybody else pass."""
        match = request.resolver_match
        if match is None or match.view_name in OPEN or issubclass(getattr(view, "cls", object), APIView):
            return None
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not lacks_factor(request):
            return None
        htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # its middleware's
        return reload_page() if htmx else redirect(SET_UP)


def lacks_factor(request: HttpRequest) -> bool:
    """Return whether somebody is signed in who must have a second factor and has none, nor used one at the issuer."""
    account = request.user
    if not isinstance(account, User) or not is_required(account, memberships_of(request)):
        return False
    return not has_factor(account) and not issuer_saw_second_factor(request, account)
