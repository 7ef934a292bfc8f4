"""Stored secrets stay with the destination that they were given for: scheme, host and port.

A caller who may change an instance need not know its secrets. Were they kept for whatever address is named next, a
PATCH of `baseUrl` would send the ConnectWise keys to anybody, and a changed callback URL the receiver's password and
headers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cwconnect.outbound.origin import origin_of
from instances.configuration.config_keys import InstanceConfig


@dataclass(frozen=True)
class _Bound:
    """Secrets that are sent to the URL of one field, by the fields they fill."""

    url: str
    secrets: Mapping[str, str]
    place: str


# The signature key is not sent, so it stays whatever the callback URL.
_BOUND = (
    _Bound("base_url", {"public_key": "public.key", "private_key": "private.key"}, "baseUrl"),
    _Bound(
        "callback_url",
        {
            "basic_password": "event.notification.basic.password",
            "callback_headers": "event.notification.callback.headers",
        },
        "event.notification.callback.url",
    ),
)


def secrets_to_give_anew(
    config: InstanceConfig, stored: InstanceConfig | None, *, given: Collection[str]
) -> dict[str, str]:
    """Return what is wrong, by wire key, with secrets that `config` would take from `stored` to another destination.

    `given` are the fields whose whole values the caller sent, no mask among them.
    """
    if stored is None:
        return {}
    return {
        key: f"must be given anew, since {bound.place} names another scheme, host or port than it was given for"
        for bound in _BOUND
        if (there := getattr(config, bound.url)) and origin_of(there) != origin_of(getattr(stored, bound.url))
        for field, key in bound.secrets.items()
        if field not in given and getattr(config, field) and getattr(stored, field)
    }
