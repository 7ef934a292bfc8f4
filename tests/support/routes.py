"""The routes of the site, walked as Django resolves them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

_ARGUMENT = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*(?:\([^()]*\)[^()]*)*\))*\)|<(?:\w+:)?(\w+)>")
# What arguments that are no numbers take, by name.
VALUES = {"element": "connectwisecrmrest", "hub": "crm", "resource": "contacts", "key": "company", "app_label": "auth"}
VALUES |= {"transformation": "people"}
VALUES |= {"pk": "1"}  # of allauth's views
VALUES |= {"document": "receivers", "tag": "instances", "file": "docs/receivers/receiver.py"}


def routes(found: Any = None, before: str = "", *, of_admin: bool = False) -> Iterator[tuple[str, URLPattern]]:
    """Return each route's path as it is written in the URL conf, and its pattern; the admin's only `of_admin`."""
    for pattern in get_resolver().url_patterns if found is None else found:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield path, pattern
        elif isinstance(pattern, URLResolver) and (of_admin or pattern.namespace is None):
            yield from routes(pattern.url_patterns, path, of_admin=of_admin)


def pages() -> Iterator[tuple[str, URLPattern]]:
    """Return the pages by name: what stands under `/app/`, and the overview."""
    for path, pattern in routes():
        if pattern.name and (path.startswith("app/") or not path):
            yield pattern.name, pattern


def templates() -> Iterator[str]:
    """Return the path of every route there is, the admin's too: its arguments stand in it yet, its anchors don't."""
    for path, _ in routes(of_admin=True):
        yield "/" + path.replace("^", "").replace("/?$", "").replace("$", "")


def filled(template: str, value: Callable[[str], object]) -> str:
    """Return the path that comes of a `template`, each argument filled in with its `value`, asked for by name."""
    return _ARGUMENT.sub(lambda argument: str(value(argument[1] or argument[2])), template)


def paths() -> Iterator[str]:
    """Return a path for each route of the site: its arguments filled in by their names, else with the number 1."""
    for template in templates():
        yield filled(template, lambda name: VALUES.get(name, 1))
