"""Networks from which something may be asked, as people write them: in CIDR form, IPv4 and IPv6. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from cwconnect.core.client_ip import Address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST = 100  # of one list
_LONGEST = 50  # characters: IPv6's longest spelling, mapped from IPv4, with its prefix
_CIDR = re.compile(r"[0-9A-Fa-f.:]+(?:/[0-9]{1,3})?")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2: IPv4 as an IPv6 socket writes it


def read_networks(texts: Iterable[str]) -> list[str]:
    """Return networks as they are kept: each once, in its shortest form. ValueError says which is none, and why.

    An address stands for itself alone. Of IPv4 in IPv6's form the IPv4 network is kept: callers are known by that.
    """
    found: dict[str, None] = {}
    for number, text in enumerate(texts, 1):
        if number > MOST:
            raise ValueError(f"holds more than {MOST} networks")
        found[str(_read(text.strip()))] = None
    return list(found)


def _read(text: str) -> Network:
    if "%" in text:
        raise ValueError(f"{_shown(text)} has a zone, which only the machine that wrote it knows")
    if len(text) > _LONGEST or not _CIDR.fullmatch(text):
        raise ValueError(f"{_shown(text)} is no network in CIDR form, such as 203.0.113.0/24 or 2001:db8::/32")
    try:
        return _plain(ipaddress.ip_network(text))
    except ValueError:
        pass  # said below, with what would be one
    try:
        meant = _plain(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError(
            f"{_shown(text)} is no network in CIDR form, such as 203.0.113.0/24 or 2001:db8::/32"
        ) from None
    raise ValueError(f"{text} is an address within a network: {meant} is that network")


def _plain(network: Network) -> Network:
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        return ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


def _shown(text: str) -> str:
    """Return a text as a message may hold it: short, and nothing in it that nobody sees."""
    return ascii(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def holds(networks: Sequence[str], address: Address | None) -> bool:
    """Return whether an address is in one of the networks; none at all are all there are.

    An address that nobody knows, as of a socket without one, is in no network.
    """
    if not networks:
        return True
    return address is not None and any(address in network for network in _opened(tuple(networks)))


def are_within(inner: Sequence[str], outer: Sequence[str]) -> bool:
    """Return whether each address of `inner` is one of `outer` too, network by network; no networks are all."""
    if not outer:
        return True
    wide = _opened(tuple(outer))
    return bool(inner) and all(
        any(type(each) is type(network) and network.subnet_of(each) for each in wide)  # type: ignore[arg-type]  # of one version
        for network in _opened(tuple(inner))
    )


@lru_cache(maxsize=256)  # read at each request, and seldom others
def _opened(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in networks)
