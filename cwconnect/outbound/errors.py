# ruff: noqa: N818  # the names say what happened, as `requests` does with `Timeout`
"""How a request to the outside can fail. Every message is a sentence for the operator, and holds no credential.

OutboundError
├── InvalidUrl          the URL itself is refused
├── AddressNotAllowed   the name leads to an address that is not public, and whose network was not opened
├── NameNotFound        the name can't be resolved
├── ConnectFailed       nobody answers at the address, or the proxy refuses
├── TlsFailed           no trusted TLS connection under that name
├── TimedOut            connecting, waiting for bytes, or the whole request took too long
├── Dropped             the connection ended before the answer was complete
└── TooLarge            the answer is longer than the limit
"""

from __future__ import annotations

from typing import ClassVar


class OutboundError(Exception):
    """A request that brought no complete answer. `kind` is a short stable word for tables and statistics.

    `sent`: whether a byte of the request may have reached the other side, on whichever connection was tried.
    """

    kind: ClassVar[str] = "outbound"
    sent: bool = False


class InvalidUrl(OutboundError):
    """The URL is no http(s) URL with a host, or carries credentials or odd characters."""

    kind = "invalid-url"


class AddressNotAllowed(OutboundError):
    """At least one address of the host is private, reserved or embeds such an address."""

    kind = "address"


class NameNotFound(OutboundError):
    """The host's name has no address. Its kind is that of `AddressNotAllowed`, since kinds are shown to tenants."""

    kind = "address"


class ConnectFailed(OutboundError):
    """The connection was refused or the host can't be reached."""

    kind = "connect"


class TlsFailed(OutboundError):
    """The handshake failed or the certificate is not trusted for this name."""

    kind = "tls"


class TimedOut(OutboundError):
    """One of the time limits ran out."""

    kind = "timeout"


class Dropped(OutboundError):
    """The connection broke, or the answer was no complete HTTP message."""

    kind = "dropped"


class TooLarge(OutboundError):
    """The answer's body is longer than the limit."""

    kind = "too-large"


class InvalidHeader(ValueError):
    """A header that may not be sent; the message names it."""
