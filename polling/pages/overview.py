"""The overview: is everything well, and if not, who is needed where?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from instances.models import Instance, ResourcePoll
from instances.pages.access import PageRequest, page
from polling.pages.refreshing import refreshed_part
from polling.reports.hours import chart_of, hours_of
from polling.reports.overview import ActionItem, action_items, engine, instance_rows

SHOWN = 20


@page
def overview(request: PageRequest) -> HttpResponse:
    """Show how the organization's instances fare; htmx asks for its changing part every few seconds."""
    if request.htmx:
        return refreshed_part(request, "polling/parts/overview.html", _context(request))
    return render(request, "polling/overview.html", _context(request))


def _context(request: PageRequest) -> dict[str, Any]:
    now, organization = timezone.now(), request.person.organization
    needed = action_items(organization)
    shown = _shown(request, needed)
    return {
        "here": "overview",
        "engine": engine(organization, now),
        "action_items": needed,
        "rows": instance_rows(shown, now),
        "chart": chart_of(hours_of(organization, now)),
        "instances": request.person.instances().count(),
        "resources": ResourcePoll.objects.filter(instance__organization=organization).count(),
        "now": now,
    }


def _shown(request: PageRequest, needed: Sequence[ActionItem]) -> list[Instance]:
    """Return those that need somebody, then the newest, as many as fit."""
    first = list({item.instance.pk: item.instance for item in needed}.values())[:SHOWN]
    rest = request.person.instances().exclude(pk__in=[instance.pk for instance in first]).order_by("-pk")
    return first + list(rest[: SHOWN - len(first)])
