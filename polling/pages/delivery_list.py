"""The list of the page *Deliveries*: notifications of all instances by what became of them, as a page and as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.http import QueryDict
from django.http.response import HttpResponseBase
from django.utils import timezone

from cwconnect.core.csv_export import csv_response
from instances.models import Instance
from instances.pages.access import PageRequest, page
from polling.delivery.replay.selection import (
    ANY_FAILURE,
    CLASSES,
    GIVEN_UP,
    NO_ANSWER,
    STATES,
    WAITING,
    Selection,
    is_status,
)
from polling.models import Event, Notification, Receiver, Subscription
from polling.pages.exports import DELIVERY_COLUMNS
from polling.pages.filters import (
    Choice,
    Times,
    chips,
    id_of,
    named_instance,
    number_of,
    presets,
    query_of,
    text_of,
    times_of,
)
from polling.reports.delivery_search import DeliverySearch, all_deliveries, search_deliveries, with_attempts

_LONGEST_ID = 18
_CHOICES = 50
ANSWERS: Mapping[str, str] = {ANY_FAILURE: "any failure", NO_ANSWER: "no answer", **{each: each for each in CLASSES}}
# What is looked for most, one click each.
SHORTCUTS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("Given up today", {"state": GIVEN_UP, "preset": "today"}),
    ("Given up yesterday", {"state": GIVEN_UP, "preset": "yesterday"}),
    ("Failed in the last hour", {"status": ANY_FAILURE, "preset": "hour"}),
    ("Slower than 5 s today", {"longer": "5000", "preset": "today"}),
    ("Waiting", {"state": WAITING}),
)


@dataclass(frozen=True)
class AskedDeliveries:
    """What a query asks for: the search, its times, and the one instance and the receiver that it names."""

    search: DeliverySearch
    times: Times
    one: Instance | None
    receiver: Receiver | None
    subscription: Subscription | None

    @property
    def named(self) -> list[tuple[str, str, str]]:
        """What narrows it beside the times: parameter, words, value."""
        selection = self.search.selection
        return [
            ("state", "State", selection.state),
            ("status", "Answer", ANSWERS.get(selection.status, selection.status)),
            ("longer", "Took longer than", f"{selection.longer:,} ms" if selection.longer else ""),
            ("tries", "Tries, at least", f"{selection.tries:,}" if selection.tries else ""),
            ("kind", "Kind", selection.kind),
            ("resource", "Resource", selection.resource),
            ("object", "Object", selection.object_id),
            ("instance", "Instance", self.one.name if self.one else self.search.called),
            ("subscription", "Subscription", self.subscription.name if self.subscription else ""),
            ("receiver", "Receiver", str(self.receiver or "")),
        ]


def asked_deliveries(request: PageRequest) -> AskedDeliveries:
    """Read the query of the page; what can't be read narrows nothing."""
    given = request.GET
    subscription = _subscription(request)
    one = named_instance(request.person.instances(), text_of(given, "instance"))
    one = subscription.instance if subscription else one
    times, receiver = times_of(given, timezone.now()), _receiver(request)
    to, there = subscription.pk if subscription else 0, receiver.pk if receiver else 0
    search = DeliverySearch(
        selection=replace(_selection(given, times), subscription=to, receiver=there),
        instance_id=one.pk if one else None,
        called="" if one else text_of(given, "instance"),
    )
    return AskedDeliveries(search, times, one, receiver, subscription)


def _selection(given: QueryDict, times: Times) -> Selection:
    state, status, kind = given.get("state", ""), given.get("status", "").strip(), given.get("kind", "")
    return Selection(
        state=state if state in STATES else "",
        status=status if is_status(status) else "",
        longer=number_of(given, "longer"),
        tries=number_of(given, "tries"),
        resource=text_of(given, "resource"),
        kind=kind if kind in Event.Kind.values else "",
        object_id=text_of(given, "object"),
        since=times.since,
        until=times.until,
    )


def _subscription(request: PageRequest) -> Subscription | None:
    """Return the subscription that a link names: it says of which instance as well."""
    number = id_of(request.GET, "subscription")
    if not number:
        return None
    ours = Subscription.objects.filter(instance__organization=request.person.organization, deleted_at=None)
    return ours.filter(pk=number).select_related("instance").first()


def _receiver(request: PageRequest) -> Receiver | None:
    number = number_of(request.GET, "receiver")
    found = Receiver.objects.filter(organization=request.person.organization, pk=number) if number else None
    return found.first() if found is not None else None


def delivery_list(request: PageRequest) -> dict[str, Any]:
    """Return what the list of the page shows, and what it can be narrowed by."""
    asked = asked_deliveries(request)
    before = request.GET.get("before", "")
    is_further = before.isascii() and before.isdecimal() and len(before) <= _LONGEST_ID
    organization = request.person.organization
    found = search_deliveries(organization, asked.search, before=int(before) if is_further else None)
    again = sum(row.state != Notification.State.DISCARDED for row in found.rows)
    instances, called = request.person.instances(), asked.search.called
    return {
        "found": found,
        "rows_shown": with_attempts(found.rows),
        "search": asked.search,
        "selection": asked.search.selection,
        "given": request.GET,
        "older": query_of(request.GET, before=found.next_before) if found.next_before else "",
        "newest_query": query_of(request.GET) if is_further else "",
        "is_further": is_further,
        "as_it_is": query_of(request.GET),
        "states": list(STATES),
        "answers": ANSWERS,
        "kinds": Event.Kind.values,
        "instance": f"{asked.one.name} ({asked.one.pk})" if asked.one else called,
        "unknown": bool(called) and not instances.filter(name__icontains=called).exists(),
        "instances": instances.order_by("name").values_list("pk", "name")[:_CHOICES],
        "presets": presets(request.GET, asked.times),
        "shortcuts": shortcuts(request.GET),
        "times": asked.times,
        "chips": chips(request.GET, asked.times, asked.named),
        "carried": None if found.next_before or is_further else again,
    }


def shortcuts(given: QueryDict) -> list[Choice]:
    """Return what is looked for most."""
    shown = {name: value for name, value in given.items() if value}
    return [Choice(label, "?" + query_of(QueryDict(), **query), shown == query) for label, query in SHORTCUTS]


@page
def deliveries_csv(request: PageRequest) -> HttpResponseBase:
    """Stream all notifications that match as CSV, newest first."""
    rows = all_deliveries(request.person.organization, asked_deliveries(request).search)
    return csv_response(f"deliveries-{timezone.localdate():%Y-%m-%d}", DELIVERY_COLUMNS, rows)
