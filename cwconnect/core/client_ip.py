"""The client's address, by which guesses of passwords are counted, and the answer when there were too many.

Guesses are counted by address alone (django-axes), so that nobody can lock somebody else's account from afar. Programs
come with 32 random bytes each, which nobody guesses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.request import Request

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What proxies write: `192.0.2.1`, `192.0.2.1:4711` (Azure), `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711` (AWS).
_WRITTEN = re.compile(r"\[(?P<bracketed>[^\[\]]+)\](?::[0-9]{1,5})?|(?P<ported>[0-9.]+):[0-9]{1,5}|(?P<bare>[^\[\]]+)")


def client_address(request: HttpRequest | Request) -> str:
    """Return the caller's address: its own connection's, or what the proxies that are trusted say of it.

    X-Forwarded-For grows to the right: each proxy adds the address that it was asked from, and whatever stands at the
    left of that is the caller's own invention. So it is read from the right, as long as who wrote it is trusted
    (CWCONNECT_TRUSTED_PROXIES); without that setting one proxy is, where CWCONNECT_PUBLIC_URL says that there is one.
    """
    remote = str(request.META.get("REMOTE_ADDR", ""))
    written = request.headers.get("X-Forwarded-For", "").split(",")
    client = _walk(address_in(remote), map(address_in, reversed(written)))
    return remote if client is None else str(client)


def _walk(peer: Address | None, hops: Iterable[Address | None]) -> Address | None:
    """Return the first address that no trusted proxy has, from the peer on; what can't be read ends the walk."""
    client, trusting = peer, _is_proxy(peer)
    for hop in hops:
        if not trusting or hop is None:
            break
        client, trusting = hop, bool(settings.TRUSTED_PROXIES) and _is_proxy(hop)
    return client


def _is_proxy(address: Address | None) -> bool:
    """Tell whether what it says of others counts. None is a socket in the file system, which proxies alone use."""
    if settings.TRUSTED_PROXIES:
        return address is None or any(address in network for network in settings.TRUSTED_PROXIES)
    return bool(settings.PUBLIC_URL)


def address_in(text: str) -> Address | None:
    """Return the address that stands in one part of the header, without port, zone and IPv6's form of IPv4."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        return None
    try:
        address = ipaddress.ip_address((found["bracketed"] or found["ported"] or found["bare"]).partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def locked_out(
    request: HttpRequest, _response: HttpResponse | None, _credentials: Mapping[str, object] | None
) -> HttpResponse:
    """Answer a sign-in after too many failed ones (AXES_LOCKOUT_CALLABLE); the right password changes nothing."""
    minutes = round(settings.AXES_COOLOFF_TIME.total_seconds() / 60)
    response = render(request, "429.html", {"minutes": minutes}, status=429)
    response.headers["Retry-After"] = str(minutes * 60)
    return response
