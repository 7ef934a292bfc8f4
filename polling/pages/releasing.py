"""The pages on which a delivery that is paused is released, and followed: of one subscription, or of all of them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.db.models.lookups import In
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from instances.models import Instance
from instances.pages.access import PageRequest, operator_page, page
from polling.delivery.pausing import may_send, release_all_of, subscriptions_of
from polling.delivery.pausing import release as release_one
from polling.models import DeliveryState, Notification, Subscription
from polling.models.deliveries import TO
from polling.pages.filters import id_of
from polling.pages.refreshing import refreshed_part
from polling.pages.subscription_edit import own_subscription
from polling.reports.waiting import undelivered_of


@operator_page
def release(request: PageRequest, number: int) -> HttpResponse:
    """Say what a release sends and where, of the `subscription` asked for or of all; release; then show how it goes."""
    instance = request.person.instance(number)
    chosen = _chosen(request, instance)
    if request.method == "POST":
        now = timezone.now()
        count = release_one(chosen, now) if chosen else release_all_of(instance, now)
        return redirect(f"{request.path}/progress?total={count}{_narrowed(chosen)}")
    count = _undelivered(instance, chosen).count()
    return render(request, "polling/release.html", _context(instance, chosen) | {"count": count})


@page
def release_progress(request: PageRequest, number: int) -> HttpResponse:
    """Show how many of the released notifications are still to be sent."""
    instance = request.person.instance(number)
    chosen = _chosen(request, instance)
    total = request.GET.get("total", "")
    left = _undelivered(instance, chosen).count()
    asked = max(int(total), left) if total.isdecimal() and len(total) < 10 else left
    context = _context(instance, chosen) | {"left": left, "total": asked, "done": asked - left}
    if request.htmx:
        return refreshed_part(request, "polling/parts/release_progress.html", context)
    return render(request, "polling/release_progress.html", context)


def _chosen(request: PageRequest, instance: Instance) -> Subscription | None:
    """Return the subscription that the query names; None where it names none, 404 where there is no such."""
    number = id_of(request.GET, "subscription")
    return own_subscription(instance, number) if number else None


def _narrowed(chosen: Subscription | None) -> str:
    return f"&subscription={chosen.pk}" if chosen else ""


def _undelivered(instance: Instance, chosen: Subscription | None) -> QuerySet[Notification]:
    rows = undelivered_of(instance=instance)
    return rows if chosen is None else rows.filter(In(TO, [chosen.pk]))


def _context(instance: Instance, chosen: Subscription | None) -> dict[str, Any]:
    """Return what both pages show: where it goes (blank: nowhere; None: to several), whether it may, and is paused."""
    ours = [chosen] if chosen else subscriptions_of(instance)
    paused = DeliveryState.objects.filter(pk__in=[each.pk for each in ours], paused_at__isnull=False)
    return {
        "instance": instance,
        "chosen": chosen,
        "narrowed": _narrowed(chosen),
        "url": ours[0].notification_settings.callback_url if len(ours) == 1 else None,
        "sends": any(may_send(each) for each in ours),
        "delivery": paused.order_by("paused_at").first(),
        "here": "deliveries",
    }
