"""The outbound client: every request that leaves the service passes it. Imports no Django.

It connects to public addresses and opened networks only, and to the very address it judged; keeps connect, read and
total time limits and a size limit; follows no redirect; takes nothing from the environment. `client` sends,
`urls` reads and spells, `addresses` judges, `connections` holds the sockets and pools, `kept_alive` uses those that
stand, `proxied` those through a proxy, `answers` reads heads, `headers` merges, `failures` explains, `errors` names
what went wrong.
"""

from cwconnect.outbound.addresses import AddressPolicy
from cwconnect.outbound.client import OutboundClient, Reply
from cwconnect.outbound.errors import (
    AddressNotAllowed,
    ConnectFailed,
    Dropped,
    InvalidHeader,
    InvalidUrl,
    NameNotFound,
    OutboundError,
    TimedOut,
    TlsFailed,
    TooLarge,
)
from cwconnect.outbound.headers import merge_headers
from cwconnect.outbound.limits import CONNECTWISE_LIMITS, NOTIFICATION_LIMITS, Limits

__all__ = [
    "CONNECTWISE_LIMITS",
    "NOTIFICATION_LIMITS",
    "AddressNotAllowed",
    "AddressPolicy",
    "ConnectFailed",
    "Dropped",
    "InvalidHeader",
    "InvalidUrl",
    "Limits",
    "NameNotFound",
    "OutboundClient",
    "OutboundError",
    "Reply",
    "TimedOut",
    "TlsFailed",
    "TooLarge",
    "merge_headers",
]
