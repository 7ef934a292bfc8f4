"""The list of instances."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from instances.pages.access import PageRequest, page
from polling.pages.paging import page_of
from polling.reports.instance_rows import instance_rows

PER_PAGE = 25


@page
def instances(request: PageRequest) -> HttpResponse:
    """List the organization's instances, newest first; `q` narrows by name, company or id."""
    found = request.person.instances().order_by("-pk")
    text = request.GET.get("q", "").strip().replace("\x00", "")[:200]
    if text:
        by_id = Q(pk=int(text)) if text.isdecimal() and len(text) < 19 else Q()
        found = found.filter(Q(name__icontains=text) | Q(company__icontains=text) | by_id)
    shown = page_of(found, request.GET, PER_PAGE)
    rows = instance_rows([instance.pk for instance in shown.rows], timezone.now())
    return render(request, "polling/instances.html", {"rows": rows, "shown": shown, "text": text, "here": "instances"})
