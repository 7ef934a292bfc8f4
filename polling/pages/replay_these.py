"""Sending again what *Events* or *Deliveries* show, across instances: what that is, and a bulk job that does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from cwconnect.core.errors import DomainError
from instances.pages.access import PageRequest, operator_page
from polling.bulk.jobs import start_bulk_job
from polling.bulk.registry import find_action
from polling.bulk.replaying import REPLAY
from polling.models import DeliveryState, Subscription
from polling.pages.chips import Chip
from polling.pages.delivery_list import asked_deliveries
from polling.pages.events import asked_events, carrying
from polling.pages.filters import chips, query_of
from polling.reports.delivery_issues import PAUSED
from polling.reports.delivery_search import Counted, DeliverySearch, count_deliveries

SHOWN = 50
EVENTS = "events"


@operator_page
def replay_these(request: PageRequest) -> HttpResponse:
    """Say how many notifications the filter of a list means, of which instances and receivers; have them sent again.

    What is sent is what was counted: the ids between which that lay come back with the form.
    """
    of_events = request.GET.get("of") == EVENTS
    search, chosen = _events(request) if of_events else _deliveries(request)
    counted = _counted(request, search) if search.narrows else None
    if request.method == "POST" and counted is not None:
        return _start(request, search, counted)
    back = ("events-page" if of_events else "deliveries-page", query_of(request.GET, "of"))
    context: dict[str, Any] = {"counted": counted, "chips": chosen, "back": back, "of_events": of_events}
    if counted is not None:
        context |= {"rows": counted.by_subscription[:SHOWN], "more": counted.by_subscription[SHOWN:]}
        subscriptions = [subscription for subscription, _ in counted.by_subscription]
        context |= _resting(subscriptions)
        context["receivers"] = len({each.notification_settings.callback_url for each in subscriptions} - {""})
    return render(request, "polling/replay_these.html", context | {"here": "events" if of_events else "deliveries"})


def _resting(subscriptions: Sequence[Subscription]) -> dict[str, int]:
    """Return of how many instances delivery is paused, and of how many others the events are off, or go nowhere."""
    stopped = DeliveryState.objects.filter(PAUSED, subscription__in=[each.pk for each in subscriptions])
    paused = set(stopped.values_list("subscription__instance_id", flat=True))
    others = [each for each in subscriptions if each.instance_id not in paused]
    off = {each.instance_id for each in others if not each.instance.watching}
    nowhere = {each.instance_id for each in others if not each.notification_settings.callback_url}
    return {"paused": len(paused), "off": len(off), "nowhere": len(nowhere)}


def _counted(request: PageRequest, search: DeliverySearch) -> Counted:
    """Count what the search means; once it is sent, of what was counted before it was."""
    if request.method == "POST":
        first, last = _id_of(request, "first"), _id_of(request, "last")
        search = replace(search, selection=replace(search.selection, first_id=first, last_id=last))
    return count_deliveries(request.person.organization, search)


def _id_of(request: PageRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _start(request: PageRequest, search: DeliverySearch, counted: Counted) -> HttpResponse:
    try:
        keys = [instance.pk for instance in counted.instances]
        # Nothing older than what was counted, and nothing that came since.
        selection = replace(search.selection, first_id=counted.first_id, last_id=counted.last_id)
        arguments = {"selection": selection.as_json(), "notifications": counted.total}
        job = start_bulk_job(request.person, find_action(REPLAY), keys, arguments)
    except DomainError as error:
        messages.error(request, f"Nothing was sent. {error.message}")
        return redirect(request.get_full_path())
    return redirect("bulk-job", job.pk)


def _deliveries(request: PageRequest) -> tuple[DeliverySearch, list[Chip]]:
    asked = asked_deliveries(request)
    return asked.search, chips(request.GET, asked.times, asked.named)


def _events(request: PageRequest) -> tuple[DeliverySearch, list[Chip]]:
    asked = asked_events(request)
    return carrying(asked.search), chips(request.GET, asked.times, asked.named)
