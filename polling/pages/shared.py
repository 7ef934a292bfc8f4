"""What several pages share."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from cwconnect.core.errors import DomainError
from instances.models import Instance, ResourcePoll
from instances.pages.access import PageRequest
from polling.delivery.test_notification import send_test
from polling.models import Subscription


def own_poll(request: PageRequest, number: int, poll: int) -> ResourcePoll:
    """Return a poll of an instance of the person's organization; 404 for any other."""
    ours = ResourcePoll.objects.filter(instance__organization=request.person.organization)
    found = ours.filter(pk=poll, instance_id=number).select_related("instance").first()
    if found is None:
        raise Http404
    return found


def first_resource(instance: Instance) -> str:
    """Return a resource that a sample can be sent of; DomainError where none is polled."""
    name = instance.resource_polls.order_by("pk").values_list("name", flat=True).first()
    if name is None:
        raise DomainError("Nothing is watched, so there is nothing to send a sample of.")
    return name


def tested(request: PageRequest, subscription: Subscription) -> HttpResponse:
    """Send a test notification to a subscription as it is stored; show request, response and time taken."""
    try:
        result = send_test(subscription, first_resource(subscription.instance), timezone.now())
    except DomainError as error:
        return render(request, "polling/parts/test_notification.html", {"refusal": error.message})
    return render(request, "polling/parts/test_notification.html", {"result": result})


def moment_of(text: str) -> datetime | None:
    """Return in UTC what a field for date and time sends, in the viewer's zone; None if it can't be read."""
    try:
        found = parse_datetime(text)
        if found is None:
            return None
        return (timezone.make_aware(found) if timezone.is_naive(found) else found).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
