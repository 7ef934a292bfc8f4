"""The client's address, by which guesses of passwords are counted, and the answer when there were too many.

Guesses are counted by address alone (django-axes), so that nobody can lock somebody else's account from afar. Programs
come with 32 random bytes each, which nobody guesses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.request import Request


def client_address(request: HttpRequest | Request) -> str:
    """Return the caller's address: behind a proxy (CWCONNECT_PUBLIC_URL is set) what the proxy itself saw.

    That is the last one in X-Forwarded-For; what stands before it is whatever the caller wrote.
    """
    if settings.PUBLIC_URL:
        last = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        try:
            return str(ipaddress.ip_address(last))
        except ValueError:
            pass  # no proxy, or one that says nothing usable: its own address counts
    return str(request.META.get("REMOTE_ADDR", ""))


def locked_out(
    request: HttpRequest, _response: HttpResponse | None, _credentials: Mapping[str, object] | None
) -> HttpResponse:
    """Answer a sign-in after too many failed ones (AXES_LOCKOUT_CALLABLE); the right password changes nothing."""
    minutes = round(settings.AXES_COOLOFF_TIME.total_seconds() / 60)
    response = render(request, "429.html", {"minutes": minutes}, status=429)
    response.headers["Retry-After"] = str(minutes * 60)
    return response
