"""The routes of the site, walked as Django resolves them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver


def routes(found: Any = None, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Return each route's path as it is written in the URL conf, and its pattern; the admin's are left out."""
    for pattern in get_resolver().url_patterns if found is None else found:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield path, pattern
        elif isinstance(pattern, URLResolver) and pattern.namespace is None:
            yield from routes(pattern.url_patterns, path)


def pages() -> Iterator[tuple[str, URLPattern]]:
    """Return the pages by name: what stands under `/app/`, and the overview."""
    for path, pattern in routes():
        if pattern.name and (path.startswith("app/") or not path):
            yield pattern.name, pattern
