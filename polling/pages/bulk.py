"""Bulk jobs: started from a selection of instances, followed on a page of their own, and found again in a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from cwconnect.core.errors import DomainError
from instances.pages.access import PageRequest, operator_page, page
from polling.bulk.jobs import start_bulk_job, stop_bulk_job
from polling.bulk.registry import BulkAction, find_action
from polling.models import BulkJob
from polling.pages.paging import page_of
from polling.pages.refreshing import refreshed_part
from polling.reports.instance_list import matching_keys, read_filter

PER_PAGE = 25
REFUSALS = 200
_CHOSEN = ("csrfmiddlewaretoken", "instance", "every", "state", "tag", "resource", "q")  # what says of which instances


@require_POST
@operator_page
def start(request: PageRequest) -> HttpResponse:
    """Start a job: `action` with its arguments, on each `instance`, or on `every` one that the list's filter finds.

    What can't be undone is asked about once, with the instances that it is about.
    """
    try:
        action = find_action(request.POST.get("action", ""))
        arguments = action.read(request.POST.dict())
        keys = _chosen(request)
        if action.warning is not None and keys and "sure" not in request.POST:
            return render(request, "polling/bulk_ask.html", _question(request, action, keys, arguments))
        job = start_bulk_job(request.person, action, keys, arguments)
    except DomainError as error:
        messages.error(request, f"Nothing was done. {error.message}")
        return redirect(_back(request.POST))
    return redirect("bulk-job", job.pk)


@require_POST
@operator_page
def try_again(request: PageRequest, number: int) -> HttpResponse:
    """Start a job that does the same to the instances that another one refused."""
    former = _own_job(request, number)
    keys = list(former.refusals.order_by("pk").values_list("instance_id", flat=True))
    try:
        job = start_bulk_job(request.person, find_action(former.action), keys, former.arguments)
    except DomainError as error:
        messages.error(request, f"Nothing was done. {error.message}")
        return redirect("bulk-job", number)
    return redirect("bulk-job", job.pk)


def _chosen(request: PageRequest) -> list[int]:
    """Return the ids of the instances that were chosen, one by one or by the list's filter."""
    if "every" in request.POST:
        return matching_keys(request.person.organization, read_filter(request.POST))
    given = [key for text in request.POST.getlist("instance") for key in text.split(",")]
    return [int(key) for key in given if key.isdecimal() and len(key) < 19]


def _question(
    request: PageRequest, action: BulkAction, keys: list[int], arguments: Mapping[str, Any]
) -> Mapping[str, Any]:
    assert action.warning is not None  # noqa: S101  (only then it is asked)
    named = request.person.instances().filter(pk__in=keys[:REFUSALS]).order_by("name")
    return {
        "title": action.title(len(keys), arguments),
        "warning": action.warning(len(keys)),
        "given": [item for item in request.POST.items() if item[0] not in _CHOSEN],
        "keys": ",".join(map(str, keys)),
        "named": named.values_list("name", flat=True),
        "more": max(len(keys) - REFUSALS, 0),
        "back": _back(request.POST),
        "here": "instances",
    }


def _back(query: QueryDict) -> str:
    """Return where the selection was made: the list, filtered as it was."""
    asked = read_filter(query).query()
    return f"{reverse('instances-page')}?{asked}" if asked else reverse("instances-page")


@page
def bulk_job(request: PageRequest, number: int) -> HttpResponse:
    """Show how far a job came, and what it refused."""
    job = _own_job(request, number)
    refusals = list(job.refusals.order_by("pk")[:REFUSALS])
    there = request.person.instances().filter(pk__in=[refusal.instance_id for refusal in refusals])
    context = {
        "job": job,
        "refusals": refusals,
        "there": set(there.values_list("pk", flat=True)),  # what is deleted since is nobody's, its name too
        "more": max(job.refused - REFUSALS, 0),
        "here": "jobs",
    }
    if request.htmx:
        return refreshed_part(request, "polling/parts/bulk_progress.html", context)
    return render(request, "polling/bulk_job.html", context)


@page
def bulk_jobs(request: PageRequest) -> HttpResponse:
    """List the organization's jobs, newest first."""
    found = BulkJob.objects.filter(organization=request.person.organization).defer("instances").order_by("-pk")
    return render(request, "polling/bulk_jobs.html", {"shown": page_of(found, request.GET, PER_PAGE), "here": "jobs"})


@require_POST
@operator_page
def stop(request: PageRequest, number: int) -> HttpResponse:
    """End a job where it stands."""
    job = _own_job(request, number)
    if not stop_bulk_job(job, timezone.now()):
        messages.info(request, "The job had ended already.")
    return redirect("bulk-job", number)


def _own_job(request: PageRequest, number: int) -> BulkJob:
    """Return a job of the person's organization; 404 for any other."""
    jobs = BulkJob.objects.filter(organization=request.person.organization).defer("instances")
    found = jobs.filter(pk=number).first()
    if found is None:
        raise Http404
    return found
