"""An attempt of a delivery: as a command that makes it again by hand."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import render

from instances.pages.access import PageRequest, page
from polling.models import DeliveryAttempt
from polling.reports.curl import LEFT_OUT, curl_of


@page
def attempt_curl(request: PageRequest, number: int) -> HttpResponse:
    """Show an attempt as a command of curl, its secrets left out: as a part of the event's page, or as a page."""
    ours = DeliveryAttempt.objects.filter(notification__instance__organization=request.person.organization)
    living = ours.exclude(notification__subscription__deleted_at__isnull=False)
    attempt = living.filter(pk=number).select_related("notification__shared_body").first()
    if attempt is None:
        raise Http404
    command = curl_of(attempt.url, attempt.request_headers, attempt.notification.sent)
    context = {"attempt": attempt, "command": command, "left_out": LEFT_OUT, "here": "events"}
    return render(request, "polling/parts/curl.html" if request.htmx else "polling/curl.html", context)
