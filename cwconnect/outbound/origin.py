"""Where a URL leads, in one spelling: `HTTPS://Example.com./a` and `https://example.com:443` have one origin. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port; 0 where no port is known. ValueError for a URL that can't be read."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
