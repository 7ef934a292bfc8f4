"""The page *Search*: one box for everything, on every page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render

from instances.models import Instance
from instances.pages.access import PageRequest, page
from polling.pages.events import path_of
from polling.reports.everything import cleaned, search_everything


@page
def search(request: PageRequest) -> HttpResponse:
    """Show what a text may mean; where it means one instance or event, lead there."""
    text = cleaned(request.GET.get("q", ""))
    found = search_everything(request.person.organization, text)
    if isinstance(only := found.only, Instance):
        return redirect("instance-page", only.pk)
    if only is not None:
        return redirect(path_of(only.pk, found.to))
    return render(request, "polling/search.html", {"text": text, "found": found, "here": "search"})
