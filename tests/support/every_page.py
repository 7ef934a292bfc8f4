"""Every page there is, enumerated from the URL conf, with the queries that are asked of the long lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote_plus

from django.contrib import admin
from django.db.models import Model
from django.urls import URLPattern, reverse

from instances.models import ApiUser, Instance, Membership
from polling.models import (
    AlertDestination,
    BulkJob,
    Copy,
    DeliveryAttempt,
    Event,
    Notification,
    PollRun,
    Receiver,
    Replay,
    Subscription,
)
from tests.support.filled_service import OFF, Filled
from tests.support.routes import pages

# What is asked of the lists besides; what a page can't do without.
MORE: Mapping[str, tuple[str, ...]] = {
    "search": ("q=lindqvist", "q=nobody", "q=contacts/7", f"q={'f' * 24}", "q=berg", "q=Company+00"),
    "events-page": (
        *("object=11", "kind=DELETED", "delivery=undelivered", "delivery=given+up", "resource=contacts"),
        *("state=given+up&preset=yesterday", "state=waiting&live=1", "preset=today&kind=CREATED"),
        *("q=lindqvist", "q=nobody", "q=nobody&fields=on"),
    ),
    "deliveries-page": (
        *("state=given+up", "state=given+up&preset=yesterday", "state=waiting", "state=delivered&preset=today"),
        *("status=failed", "status=500&tries=1", "status=2xx", "longer=1000", "tries=2", "object=11", "kind=DELETED"),
        *(
            "receiver={receiver}",
            "instance={busiest}&longer=40",
            "instance=Company+0001",
            "resource=contacts",
            "before=900",
        ),
    ),
    "replay-these": (
        *("of=deliveries&state=given+up", "of=deliveries&status=failed", "of=deliveries&longer=10"),
        *("of=deliveries&state=given+up&preset=yesterday", "of=events&kind=DELETED", "of=events&state=waiting"),
        *("of=deliveries&state=delivered", "of=deliveries&tries=1&instance={busiest}", "of=events&object=11"),
    ),
    "instance-delivery": ("state=undelivered",),
    "held-back": ("subscription={subscription}", "before=150", "before=150&subscription={subscription}"),
    "release-delivery": ("subscription={subscription}",),
    "release-progress": ("total=7&subscription={subscription}",),
    "add-alert-destination": ("kind=slack",),
    "audit-page": ("who=account+olga&action=delivery+released", "instance={busiest}", "q=instance", "preset=hour"),
    "instances-page": (
        "q=Company+0001",
        "state=needs+you",
        "resource=contacts",
        "sort=-events",
        "sort=-waiting",
        "page=2",
    ),
    "replay": ("failed=on", "kind=DELETED", "kind=UPDATED&subscription={subscription}"),
    "event-catalogue": ("q=tickets",),
    "poll-progress": ("asked=2026-01-01T00:00:00%2B00:00",),
}


def _within(time: str, *narrowed: str) -> Iterator[str]:
    """Give the queries of a date's filter: from soon on, with no row; 25 days, alone and narrowed; what is older."""
    yield f"{time}__gte={{soon}}"
    span = f"{time}__gte={{long_ago}}&{time}__lt={{tomorrow}}"
    yield from (span, *(f"{query}&{span}" for query in narrowed))
    yield f"{time}__lt={{long_ago}}"


MORE_OF_ADMIN: Mapping[type[Model], tuple[str, ...]] = {
    Event: (
        *("kind__exact=DELETED", "notification__state__exact=failed", "resource=contacts", "instance={busiest}"),
        *_within("polled_at", "kind__exact=DELETED", "instance={busiest}", "instance={last}"),
    ),
    Notification: (
        *("state__exact=failed", "instance={busiest}", "resource=contacts"),
        *_within("created_at", "state__exact=failed", "instance={busiest}", "instance={last}"),
    ),
    DeliveryAttempt: (
        *("outcome=failed", "instance={busiest}"),
        *_within("started_at", "outcome=failed", "instance={busiest}"),
    ),
    PollRun: (
        *("status__exact=failed", "instance={busiest}", "resource=contacts"),
        *_within("started_at", "status__exact=failed", "instance={busiest}"),
    ),
}
SEARCHED = "q=11"
SEARCHED_ELSE: Mapping[type[Model], str] = {Instance: "q=Company+000"}  # ten, among ten or a thousand


@dataclass(frozen=True)
class Page:
    """A page by a name that is the same in every database, and its path in this one."""

    name: str
    path: str


def every_page(filled: Filled) -> Iterator[Page]:
    """Return each page, filled in with the busiest instance and the newest rows; then the admin's."""
    for name, pattern in pages():
        path = reverse(name, kwargs=_arguments(pattern, filled))
        yield from _with_queries(name, path, ("", *MORE.get(name, ())), filled)
    yield from _admin_pages(filled)


def _with_queries(name: str, path: str, queries: tuple[str, ...], filled: Filled) -> Iterator[Page]:
    for query in queries:
        asked = query.format(
            receiver=_newest(Receiver),
            subscription=_newest(Subscription),
            busiest=filled.busiest.pk,
            last=filled.instances[-1].pk,
            **_times(filled.now),
        )
        yield Page(f"{name} {query}".strip(), f"{path}?{asked}" if asked else path)


def _times(now: datetime) -> dict[str, str]:
    """Return the times that queries name, as they stand in a URL."""
    times = {"soon": timedelta(minutes=10), "tomorrow": timedelta(days=1), "long_ago": -timedelta(days=25)}
    return {name: quote_plus(str(now + ahead)) for name, ahead in times.items()}


def _arguments(pattern: URLPattern, filled: Filled) -> dict[str, object]:
    newest: dict[str, type[Model]] = {
        "attempt-curl": DeliveryAttempt,
        "receiver-page": Receiver,
        "event-page": Event,
        "replay-event": Event,
        "replay-progress": Replay,
        "bulk-job": BulkJob,
        "alert-destination": AlertDestination,
    }
    known: dict[str, object] = {"number": filled.busiest.pk, "poll": filled.polls[0].pk, "name": "contacts"}
    known |= {"resource": "invoices", "document": "operations", "copy": _newest(Copy)}
    known["subscription"] = _newest(Subscription)
    if pattern.name == "switch-events":
        known["number"] = filled.instances[OFF].pk  # it asks from when on
    newest |= {"change-role": Membership, "remove-person": Membership, "revoke-api-key": ApiUser}
    if pattern.name in newest:
        known["number"] = _newest(newest[pattern.name])
    return {name: known.get(name, 1) for name in pattern.pattern.converters}


def _newest(model: type[Model]) -> object:
    return model._default_manager.order_by("-pk").values_list("pk", flat=True).first()


def _admin_pages(filled: Filled) -> Iterator[Page]:
    yield Page("admin", reverse("admin:index"))
    for model, site in admin.site._registry.items():
        name = f"admin {model._meta.model_name}"
        way = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        searched = (SEARCHED_ELSE.get(model, SEARCHED),) if site.search_fields else ()
        queries = ("", *searched, *MORE_OF_ADMIN.get(model, ()))
        yield from _with_queries(name, reverse(f"{way}_changelist"), queries, filled)
        newest = _newest(model)
        if newest is not None:
            yield Page(f"{name}, a row", reverse(f"{way}_change", args=[newest]))
