"""The page *Search*: one box for everything, on every page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render

from instances.models import Instance
from instances.pages.access import PageRequest, page
from polling.reports.everything import cleaned, search_everything


@page
def search(request: PageRequest) -> HttpResponse:
    """Show what a text may mean; where it means one instance or event, lead there."""
    text = cleaned(request.GET.get("q", ""))
    found = search_everything(request.person.organization, text)
    if (only := found.only) is not None:
        return redirect("instance-page" if isinstance(only, Instance) else "event-page", only.pk)
    return render(request, "polling/search.html", {"text": text, "found": found, "here": "search"})
