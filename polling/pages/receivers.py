"""A receiver: how its breaker stands, which instances deliver to it, what tries came to and how long they took."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from instances.pages.access import PageRequest, page
from polling.models import DeliveryState, Receiver
from polling.reports.event_hours import HourCount
from polling.reports.hours import chart_of
from polling.reports.receiver_hours import in_all, milliseconds, outcomes_of, receiver_hours

INSTANCES = 50


@page
def receiver_page(request: PageRequest, number: int) -> HttpResponse:
    """Show a receiver of the organization."""
    receiver = Receiver.objects.filter(organization=request.person.organization, pk=number).first()
    if receiver is None:
        raise Http404
    ours = DeliveryState.objects.filter(subscription__instance__organization=request.person.organization)
    states = ours.filter(receiver=receiver, subscription__deleted_at=None)
    shown = list(states.select_related("subscription__instance").order_by("pk")[: INSTANCES + 1])
    context = {
        "receiver": receiver,
        "states": shown[:INSTANCES],
        "more": len(shown) > INSTANCES,
        "here": "deliveries",
        **day_of(receiver, timezone.now()),
    }
    return render(request, "polling/receiver.html", context)


def day_of(receiver: Receiver, now: datetime) -> dict[str, Any]:
    """Return what the charts of a receiver show: outcomes and durations by hour of the last day; three queries."""
    hours = receiver_hours(receiver, now)
    if hours is None:
        return {"hours": None}
    durations = chart_of(
        [HourCount(each.start, pair) for each, pair in zip(hours, milliseconds(hours), strict=True)], ("p50", "p95")
    )
    return {
        "hours": hours,
        "whole": in_all(hours),
        "outcomes": outcomes_of(hours),
        "durations": durations,
        "longest": durations.top / 1000,
    }
