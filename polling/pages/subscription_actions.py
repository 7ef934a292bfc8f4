"""What is done with one subscription: a test sent, its delivery paused, itself deleted."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from cwconnect.core.errors import DomainError
from instances.pages.access import PageRequest, operator_page, page
from polling.delivery.pausing import pause_by_hand
from polling.pages.shared import tested
from polling.pages.subscription_edit import own_subscription
from polling.reports.subscription_cards import in_numbers
from polling.subscriptions.changes import delete_subscription
from polling.subscriptions.status import statuses


@require_POST
@page
def test_subscription(request: PageRequest, number: int, subscription: int) -> HttpResponse:
    """Send a test notification to a subscription as it is stored; show request, response and time taken."""
    return tested(request, own_subscription(request.person.instance(number), subscription))


@require_POST
@page
def pause_subscription(request: PageRequest, number: int, subscription: int) -> HttpResponse:
    """Pause delivery to a subscription; what comes is kept."""
    found = own_subscription(request.person.instance(number), subscription)
    if pause_by_hand(found, timezone.now()):
        messages.success(request, f"Delivery to {found.name} is paused. What comes is kept until you release it.")
    else:
        messages.info(request, f"Delivery to {found.name} is paused already.")
    return redirect("instance-delivery", number)


@operator_page
def remove_subscription(request: PageRequest, number: int, subscription: int) -> HttpResponse:
    """Say what is lost with a subscription; delete it."""
    instance = request.person.instance(number)
    found = own_subscription(instance, subscription)
    if request.method == "POST":
        try:
            delete_subscription(found, timezone.now())
        except DomainError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, f"{found.name} is deleted: nothing is sent to it any more.")
        return redirect("instance-delivery", number)
    (status,) = statuses([found])
    waiting = in_numbers(status.waiting, "notification")
    words = [
        f"{waiting} not delivered yet: what waits is discarded." if status.waiting else "Nothing waits for it.",
        "Nothing more is sent to it; an attempt under way may still arrive. Its URL, headers, login and signature key "
        "are forgotten. Events stay in the log, and other receivers hear of them as before.",
    ]
    context = {
        "question": f"Delete the receiver {found.name} of {instance.name}?",
        "words": words,
        "button": f"Delete {found.name}" + (f" and discard {waiting}" if status.waiting else ""),
        "fields": {},
        "back": reverse("instance-delivery", args=[number]),
        "here": "instances",
    }
    return render(request, "instances/ask.html", context)
