"""The client's address, and the network by which guesses of passwords and secrets are counted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
UNKNOWN = "::"  # the network of whoever has no address that can be read: these are counted together
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: IPv4 clients, as a translator writes them

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


def client_network(request: HttpRequest | Request) -> str:
    """Return by what the caller's guesses are counted: an IPv4 address, or an IPv6 one's first 64 bits (`2001:db8::`).

    A customer of any provider has 2^64 addresses at least (RFC 6177), and a new one for each guess.
    """
    address = address_in(client_address(request))
    if address is None:
        return UNKNOWN
    if address.version == 4 or address in _NAT64:
        return str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)).network_address)


def _walk(peer: Address | None, hops: Iterable[Address | None]) -> Address | None:
    """Return the first address that no trusted proxy has, from the peer on; what can't be read ends the walk."""
    client, trusting = peer, _is_proxy(peer)
    for hop in hops:
        if not trusting or hop is None:
            break
        client, trusting = hop, bool(settings.TRUSTED_PROXIES) and _is_proxy(hop)
    return client


def _is_proxy(address: Address | None) -> bool:
    """Return whether what it says of others counts. None is a socket in the file system, which proxies alone use."""
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
