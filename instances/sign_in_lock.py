"""When a sign-in is refused unseen, the right password too: by address, by account, by known browser.

* An address (IPv6: a /64) that failed ten times is refused for a quarter of an hour: django-axes does that.
* An account at which fifteen guesses failed, from wherever, makes each further one wait, longer each time (guesses.py);
  names that no account has do too, so that nobody learns which there are. Where the account signed in from before, by
  browser or by address, that does not concern it: a stranger locks no owner out.
* A browser that is known to the account is counted by itself alone, so that not even a neighbour at its address locks
  it out.

The old password of a change of passwords is checked by the same way (instances/pages/accounts.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from instances import guesses
from instances.known_browsers import is_known_address, known_browser

Credentials = Mapping[str, Any]


class SignInHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """What axes asks and reports (setting AXES_HANDLER)."""

    def is_allowed(self, request: HttpRequest, credentials: Credentials | None = None) -> bool:
        """Return whether a password may be looked at."""
        username, now = _username(credentials), timezone.now()
        browser = known_browser(request, username)
        if browser is not None:
            wait = guesses.take_turn(_browser_key(browser), now)
        elif not super().is_allowed(request, credentials):
            wait = settings.AXES_COOLOFF_TIME
        elif is_known_address(request, username, now):
            wait = guesses.NONE
        else:
            wait = guesses.take_turn(_account_key(username), now)
        return not _refused_for(request, wait)

    def user_login_failed(
        self, sender: object, credentials: Credentials, request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        """Count a failure; what was refused unseen is none."""
        if request is None or getattr(request, "axes_locked_out", False):
            return
        username, now = _username(credentials), timezone.now()
        browser = known_browser(request, username)
        if browser is not None:
            wait = guesses.note_failure(_browser_key(browser), now)
        else:
            super().user_login_failed(sender, credentials, request, **kwargs)
            wait = guesses.note_failure(_account_key(username), now)
            if getattr(request, "axes_locked_out", False):
                wait = settings.AXES_COOLOFF_TIME
            elif is_known_address(request, username, now):
                wait = guesses.NONE
        if _refused_for(request, wait):
            request.axes_locked_out = True  # type: ignore[attr-defined]  # axes' middleware reads it


def locked_out(
    request: HttpRequest, _response: HttpResponse | None = None, _credentials: Credentials | None = None
) -> HttpResponse:
    """Answer a sign-in after too many failed ones (AXES_LOCKOUT_CALLABLE); the right password changes nothing."""
    return too_many_guesses(request, getattr(request, "sign_in_wait", None) or settings.AXES_COOLOFF_TIME)


def too_many_guesses(request: HttpRequest, wait: timedelta) -> HttpResponse:
    """Answer 429, with how long to wait."""
    seconds = math.ceil(wait.total_seconds())
    response = render(request, "429.html", {"minutes": math.ceil(seconds / 60)}, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _refused_for(request: HttpRequest, wait: timedelta) -> timedelta:
    """Remember on the request how long to wait, for the answer."""
    request.sign_in_wait = wait  # type: ignore[attr-defined]  # ours alone
    return wait


def _username(credentials: Credentials | None) -> str:
    return str((credentials or {}).get("username") or "")


def _account_key(username: str) -> str:
    return guesses.key_of(guesses.ACCOUNT, username)


def _browser_key(nonce: str) -> str:
    return guesses.key_of(guesses.BROWSER, nonce)
