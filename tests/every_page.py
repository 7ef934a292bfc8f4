"""Every page there is, enumerated from the URL conf, with the queries that are asked of the long lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from polling.models import DeliveryAttempt, Event, Notification, PollRun, Replay
from tests.filling import Filled

# What is asked of the long lists besides.
MORE = {
    "events-page": ("object=11", "kind=DELETED", "delivery=undelivered", "delivery=given+up", "resource=contacts"),
    "instance-delivery": ("state=undelivered",),
    "instances-page": ("q=Company+0001",),
    "replay": ("failed=on", "kind=DELETED"),
}
SEARCHED = "q=11"
MORE_OF_ADMIN: Mapping[type[Model], tuple[str, ...]] = {
    Event: ("kind__exact=CREATED", "notification__state__exact=failed", "resource=contacts", "instance=1"),
    Notification: ("state__exact=failed", "state__exact=pending", "instance=1", "resource=contacts"),
    DeliveryAttempt: ("outcome=failed", "instance=1", "outcome=without+an+end"),
    PollRun: ("status__exact=failed", "instance=1", "resource=contacts", "kind__exact=sweep"),
}


def every_page(filled: Filled) -> Iterator[str]:
    """Give the path of each page, filled in with the busiest instance and the newest rows; then the admin's."""
    for route, pattern in _patterns("", get_resolver().url_patterns):
        if pattern.name is not None and (route == "" or route.startswith("app/")):
            path = reverse(pattern.name, kwargs=_arguments(pattern, filled))
            yield path
            yield from (f"{path}?{query}" for query in MORE.get(pattern.name, ()))
    yield from _admin_pages()


def _patterns(prefix: str, found: list[Any]) -> Iterator[tuple[str, URLPattern]]:
    for pattern in found:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern
        elif isinstance(pattern, URLResolver):
            yield from _patterns(route, pattern.url_patterns)


def _arguments(pattern: URLPattern, filled: Filled) -> dict[str, object]:
    newest: dict[str, type[Model]] = {"event-page": Event, "replay-event": Event, "replay-progress": Replay}
    names = pattern.pattern.converters
    known: dict[str, object] = {"number": filled.busiest.pk, "poll": filled.polls[0].pk, "name": "contacts"}
    if pattern.name in newest:
        known["number"] = _newest(newest[pattern.name])
    return {name: known.get(name, 1) for name in names}


def _newest(model: type[Model]) -> object:
    return model._default_manager.order_by("-pk").values_list("pk", flat=True).first()


def _admin_pages() -> Iterator[str]:
    yield reverse("admin:index")
    for model, site in admin.site._registry.items():
        named = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        path = reverse(f"{named}_changelist")
        yield path
        if site.search_fields:
            yield f"{path}?{SEARCHED}"
        yield from (f"{path}?{query}" for query in MORE_OF_ADMIN.get(model, ()))
        newest = _newest(model)
        if newest is not None:
            yield reverse(f"{named}_change", args=[newest])
