"""The page *Held back* of an instance: the events that a filter of a subscription did not let pass, newest first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from instances.pages.access import PageRequest, page
from polling.delivery.pausing import subscriptions_of
from polling.models import Event, SubscriptionEvent
from polling.pages.filters import id_of
from polling.reports.held_events import newest_held

PER_PAGE = 25


@dataclass(frozen=True)
class HeldRow:
    """An event, and by which condition it was held back from which subscriptions."""

    event: Event
    held: Sequence[tuple[str, str]]


@page
def held_back(request: PageRequest, number: int) -> HttpResponse:
    """List what was held back, of all subscriptions or of the one asked for."""
    instance = request.person.instance(number)
    ours = subscriptions_of(instance)
    asked, before = id_of(request.GET, "subscription"), id_of(request.GET, "before")
    chosen = next((each for each in ours if each.pk == asked), None)
    looked_at = {each.pk: each.name for each in ([chosen] if chosen else ours)}
    ids = newest_held(list(looked_at), before=before or None, most=PER_PAGE + 1)
    context = {
        "instance": instance,
        "rows": _rows(ids[:PER_PAGE], looked_at),
        "subscriptions": ours,
        "filtered": any(each.filter for each in ([chosen] if chosen else ours)),
        "held_before": any(each.held for each in ([chosen] if chosen else ours)),
        "chosen": chosen,
        "is_first": not before,
        "older": ids[PER_PAGE - 1] if len(ids) > PER_PAGE else None,
        "tab": "delivery",
        "here": "instances",
    }
    return render(request, "polling/held_back.html", context)


def _rows(event_ids: Collection[int], names: Mapping[int, str]) -> list[HeldRow]:
    """Return these events, newest first, with what held them back: two queries."""
    events: Mapping[int, Any] = Event.objects.defer("record", "changes").in_bulk(list(event_ids))
    held: dict[int, list[tuple[str, str]]] = {key: [] for key in event_ids}
    rows = SubscriptionEvent.objects.filter(event__in=list(event_ids), subscription__in=list(names), notification=None)
    for key, subscription, by in rows.order_by("subscription_id").values_list("event_id", "subscription_id", "held_by"):
        held[key].append((names[subscription], by))
    return [HeldRow(events[key], held[key]) for key in event_ids if key in events]
