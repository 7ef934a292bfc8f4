"""What is a page and what is an API route, by the path alone, since only pages may answer in HTML. Knows no Django."""

from __future__ import annotations

PAGE_PREFIXES = ("/app/", "/help/", "/api/docs/", "/admin/", "/static/")


def is_page(path: str) -> bool:
    """Return whether `path` belongs to people's pages; everything else is API and never answers in HTML."""
    return path == "/" or path.startswith(PAGE_PREFIXES) or path + "/" in PAGE_PREFIXES
