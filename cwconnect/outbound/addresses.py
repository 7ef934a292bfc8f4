"""Which addresses the service may connect to: public ones, and those in networks the operator opened.

The tables are IANA's special-purpose registries, kept here because `ipaddress.is_private` differs between
Python's patch releases. IPv6 is judged the other way round: only global unicast (2000::/3) is public at all.
An address that carries an IPv4 address is judged by that one too, since a gateway may take it out again.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from cwconnect.outbound.errors import AddressNotAllowed, NameNotFound, TimedOut

log = logging.getLogger(__name__)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), words)
    for network, words in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "a carrier's shared address (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's metadata service"),  # Azure's, in public space
        ("169.254.169.254/32", "a cloud's metadata service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved for documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "reserved for benchmarks"),
        ("198.51.100.0/24", "reserved for documentation"),
        ("203.0.113.0/24", "reserved for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "reserved for documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "reserved for documentation"),
        ("fd00:ec2::254/128", "a cloud's metadata service"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_UNICAST = ip_network("2000::/3")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True)
class Endpoint:
    """Where a socket can connect to: what `getaddrinfo` gave, of which only the address was looked at."""

    family: int
    address: str
    sockaddr: tuple[str, int] | tuple[str, int, int, int]


@dataclass(frozen=True)
class AddressPolicy:
    """Public addresses, and whatever lies in `open_networks`."""

    open_networks: tuple[Network, ...] = ()

    def refusal(self, address: str) -> str | None:
        """Say why an address, as text, may not be connected to; None if it may."""
        ip = ip_address(address.partition("%")[0])
        for candidate in (ip, *_embedded_addresses(ip)):
            kind = _special_kind(candidate)
            if kind and not any(candidate in network for network in self.open_networks):
                return f"{address} is {kind}" if candidate == ip else f"{address} holds {candidate}, which is {kind}"
        return None

    def vet(self, host: str, endpoints: Iterable[Endpoint]) -> None:
        """Raise `AddressNotAllowed` unless every endpoint is allowed: a name may not hide a private address."""
        for endpoint in endpoints:
            if reason := self.refusal(endpoint.address):
                log.warning("No request goes to %s: %s, and CWCONNECT_PRIVATE_NETWORKS does not open it.", host, reason)
                raise AddressNotAllowed(words_of_no_way(host))


def words_of_no_way(host: str) -> str:
    """Say that nothing is sent to a host, without a word that shows its caller which names there are inside.

    A name without an address and one with a private address, whichever it is, are refused in the same words; the log
    has more, for the operator.
    """
    return (
        f"No request goes to {host}: it has no address, or one that is not public. The service's log says which; its "
        "operator opens networks inside by CWCONNECT_PRIVATE_NETWORKS."
    )


def address_of(host: str) -> Address | None:
    """Return the address that a host is, in any spelling that systems read (`127.1`, `0x7f000001`); None for a name."""
    text = host.strip("[]").removesuffix(".")
    try:
        return ip_address(text)
    except ValueError:
        pass  # it may be one of the older spellings
    try:
        return IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        return None


def resolve(host: str, port: int, *, timeout: float, called: str = "") -> list[Endpoint]:
    """Ask the system for all addresses of a host, for `timeout` seconds at most; errors call it `called` if given.

    Raises `NameNotFound` or `TimedOut`. Spellings like `127.1` or `0x7f000001` are left to the system, so that
    what is judged is what would be connected to.
    """
    answer: list[Endpoint | Exception] = []
    if address_of(host):
        _resolve(host, port, answer)
    else:
        # getaddrinfo has no time limit of its own; a thread that outlives ours ends by itself.
        thread = threading.Thread(target=_resolve, args=(host, port, answer), daemon=True)
        thread.start()
        thread.join(timeout)
        if thread.is_alive():
            raise TimedOut(f"The name of {called or host} was not resolved within {timeout:.0f} s.")
    endpoints = [item for item in answer if isinstance(item, Endpoint)]
    if not endpoints:
        log.warning("The name %s can't be resolved.", host)
        raise NameNotFound(f"The name of {called} can't be resolved." if called else words_of_no_way(host))
    return endpoints


def _resolve(host: str, port: int, answer: list[Endpoint | Exception]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: labels that are empty or too long
        answer.append(error)
        return
    unique = {(family, sockaddr): None for family, _, _, _, sockaddr in found if family in _FAMILIES}
    answer.extend(Endpoint(family, str(sockaddr[0]), sockaddr) for family, sockaddr in unique)  # type: ignore[arg-type]  # typeshed's union has a form for builds without IPv6


def _special_kind(ip: Address) -> str | None:
    for network, words in _SPECIAL:
        if ip in network:
            return words
    if isinstance(ip, IPv6Address) and ip not in _GLOBAL_UNICAST:
        return "reserved"
    return None


def _embedded_addresses(ip: Address) -> Iterator[IPv4Address]:
    if not isinstance(ip, IPv6Address) or int(ip) <= 1:
        return
    number, low = int(ip), int(ip) & 0xFFFFFFFF
    if number >> 32 in (0, 0xFFFF, 0xFFFF0000, 0x64FF9B << 64) or number >> 80 == 0x64FF9B0001:
        yield IPv4Address(low)  # compatible, mapped, translated, NAT64 (RFC 4291, 2765, 6052, 8215)
    elif number >> 112 == 0x2002:
        yield IPv4Address(number >> 80 & 0xFFFFFFFF)  # 6to4 (RFC 3056)
    elif number >> 96 == 0x20010000:
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)  # Teredo's server (RFC 4380)
        yield IPv4Address(low ^ 0xFFFFFFFF)  # and its client, written inverted
    elif number >> 32 & 0xFDFFFFFF == 0x5EFE:
        yield IPv4Address(low)  # ISATAP (RFC 5214)
