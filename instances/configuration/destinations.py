"""Stored secrets stay with the destination that they were given for: scheme, host and port.

A caller who may change an instance need not know its secrets. Were they kept for whatever address is named next, a
PATCH of `baseUrl` would send the ConnectWise keys to anybody, and a changed callback URL the receiver's password and
headers.
"""

from __future__ import annotations

from collections.abc import Collection

from cwconnect.outbound.origin import origin_of
from instances.configuration.config_keys import KEYS, InstanceConfig

GIVE_ANEW = "must be given anew, since {} names another scheme, host or port than it was given for"

# The signature key is not sent, so it stays whatever the callback URL.
_URLS = [url for url in KEYS if any(key.sent_to == url.name for key in KEYS)]


def secrets_to_give_anew(
    config: InstanceConfig, stored: InstanceConfig | None, *, given: Collection[str]
) -> dict[str, str]:
    """Return what is wrong, by wire key, with secrets that `config` would take from `stored` to another destination.

    `given` are the fields whose whole values the caller sent, no mask among them.
    """
    if stored is None:
        return {}
    return {
        key.name: GIVE_ANEW.format(url.name)
        for url in _URLS
        if is_elsewhere(getattr(config, url.field), getattr(stored, url.field))
        for key in KEYS
        if key.sent_to == url.name
        if key.field not in given and getattr(config, key.field) and getattr(stored, key.field)
    }


def is_elsewhere(url: str, stored: str) -> bool:
    """Whether a URL that is wanted names another destination than the stored one; without one nothing is sent."""
    return bool(url) and origin_of(url) != origin_of(stored)
