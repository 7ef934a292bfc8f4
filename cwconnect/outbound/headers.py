"""Request headers that users choose: what may be added to ours, and what may not."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from cwconnect.outbound.errors import InvalidHeader

# RFC 9110: a token; and values of visible characters, spaces and tabs.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_RESERVED = frozenset(
    [
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade"),
        *("expect", "proxy-connection", "proxy-authorization"),
    ]
)


def basic(user: str, password: str) -> str:
    """Return the value of an `Authorization` header (RFC 7617), in UTF-8."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def merge_headers(ours: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """Add a user's headers to ours; raises `InvalidHeader` for one that is malformed, reserved or already ours."""
    taken = {name.lower() for name in ours}
    merged = dict(ours)
    for name, value in extra.items():
        _check(name, value)
        if name.lower() in _RESERVED or name.lower() in taken:
            raise InvalidHeader(f"The header {name} is set by the service and can't be replaced.")
        taken.add(name.lower())
        merged[name] = value.strip(" \t")
    return merged


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidHeader(f"{name!r} is no name of a header.")
    if not _VALUE.fullmatch(value):
        raise InvalidHeader(f"The value of the header {name} has a line break or a character that can't be sent.")
