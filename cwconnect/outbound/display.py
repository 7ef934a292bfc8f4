"""How URLs are shown to people: on pages, in the admin, in warnings and logs."""

from __future__ import annotations


def bare_url(url: str) -> str:
    """Write a URL without its query, which may hold a secret."""
    base, mark, _ = url.partition("?")
    return f"{base}?…" if mark else base
