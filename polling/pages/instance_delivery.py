"""The tab *Delivery* of an instance: a card for each of its subscriptions, and the notifications of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from instances.models import Instance
from instances.pages.access import PageRequest, page
from polling.delivery.carried import events_of
from polling.models import Event, Notification
from polling.pages.paging import Shown, page_of
from polling.pages.receivers import day_of
from polling.pages.refreshing import refreshed_part
from polling.reports.given_up import given_up
from polling.reports.subscription_cards import Card, cards_of
from polling.reports.waiting import undelivered_of

PER_PAGE = 25


@page
def instance_delivery(request: PageRequest, number: int) -> HttpResponse:
    """Show an instance's subscriptions and its notifications, newest first; `state=undelivered` those that wait."""
    instance, now = request.person.instance(number), timezone.now()
    cards = cards_of(instance, now)
    context: dict[str, Any] = {"instance": instance, "cards": cards}
    if request.htmx:
        return refreshed_part(request, "polling/parts/subscription_cards.html", context)
    waiting = request.GET.get("state") == "undelivered"
    shown = _notifications(request, instance, waiting=waiting)
    alone = cards[0].status.receiver if len(cards) == 1 else None
    context |= {
        "shown": shown,
        "sent": _sent(shown.rows, cards),
        "waiting": waiting,
        "given_up": given_up(request.person.organization, now, instance),
        "receiver": alone,
        "tab": "delivery",
        "here": "instances",
        **(day_of(alone, now) if alone else {}),
    }
    return render(request, "polling/instance_delivery.html", context)


def _notifications(request: PageRequest, instance: Instance, *, waiting: bool) -> Shown[Notification]:
    rows = undelivered_of(instance=instance) if waiting else Notification.objects.filter(instance=instance)
    return page_of(rows.defer("body").order_by("-pk"), request.GET, PER_PAGE)


def _sent(
    notifications: Sequence[Notification], cards: Sequence[Card]
) -> list[tuple[Notification, Sequence[Event], str]]:
    """Return notifications with the events that they carry and the subscription that each goes to: two queries."""
    carried = events_of(each.pk for each in notifications)
    names = {card.subscription.pk: card.subscription.name for card in cards}
    return [(each, carried.get(each.pk, ()), names.get(each.to, "one that is deleted")) for each in notifications]
